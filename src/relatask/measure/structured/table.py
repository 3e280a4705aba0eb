"""Which metrics each kind of task has, what they are in words, and which way they point."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from relatask.measure.structured import classes, numeric, parts
from relatask.measure.structured.measured import Measured

_ERRORS = {
    "rmse": numeric.Mean(numeric.squares, np.sqrt),
    "mae": numeric.Mean(numeric.absolutes),
}
_CLASSES = {
    "log_loss": numeric.Mean(classes.log_losses),
    "accuracy": numeric.Mean(classes.right),
    "error_rate": numeric.Mean(classes.wrong),
}

METRICS_OF: Mapping[str, Mapping[str, Measured]] = {
    "regression": {**_ERRORS, "r2": numeric.Explained()},
    "binary": {
        "log_loss": _CLASSES["log_loss"],
        "auc": classes.Ranked(classes.area),
        "accuracy": _CLASSES["accuracy"],
        "error_rate": _CLASSES["error_rate"],
        "brier": numeric.Mean(numeric.squares),
        "average_precision": classes.Ranked(classes.average_precision),
        "ece": classes.CalibrationError(),
    },
    "multiclass": {
        **_CLASSES,
        "balanced_accuracy": classes.OfConfusion(classes.balanced_accuracy),
        "macro_f1": classes.OfConfusion(classes.macro_f1),
        "ece": classes.CalibrationError(),
    },
    "multilabel": {
        "macro_average_precision": classes.Ranked(classes.average_precision),
        "macro_auc": classes.Ranked(classes.area),
        "micro_f1": classes.Entries(),
        "log_loss": classes.Entries(f1=False),
    },
    "ordinal": {
        "mae": numeric.Mean(classes.off),
        "quadratic_kappa": classes.OfConfusion(classes.quadratic_kappa, classes.median),
        "accuracy": _CLASSES["accuracy"],
        "error_rate": _CLASSES["error_rate"],
        "log_loss": _CLASSES["log_loss"],
    },
    "count": {
        "poisson_deviance": numeric.Mean(numeric.poisson_deviances),
        **_ERRORS,
        "d2": numeric.Explained(poisson=True),
    },
    "tagging": {"entity_f1": parts.EntityF1(), "accuracy": parts.TokenAccuracy()},
    "detection": {"map": parts.BoxPrecision(), "map50": parts.BoxPrecision((0.5,))},
    "segmentation": {"miou": parts.MeanOverlap(), "accuracy": parts.PixelAccuracy()},
    "similarity": {
        "spearman": numeric.Correlation(by_rank=True),
        "pearson": numeric.Correlation(),
        "rmse": _ERRORS["rmse"],
    },
}
"""What each kind is scored by; the first decides between two models."""
