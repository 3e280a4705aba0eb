"""Labels of several classes: the chances of all of them go along as columns, and what follows from them for a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from relatask.measure.catalogue import MULTICLASS
from relatask.notices import InputError

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

CLASS = "class "
"""Sums by this name and a number: how many labels of that class there are."""
_SUM = 1e-4


def of_several(kinds: Sequence[str]) -> Mask:
    """(t,) whether each task has several classes."""
    return np.array([kind == MULTICLASS for kind in kinds], dtype=bool)


def plain(y: Floats, prediction: Floats, codes: npt.NDArray[np.int64], kinds: Sequence[str] | None) -> Floats:
    """One number a label (m,), whose squared distance from y is the Brier score's term.

    Parameters
    ----------
    y : (m,) array
        Observed labels; of several classes their positions 0, 1, ...
    prediction : (m,) or (m, C) array
        (m, C) where a task has several classes: for its labels the chance of each class, NaN behind its own last one;
        for labels of other kinds the prediction in column 0.
    codes : (m,) int array
        The task of each label.
    kinds : sequence of t str or None
        Of the tasks.
    """
    if prediction.ndim == 1 or kinds is None:
        return prediction
    found = prediction[:, 0].copy()
    there = of_several(kinds)[codes]
    chances, label = np.nan_to_num(prediction[there]), y[there].astype(np.int64)
    chances[np.arange(len(label)), label] -= 1
    found[there] = y[there] + np.sqrt((chances**2).sum(1))
    return found


def several_terms(y: Floats, prediction: Floats, there: Mask, least: float, found: dict[str, Floats]) -> None:
    """Add to `found` what labels of several classes add to the sums: deviance, misses, counts of each class.

    Parameters
    ----------
    y, prediction
        As in `plain`, prediction (m, C).
    there : (m,) bool array
        Labels of tasks with several classes.
    least : float
        Chances are taken to be at least that.
    found : dict
        Holds `deviance` (m,), which is filled in for these labels.
    """
    chances, label = prediction[there], y[there].astype(np.int64)
    own = chances[np.arange(len(label)), label]
    found["deviance"][there] = -2 * np.log(np.clip(own, least, 1.0))
    wrong = np.zeros(len(y))
    wrong[there] = np.nanargmax(chances, axis=1) != label
    found["wrong"] = wrong
    for k in range(prediction.shape[1]):
        found[f"{CLASS}{k}"] = (there & (y == k)).astype(np.float64)


def null_deviance(n: Floats, sums: Mapping[str, Floats]) -> Floats | float:
    """Deviance where each task's own shares are predicted: ``-2 sum_c n_c log(n_c / n)``; 0 without several classes."""
    counts = [values for name, values in sums.items() if name.startswith(CLASS)]
    if not counts:
        return 0.0
    return np.asarray(-2 * np.sum([xlogy(count, count / np.maximum(n, 1)) for count in counts], axis=0))


def check_chances(y: Floats, prediction: Floats, there: Mask) -> None:
    """Raise InputError for labels that are no positions of classes, and chances that are none or do not sum to 1."""
    label, chances = y[there], prediction[there]
    width = (~np.isnan(chances)).sum(1)
    wrong = (label < 0) | (label != np.floor(label)) | (label >= width)
    if wrong.any():
        raise InputError(
            f"labels of kind multiclass must be whole numbers from 0 to the number of classes less one; "
            f"{int(wrong.sum())} are not, such as {label[wrong][0]:g} beside {width[wrong][0]} chances."
        )
    off = (np.nan_to_num(chances) < 0).any(1) | (np.abs(np.nansum(chances, 1) - 1) > _SUM)
    if off.any():
        raise InputError(
            "predicted chances of several classes must be >= 0 and sum to 1; "
            f"{int(off.sum())} rows do not, such as {np.round(chances[off][0], 4).tolist()}."
        )
