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
    "mixed": "predict_mean (numbers, chances, mean counts; for several classes also predict_proba), such as "
    "MultiTaskLinear or DeepMultiTask",
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
        known = MULTICLASS not in kinds or callable(getattr(last, "predict_proba", None))
        return "predict_mean" if known else None
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
    if MULTICLASS in kinds:
        return _several(model, X, tasks, kinds, sizes)
    name = str(way_of(model, kinds))
    raw = _ask(model, name, X, tasks)
    return np.asarray(_chances(raw, model.classes_) if name == "predict_proba" else raw, dtype=np.float64)


def _ask(model: Any, name: str, X: Any, tasks: Any) -> Any:
    """What a method gives, told the tasks where it takes them."""
    way = getattr(model, name)
    takes = tasks is not None and "tasks" in inspect.signature(way).parameters
    return way(X, tasks=tasks) if takes else way(X)


def _several(model: Any, X: Any, tasks: Any, kinds: Sequence[str], sizes: Sequence[int]) -> Floats:
    """Answers of tasks some of which have several classes.

    Chances come as (n, C) of groups, (n, t, C) or a list of (n, C) of columns, or by task, as of `DeepMultiTask`.
    """
    chances = _ask(model, "predict_proba", X, tasks)
    classes = model.classes_
    if tasks is not None:
        return _of_groups(chances, classes, tasks, max(sizes))
    if isinstance(chances, Mapping):
        labels = np.asarray(model.tasks_).tolist()
        chances, classes = ([of.get(label) for label in labels] for of in (chances, classes))
    elif not isinstance(chances, list):
        chances = [chances] if chances.ndim == 2 else [chances[:, k] for k in range(chances.shape[1])]
    own = classes if isinstance(classes, list) else [classes] * len(kinds)
    if set(kinds) != {MULTICLASS}:
        means = np.asarray(_ask(model, "predict_mean", X, tasks), dtype=np.float64).reshape(-1, len(kinds))
    each = [
        spread(chances[k], own[k], size) if kind == MULTICLASS else means[:, k]
        for k, (kind, size) in enumerate(zip(kinds, sizes, strict=True))
    ]
    return stacked(each, kinds, sizes)


def _of_groups(chances: Any, classes: Any, tasks: Any, size: int) -> Floats:
    """Chances (n, C) of rows that each belong to a task; by task they are those of its rows, in order."""
    if not isinstance(chances, Mapping):
        return spread(chances, classes, size)
    found, labels = np.zeros((len(tasks), size)), np.asarray(tasks)
    for task, values in chances.items():
        found[labels == task] = spread(values, classes[task] if isinstance(classes, Mapping) else classes, size)
    return found


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
