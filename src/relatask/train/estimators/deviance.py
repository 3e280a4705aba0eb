"""The share of deviance that a model of several kinds explains."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.given.labels import encode_labels, listed
from relatask.given.numbers import as_float, each_label
from relatask.notices import InputError
from relatask.train.estimators.labels import given_columns

Floats = NDArray[np.float64]
_SMALLEST = 1e-12


def share_explained(model: Any, answers: Any, y: Any, sample_weight: Any) -> float:
    """Give the mean over tasks of 1 - D_k / D_k(task k's mean, or shares of classes, in this sample)."""
    tasks = model.tasks_.tolist()
    values = _values(model, y, answers.codes)
    weights = each_label(sample_weight, values.shape, model.tasks_)
    shares = []
    for k, task in enumerate(tasks):
        if answers.codes is None:
            target, found, s = values[:, k], answers.values[k], weights[:, k]
        else:
            own = answers.codes == k
            target, found, s = values[own], answers.values[0][own], weights[own]
        shares.append(_share(target, found, s, model.kinds_[task]))
    defined = [share for share in shares if share == share]
    return float(np.mean(defined)) if defined else float("nan")


def deviance(kind: str, y: Floats, found: Floats, s: Floats) -> float:
    """Give the summed deviance of answers: squares, log losses, Poisson deviances.

    Examples
    --------
    >>> deviance("regression", np.array([1.0, 2.0]), np.array([1.0, 4.0]), np.ones(2))
    4.0
    """
    if kind == "regression":
        return float(s @ np.square(y - found))
    if kind == "count":
        mean = np.maximum(found, _SMALLEST)
        logs = np.where(y > 0, y * np.log(np.maximum(y, 1.0) / mean), 0.0)
        return float(2 * s @ (logs - y + mean))
    chances = np.stack([1 - found, found], 1) if found.ndim == 1 else found
    own = np.maximum(chances[np.arange(len(y)), y.astype(np.intp)], _SMALLEST)
    return float(-s @ np.log(own))


def _share(y: Floats, found: Floats, s: Floats, kind: str) -> float:
    seen = ~np.isnan(y) & (s > 0)
    y, found, s = y[seen], found[seen], s[seen]
    if not len(y) or y.min() == y.max():
        return float("nan")
    if kind in ("regression", "count"):
        null = np.full(len(y), np.average(y, weights=s))
    else:
        n = found.shape[1] if found.ndim == 2 else 2
        shares = np.bincount(y.astype(np.intp), s, n) / s.sum()
        null = np.full(len(y), shares[1]) if found.ndim == 1 else np.broadcast_to(shares, (len(y), n))
    return 1.0 - deviance(kind, y, found, s) / deviance(kind, y, null, s)


def _values(model: Any, y: Any, codes: NDArray[np.intp] | None) -> Floats:
    """Labels as numbers, classes by their place among those of fit: (n,), or (n, t) for columns."""
    tasks = model.tasks_.tolist()
    names, given = given_columns(y, model.tasks_)
    array = given.to_numpy() if hasattr(given, "to_numpy") else np.asarray(given)
    if codes is not None:
        flat = array.reshape(-1)
        if len(flat) != len(codes):
            raise InputError(f"y has {len(flat)} labels, but X has {len(codes)} rows.")
        out = np.full(len(codes), np.nan)
        for k, task in enumerate(tasks):
            out[codes == k] = _placed(flat[codes == k], task, model)
        return out
    if array.ndim != 2 or array.shape[1] != len(tasks):
        raise InputError(f"y has shape {array.shape}; expected a column for each of {len(tasks)} tasks.")
    if names is not None and set(names) != set(tasks):
        raise InputError(f"y has the columns {listed(names)}; expected the tasks {listed(tasks)}.")
    place = range(len(tasks)) if names is None else [names.index(task) for task in tasks]
    return np.stack([_placed(array[:, j], task, model) for j, task in zip(place, tasks, strict=True)], axis=1)


def _placed(column: NDArray[Any], task: Any, model: Any) -> Floats:
    classes = model.classes_.get(task)
    if classes is None:
        return as_float(column, "y")
    found, positions = encode_labels(column)
    known = {label: float(k) for k, label in enumerate(classes.tolist())}
    unknown = [label for label in found.tolist() if label not in known]
    if unknown:
        raise InputError(
            f"task {task!r}: y holds {listed(unknown)}, which fit did not see; it saw {listed(list(known))}."
        )
    place = np.array([known[label] for label in found.tolist()] or [np.nan])
    return np.where(positions < 0, np.nan, place[positions])
