"""From which chance on the second of two classes is said: half, or what does best on rows set aside."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.notices import InputError

NAMES = ("accuracy", "balanced_accuracy", "f1")
Floats = NDArray[np.float64]


def check_threshold(value: Any) -> None:
    """Raise InputError for what is neither a chance nor a known name."""
    known = value in NAMES if isinstance(value, str) else isinstance(value, Real) and 0 <= float(value) <= 1
    if not known:
        raise InputError(f"threshold={value!r} is unknown; expected a number in [0, 1], or one of {', '.join(NAMES)}.")


def best_threshold(chances: Floats, labels: Floats, metric: str) -> float:
    """Give the threshold in the middle of the widest run of chances that are best in a metric; 0.5 without labels.

    Parameters
    ----------
    chances : (n,)
        Of the second class.
    labels : (n,)
        0, 1 or NaN.
    metric : str
        One of `NAMES`.

    Examples
    --------
    >>> best_threshold(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 0.0, 1.0, 1.0]), "f1")
    0.25
    """
    seen = ~np.isnan(labels)
    p, y = chances[seen], labels[seen]
    if not len(y) or y.min() == y.max():
        return 0.5
    order = np.argsort(p)
    p, y = p[order], y[order]
    positive, n = y.sum(), len(y)
    # Cutting before place i: the i smallest are said to be of the first class.
    missed = np.concatenate([[0.0], np.cumsum(y)])
    found, said = positive - missed, n - np.arange(n + 1)
    right = found + (np.arange(n + 1) - missed)
    if metric == "accuracy":
        value = right / n
    elif metric == "f1":
        value = 2 * found / (said + positive)
    else:
        value = found / positive / 2 + (np.arange(n + 1) - missed) / (n - positive) / 2
    low = np.concatenate([[0.0], p])
    high = np.concatenate([p, [1.0]])
    value = np.where(high > low, value, -np.inf)  # between equal chances nothing can be cut
    best = np.flatnonzero(value == value.max())
    place = best[np.argmax((high - low)[best])]
    return float((low[place] + high[place]) / 2)
