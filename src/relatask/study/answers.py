"""What a fitted model is asked for classes and counts: chances of class 1, mean counts; and whether it can answer."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from relatask.measure.catalogue import MULTICLASS
from relatask.notices import InputError
from relatask.study.several import spread, stacked

Floats = npt.NDArray[np.float64]

WANTED = {
    "binary": "predict_mean or predict_proba (chances), such as MultiTaskClassifier or scikit-learn's classifiers",
    "count": "predict (mean counts), such as MultiTaskLinear or PoissonRegressor",
    "mixed": "predict_mean (numbers, chances, mean counts), such as MultiTaskLinear",
    "multiclass": "predict_proba (chances of all classes), such as MultiTaskClassifier or scikit-learn's classifiers",
}


def check_answers(models: Mapping[str, Any], kinds: Collection[str]) -> None:
    """Raise InputError for a model that has no way to say what tasks of these kinds are scored by."""
    if set(kinds) == {"regression"}:
        return
    for name, model in models.items():
        if way_of(model, kinds) is None:
            what = _kind(kinds)
            raise InputError(
                f"model {name!r} ({type(_last(model)).__name__}) cannot answer for tasks of kind {what}: it has no "
                f"{WANTED[what]}."
            )


def way_of(model: Any, kinds: Collection[str]) -> str | None:
    """Name the method that gives what is scored; None where there is none."""
    last = _last(model)
    if set(kinds) == {MULTICLASS}:
        return "predict_proba" if callable(getattr(last, "predict_proba", None)) else None
    if callable(getattr(last, "predict_mean", None)):
        return "predict_mean"
    if _kind(kinds) == "count":
        return "predict"
    if _kind(kinds) == "binary" and callable(getattr(last, "predict_proba", None)):
        return "predict_proba"
    return None


def answer(model: Any, X: Any, tasks: Any, kinds: Sequence[str], sizes: Sequence[int] = ()) -> Floats:
    """Numbers, chances of class 1, mean counts, by the kind of each task: (n,) or (n, t).

    Where a task has several classes there is one more axis: the chances of all of them; see
    `relatask.measure.several.plain`.

    Parameters
    ----------
    model : Model
        Fitted; of a Pipeline the last step is asked, so that tasks reach it.
    X : (n, d)
        Rows.
    tasks : (n,) labels, optional
        Passed on where the method takes them.
    kinds : sequence of str
        Of the tasks.
    sizes : sequence of int, optional
        How many classes each task of kind multiclass has.
    """
    while isinstance(model, Pipeline) or hasattr(model, "best_estimator_"):
        if isinstance(model, Pipeline):
            X, model = model[:-1].transform(X) if len(model) > 1 else X, model[-1]
        else:
            model = model.best_estimator_
    name = str(way_of(model, kinds))
    way = getattr(model, name)
    takes = "tasks" in inspect.signature(way).parameters
    raw = way(X, tasks=tasks) if tasks is not None and takes else way(X)
    if MULTICLASS in kinds:
        return _several(raw, getattr(model, "classes_", None), tasks is not None, kinds, sizes)
    if name == "predict_mean" and isinstance(raw, list | Mapping):  # a task's own array each
        raw = np.column_stack(list(raw.values() if isinstance(raw, Mapping) else raw))
    return np.asarray(_chances(raw, model.classes_) if name == "predict_proba" else raw, dtype=np.float64)


def _several(raw: Any, classes: Any, grouped: bool, kinds: Sequence[str], sizes: Sequence[int]) -> Floats:
    """Answers of tasks some of which have several classes: each task's own, from any of the usual forms."""
    if grouped:
        return spread(raw, classes, max(sizes))
    if hasattr(raw, "ndim"):  # (n, t, C), or (n, C) of one task
        raw = [raw] if raw.ndim == 2 else [raw[:, k] for k in range(raw.shape[1])]
    if isinstance(raw, Mapping):
        raw = list(raw.values())
    own = list(classes.values()) if isinstance(classes, Mapping) else classes
    own = own if isinstance(own, list) else [own] * len(kinds)
    each = [
        spread(one, of, size) if kind == MULTICLASS else np.asarray(one, dtype=np.float64)
        for one, of, kind, size in zip(raw, own, kinds, sizes, strict=True)
    ]
    return stacked(each, kinds, sizes)


def _chances(raw: Any, classes: Any) -> Floats:
    """Chances of class 1 from those of all classes: (n, C), (n, t, C), or a list of t arrays (n, C)."""
    if isinstance(raw, list):
        return np.column_stack([_chances(one, own) for one, own in zip(raw, classes, strict=True)])
    place = np.flatnonzero(np.asarray(classes, dtype=np.float64) == 1)
    return raw[..., place[0]] if len(place) else np.zeros(raw.shape[:-1])


def _last(model: Any) -> Any:
    """What answers in the end: the last step of a Pipeline, the estimator of a search."""
    while isinstance(model, Pipeline) or hasattr(model, "estimator"):
        if isinstance(model, Pipeline):
            model = model.steps[-1][1]
        elif callable(getattr(model, "predict_proba", None)):  # a calibrated or a meta-classifier answers itself
            return model
        else:
            model = model.estimator
    return model


def _kind(kinds: Collection[str]) -> str:
    there = set(kinds)
    return next(iter(there)) if len(there) == 1 else "mixed"
