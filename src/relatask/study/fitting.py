"""Fitting one cell: the protocol asked of a model, what it cost, and the warnings it raised."""

from __future__ import annotations

import inspect
import time
import warnings
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.utils.metadata_routing import get_routing_for_object

from relatask.measure import Note
from relatask.measure.metrics import flatten, has_several
from relatask.measure.moments import check_labels, task_kinds
from relatask.notices import InputError
from relatask.study.answers import answer
from relatask.study.cells import Cell, Cost
from relatask.study.memory import watched

Floats = npt.NDArray[np.float64]


@runtime_checkable
class Model(Protocol):
    """What a study asks of a model; with an argument `tasks` in fit and predict where it knows tasks."""

    def fit(self, X: Any, y: Any) -> Any:
        """Learn from training rows."""

    def predict(self, X: Any) -> Any:
        """Predict rows: (n,), or (n, t) where y had columns."""


class CellError(RuntimeError):
    """A model failed in one cell of a study; the message names the cell, the cause is chained."""


def seeded(model: Any, seed: int) -> Any:
    """Give an unfitted copy whose every `random_state` is the seed."""
    copy = sklearn.base.clone(model, safe=False)
    names = random_states(copy)
    return copy.set_params(**dict.fromkeys(names, seed)) if names else copy


def random_states(model: Any) -> list[str]:
    """Names of a model's `random_state` parameters, nested ones included."""
    if not hasattr(model, "get_params"):
        return []
    return [name for name in model.get_params(deep=True) if name.split("__")[-1] == "random_state"]


def takes(model: Any, method: str, argument: str) -> bool:
    """Whether a method accepts an argument: by its signature, or by scikit-learn's routing (Pipeline, GridSearchCV)."""
    parameters = inspect.signature(getattr(model, method)).parameters.values()
    if any(parameter.name == argument for parameter in parameters):
        return True
    if not hasattr(model, "get_metadata_routing"):
        return False
    with sklearn.config_context(enable_metadata_routing=True):
        return bool(get_routing_for_object(model).consumes(method, [argument]))


def fit_cell(
    method: str,
    split: str,
    seed: int,
    model: Any,
    train: tuple[Any, Floats, Any, Any],
    test: tuple[Any, Floats, Any],
    codes: npt.NDArray[np.int64] | None,
    rows: npt.NDArray[np.int64],
    kinds: tuple[str, ...],
    sizes: tuple[int, ...] = (),
) -> Cell:
    """Fit a copy of the model on training rows and predict the test rows.

    Parameters
    ----------
    method, split, seed :
        The cell's name.
    model : Model
        Unfitted; a copy is fitted.
    train : tuple
        X, y, task labels or None, sample weights or None.
    test : tuple
        X, y, task labels or None. Columns of y without a training label are NaN in both.
    codes : (m,) int array or None
        Tasks of the test rows as positions, None where the tasks are columns.
    rows : (m,) int array
        Positions of the test rows in the data.
    kinds : tuple of t str
        Of the tasks: what is predicted are numbers, chances of class 1, mean counts, chances of all classes.
    sizes : tuple of t int
        How many classes each task of kind multiclass has.

    Raises
    ------
    InputError
        As the model raised it.
    CellError
        For any other failure, naming the cell.
    """
    notes: list[Note] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            prediction, cost = _fit_predict(method, split, seed, seeded(model, seed), train, test, kinds, sizes)
        except InputError:
            raise
        except Exception as error:
            where = f"method {method!r}, split {split!r}, seed {seed}"
            raise CellError(f"{where}: {type(error).__name__}: {error}") from error
    for warning in caught:
        code = str(getattr(warning.message, "code", ""))
        text = str(warning.message).removeprefix(f"{code}: ") if code else str(warning.message)
        notes.append(Note(code, method, split, seed, text))
    try:
        y, guess, code_of, position = flatten(test[1], prediction, codes, chances=has_several(kinds))
        check_labels(y, guess, code_of, task_kinds(kinds, len(kinds)))
    except InputError as error:
        raise InputError(f"method {method!r}, split {split!r}, seed {seed}: {error}") from error
    return Cell(method, split, seed, rows[position], code_of, y, guess, cost, tuple(dict.fromkeys(notes)))


def _fit_predict(
    method: str,
    split: str,
    seed: int,
    model: Any,
    train: tuple[Any, Floats, Any, Any],
    test: tuple[Any, Floats, Any],
    kinds: tuple[str, ...],
    sizes: tuple[int, ...],
) -> tuple[Floats, Cost]:
    X, y, tasks, weight = train
    kept = np.ones(1, dtype=bool) if y.ndim == 1 else ~np.isnan(y).all(0)
    # A task without a training label is left out of the fit; its test labels are NaN, so that its column never counts.
    target = y if y.ndim == 1 or kept.all() else y[:, kept]
    if target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    fit_with = {"tasks": tasks} if tasks is not None and takes(model, "fit", "tasks") else {}
    if weight is not None:
        if not takes(model, "fit", "sample_weight"):
            raise InputError(f"model {method!r} takes no sample_weight; leave the weights or the model out.")
        fit_with["sample_weight"] = weight
    routing = {"enable_metadata_routing": True} if fit_with else {}
    with sklearn.config_context(**routing):
        if hasattr(model, "twin"):
            warm(type(model))
        started = time.perf_counter()
        with watched(hasattr(model, "twin")) as grown:  # networks
            model.fit(X, target, **fit_with)
        fitted = time.perf_counter()
        # A search passes tasks on to fit, but its own predict takes X alone: its best model is asked instead.
        best = getattr(model, "best_estimator_", model) if "tasks" in fit_with else model
        if set(kinds) == {"regression"}:
            predict_with = {"tasks": test[2]} if test[2] is not None and takes(best, "predict", "tasks") else {}
            raw = np.asarray(best.predict(test[0], **predict_with), dtype=np.float64)
        else:
            there = list(range(len(kinds))) if y.ndim == 1 else np.flatnonzero(kept).tolist()
            raw = answer(best, test[0], test[2], [kinds[k] for k in there], [sizes[k] for k in there])
        done = time.perf_counter()
    width = (max(sizes),) if has_several(kinds) else ()
    prediction = np.full(test[1].shape + width, np.nan)
    if width and y.ndim == 2:
        whole = raw if raw.ndim == 3 else raw.reshape(len(raw), -1, 1)  # no task with several classes was left
        prediction[:, kept, : whole.shape[2]] = whole
    elif width:
        prediction[:, : raw.shape[1]] = raw
    elif y.ndim == 1:
        prediction[...] = raw.reshape(prediction.shape)
    else:
        prediction[:, kept] = raw.reshape(len(prediction), -1)
    return prediction, Cost(method, split, seed, fitted - started, done - fitted, *_how_it_ended(model), grown.mb)


_WARM: set[Any] = set()


def warm(kind: Any) -> None:
    """Train a tiny network of a kind once in a process: what is loaded then is no cost of the first real one."""
    if kind in _WARM:
        return
    _WARM.add(kind)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind().set_params(hidden=(4,), epochs=2).fit(X, (X > 0).astype(np.float64))


def _how_it_ended(model: Any) -> tuple[int | None, float | None, dict[str, float]]:
    """Iterations, residual and strengths, where the model says."""
    n_iter, residual = getattr(model, "n_iter_", None), getattr(model, "residual_", None)
    strengths = getattr(model, "strengths_", None) or {}
    return (
        int(np.max(n_iter)) if n_iter is not None else None,
        float(np.max(residual)) if residual is not None else None,
        {str(name): float(value) for name, value in strengths.items()},
    )
