"""What is asked of a comparison, checked before any work: models, seeds, processes, a column of tasks."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from relatask.linear.input.labels import listed
from relatask.linear.input.reading import split_task_column
from relatask.measure.catalogue import check_metrics, known_metric, metrics_of
from relatask.notices import InputError


def named_models(models: Any) -> dict[str, Any]:
    """Models by name, each with fit and predict.

    Raises
    ------
    InputError
        For anything but a mapping, no model, names that are the same text, or what is no model.
    """
    if not isinstance(models, Mapping):
        shown = f"a {type(models).__name__}" if isinstance(models, list | tuple) else type(models).__name__
        raise InputError(f'models is {shown}; give a name to each model: compare({{"mine": model}}, X, y, ...).')
    if not models:
        raise InputError("0 models: give at least one, by name.")
    found = {str(name): check_model(str(name), model) for name, model in models.items()}
    if len(found) < len(models):
        raise InputError(f"models: the names {listed(list(models))} are not all different as text; rename them.")
    return found


def check_model(name: str, model: Any) -> Any:
    """Give a model back if it has fit and predict.

    Raises
    ------
    InputError
        For a class, or what has no fit and predict.
    """
    if inspect.isclass(model):
        raise InputError(f"model {name!r} is the class {model.__name__}; give an instance of it: {model.__name__}().")
    absent = [method for method in ("fit", "predict") if not callable(getattr(model, method, None))]
    if absent:
        raise InputError(f"model {name!r} ({type(model).__name__}) has no {' and no '.join(absent)}; both are needed.")
    return model


def wanted_metrics(metrics: Any, kinds: Collection[str]) -> list[str]:
    """Names of metrics; None means all that tasks of these kinds have.

    Raises
    ------
    InputError
        For none, an unknown one or one that the kinds do not have, or one name that is not in a list.
    """
    if isinstance(metrics, str) or not (metrics is None or isinstance(metrics, Collection)):
        raise InputError(f"metrics={metrics!r:.60} must be a list of names, such as ['rmse', 'r2'].")
    names = [known_metric(name) for name in (metrics if metrics is not None else metrics_of(kinds))]
    if not names:
        raise InputError("0 metrics: give at least one, or None for all.")
    check_metrics(names, kinds)
    return names


def check_counts(seeds: Any, n_jobs: Any) -> None:
    """Raise InputError unless both are whole numbers, seeds >= 1 and n_jobs not 0."""
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise InputError(f"seeds={seeds!r} must be a whole number >= 1.")
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        raise InputError(f"n_jobs={n_jobs!r} must be a number of processes >= 1, or -1 for one a core.")


def check_encoder(encode: Any) -> None:
    """Raise InputError unless it is None, or an object with fit and transform."""
    if encode is not None and (
        inspect.isclass(encode) or not (hasattr(encode, "fit") and hasattr(encode, "transform"))
    ):
        raise InputError(f"encode={encode!r:.60} must be an object with fit and transform, such as TableEncoder().")


def without_task_column(models: Mapping[str, Any], X: Any, tasks: Any) -> tuple[Any, Any]:
    """X without the column that models take their tasks from (`task_column`), and the tasks: given, or of the column.

    Raises
    ------
    InputError
        Where models name several columns, or the one they name is not there and no tasks are given.
    """
    asked: dict[Any, str] = {}
    for name, model in models.items():
        parameters = model.get_params(deep=True) if hasattr(model, "get_params") else {}
        for parameter, value in parameters.items():
            if parameter.split("__")[-1] == "task_column" and value is not None:
                asked.setdefault(value, name)
    if not asked:
        return X, tasks
    if len(asked) > 1:
        said = " and ".join(f"{column!r} ({model})" for column, model in asked.items())
        raise InputError(
            f"models take their tasks from several columns, {said}; a study has one set of tasks: name one."
        )
    (column,) = asked
    if hasattr(X, "num_rows") and column in X.column_names:  # a pyarrow table
        return X.drop_columns([column]), X.column(column) if tasks is None else tasks
    try:
        return split_task_column(X, tasks, column)
    except InputError as error:
        raise InputError(
            f"{str(error).rstrip('.')} (model {asked[column]!r}). Give a frame with that column, or tasks=, the task "
            "of each row."
        ) from None
