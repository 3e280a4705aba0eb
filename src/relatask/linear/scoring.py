"""The score of every regressor: explained variance within tasks."""

from __future__ import annotations

from typing import Any

import numpy as np

from relatask.linear.input import reading
from relatask.linear.input.design import as_float, each_label
from relatask.notices import InputError


def explained(model: Any, X: Any, y: Any, tasks: Any, sample_weight: Any) -> float:
    """1 - sum_k SSE_k / sum_k SST_k over the observed labels, SST_k about task k's own mean in this very sample.

    Parameters
    ----------
    model : Any
        A fitted regressor of several tasks.
    X, y, tasks, sample_weight : Any
        As in its fit.

    Returns
    -------
    float, at most 1; NaN where no task's labels vary.

    Raises
    ------
    InputError
        For labels of another shape than the predictions.
    """
    predicted = model.predict(X, tasks)
    tasks = reading.split_task_column(X, tasks, model.task_column)[1]
    labels = as_float(reading.in_order(y, model.tasks_) if predicted.ndim == 2 else y, "y")
    labels = labels.reshape(-1) if predicted.ndim == 1 else labels
    if labels.shape != predicted.shape:
        raise InputError(f"y has shape {labels.shape}, but predictions have {predicted.shape}.")
    weights = each_label(sample_weight, labels.shape, model.tasks_)
    codes = model._codes(tasks, len(labels))
    if codes is None:
        codes = np.broadcast_to(np.arange(labels.shape[1]), labels.shape).ravel()
    error, spread = reading.squares(labels.ravel(), predicted.ravel(), codes, weights.ravel())
    return 1.0 - error / spread if spread > 0 else float("nan")
