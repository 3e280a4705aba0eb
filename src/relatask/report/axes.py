"""Pictures of who taught whom on matplotlib axes, from arrays: for notebooks and papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from relatask.notices import InputError
from relatask.report.figures.canvas import NEGATIVE, POSITIVE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 40
"""Of more tasks than this no names are written."""
PRINTED = 12
"""Up to here every cell has its number."""


def show_transfer(shares: ArrayLike, tasks: Sequence[Any] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw `transfer_` as a heat map in percent: rows learn, columns teach, the diagonal left clear.

    Parameters
    ----------
    shares : (t, t)
        A model's `transfer_`.
    tasks : sequence of t labels, optional
        A model's `tasks_`.
    ax : Axes, optional
        Where to draw; the current axes otherwise.

    Returns
    -------
    Axes

    Raises
    ------
    InputError
        For a matrix that is not square, or another number of labels.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axes = show_transfer([[0.9, 0.1], [0.2, 0.8]], ["north", "south"], ax=Figure().subplots())
    >>> [tick.get_text() for tick in axes.get_yticklabels()]
    ['north', 'south']
    """
    return _heat_map(shares, tasks, ax, "share of a task's fitted values, %", signed=False)


def show_leave_task_out(
    effects: ArrayLike, tasks: Sequence[Any] | None = None, *, error: ArrayLike | None = None, ax: Axes | None = None
) -> Axes:
    """Draw `leave_task_out_` as a heat map: blue where the column helps the row, orange where it misleads it.

    Parameters
    ----------
    effects : (t, t)
        A model's `leave_task_out_`.
    tasks : sequence of t labels, optional
        A model's `tasks_`.
    error : (t,), optional
        A model's `leave_one_out_`: effects are then shown in percent of the row's own error.
    ax : Axes, optional
        Where to draw; the current axes otherwise.

    Returns
    -------
    Axes

    Raises
    ------
    InputError
        For a matrix that is not square, or another number of labels or errors.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> effects = [[float("nan"), 0.1], [-0.2, float("nan")]]
    >>> axes = show_leave_task_out(effects, error=[1.0, 2.0], ax=Figure().subplots())
    >>> [text.get_text() for text in axes.texts]
    ['', '10', '-10', '']
    """
    if error is None:
        return _heat_map(effects, tasks, ax, "rise of the error without the column", signed=True)
    values, own = np.asarray(effects, dtype=np.float64), np.asarray(error, dtype=np.float64)
    if own.shape != values.shape[:1]:
        raise InputError(f"error has shape {own.shape}; expected one number a task, {values.shape[:1]}.")
    relative = values / own[:, None]
    return _heat_map(relative, tasks, ax, "rise of the error without the column, %", signed=True, scale=100.0)


def show_intervals(
    values: ArrayLike,
    errors: ArrayLike,
    tasks: Sequence[Any] | None = None,
    *,
    width: float = 1.96,
    ax: Axes | None = None,
) -> Axes:
    """Draw a number a task with its interval, the largest on top: a coefficient and its standard error, for example.

    Parameters
    ----------
    values, errors : (t,)
        Such as ``coef_[:, 0]`` and ``standard_errors_[:, 0]``.
    tasks : sequence of t labels, optional
        A model's `tasks_`.
    width : float
        Half the interval, in errors.
    ax : Axes, optional
        Where to draw; the current axes otherwise.

    Returns
    -------
    Axes

    Raises
    ------
    InputError
        For lengths that differ.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axes = show_intervals([1.0, 2.0], [0.1, 0.2], ["north", "south"], ax=Figure().subplots())
    >>> [tick.get_text() for tick in axes.get_yticklabels()]
    ['north', 'south']
    """
    middle, half = np.asarray(values, dtype=np.float64), width * np.asarray(errors, dtype=np.float64)
    if middle.ndim != 1 or half.shape != middle.shape:
        raise InputError(f"values have shape {middle.shape}, errors {half.shape}; expected (t,) of both: one a task.")
    names = _names(tasks, len(middle))
    ax = _axes(ax)
    order = np.argsort(middle, kind="stable")
    ax.errorbar(middle[order], np.arange(len(order)), xerr=half[order], fmt="o", color=POSITIVE, markersize=4)
    ax.axvline(float(middle.mean()), color="0.6", linewidth=1, linestyle=":")
    _ticks(ax.yaxis, [names[k] for k in order])
    ax.margins(y=0.02)
    return ax


def _heat_map(
    matrix: ArrayLike, tasks: Sequence[Any] | None, ax: Axes | None, label: str, *, signed: bool, scale: float = 0.0
) -> Axes:
    from matplotlib.colors import LinearSegmentedColormap

    values = np.asarray(matrix, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise InputError(f"the matrix has shape {values.shape}; expected (t, t), a row and a column a task.")
    t = len(values)
    names = _names(tasks, t)
    values = values * (scale or (1.0 if signed else 100.0))
    between = np.where(np.eye(t, dtype=bool), np.nan, values)
    limit = float(np.nanmax(np.abs(between), initial=0.0)) or 1.0
    ends = [NEGATIVE, (1, 1, 1), POSITIVE] if signed else [(1, 1, 1), POSITIVE]
    colours = LinearSegmentedColormap.from_list("teaching", ends)
    ax = _axes(ax)
    picture = ax.imshow(between, cmap=colours, vmin=-limit if signed else 0.0, vmax=limit)
    ax.figure.colorbar(picture, ax=ax, label=label, fraction=0.046)
    _ticks(ax.yaxis, names)
    _ticks(ax.xaxis, names)
    ax.tick_params(axis="x", rotation=90)
    ax.set_xlabel("teaches")
    ax.set_ylabel("learns")
    for i in range(t if t <= PRINTED else 0):
        for j in range(t):
            told = f"{values[i, j]:.2g}" if np.isfinite(values[i, j]) else ""
            ax.text(j, i, told, ha="center", va="center", size=8, color="0.5" if i == j else "0")
    return ax


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.gca()


def _names(tasks: Sequence[Any] | None, t: int) -> list[str]:
    names = [str(k) for k in range(t)] if tasks is None else [str(task) for task in tasks]
    if len(names) != t:
        raise InputError(f"{len(names)} tasks are named, but the numbers are of {t}; give one label a task.")
    return names


def _ticks(axis: Any, names: list[str]) -> None:
    axis.set_ticks(range(len(names)) if len(names) <= NAMED else [], names if len(names) <= NAMED else [])


__all__ = ["show_intervals", "show_leave_task_out", "show_transfer"]
