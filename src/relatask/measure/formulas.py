"""The formulas of the metrics: from the sums per task to a number per task, and to one over all tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from relatask.measure.catalogue import KINDS_OF, REGRESSION
from relatask.measure.moments import Floats, Moments


def _ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> Floats:
    """Quotient, NaN where the denominator is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, dtype=float), np.asarray(below, dtype=float))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)


def _mean(values: Floats) -> Floats:
    """Mean over tasks of the defined values, NaN where there is none."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(-1), defined.sum(-1))


def _rmse(m: Moments) -> Floats:
    return np.sqrt(_ratio(m.sse, m.n))


def _mae(m: Moments) -> Floats:
    return _ratio(m.sae, m.n)


def _r2(m: Moments) -> Floats:
    return 1 - _ratio(m.sse, m.sst)


def _within(m: Moments) -> Floats:
    return 1 - _ratio(m.sse.sum(-1), m.sst.sum(-1))


def _global(m: Moments) -> Floats:
    grand = _ratio((m.n * m.mean).sum(-1), m.n.sum(-1))
    return 1 - _ratio(m.sse.sum(-1), (m.sst + m.n * (m.mean - grand[..., None]) ** 2).sum(-1))


def _deviance(m: Moments) -> Floats:
    return m.sse if m.deviance is None else m.deviance


def _null(m: Moments) -> Floats:
    return m.sst if m.null is None else m.null


def _log_loss(m: Moments) -> Floats:
    return _ratio(_deviance(m), 2 * m.n)


def _error_rate(m: Moments) -> Floats:
    return _ratio(m.wrong, m.n)  # type: ignore[arg-type]


def _brier(m: Moments) -> Floats:
    return _ratio(m.sse, m.n)


def _auc(m: Moments) -> Floats:
    return _ratio(m.wins, m.pairs)  # type: ignore[arg-type]


def _mean_deviance(m: Moments) -> Floats:
    return _ratio(_deviance(m), m.n)


def _d2(m: Moments) -> Floats:
    return 1 - _ratio(_deviance(m), _null(m))


PER_TASK: dict[str, Callable[[Moments], Floats]] = {
    "rmse": _rmse,
    "mae": _mae,
    "r2": _r2,
    "log_loss": _log_loss,
    "error_rate": _error_rate,
    "brier": _brier,
    "auc": _auc,
    "poisson_deviance": _mean_deviance,
    "d2": _d2,
    "deviance": _mean_deviance,
}
"""Metrics that each task has: Moments (..., t) -> (..., t)."""

OVERALL: dict[str, Callable[[Moments], Floats]] = {
    "rmse": lambda m: np.sqrt(_ratio(m.sse.sum(-1), m.n.sum(-1))),
    "mae": lambda m: _ratio(m.sae.sum(-1), m.n.sum(-1)),
    "explained_variance_within": _within,
    "explained_variance_global": _global,
    "rmse_mean_of_tasks": lambda m: _mean(_rmse(m)),
    "mae_mean_of_tasks": lambda m: _mean(_mae(m)),
    "r2_mean_of_tasks": lambda m: _mean(_r2(m)),
    "log_loss": lambda m: _ratio(_deviance(m).sum(-1), 2 * m.n.sum(-1)),
    "error_rate": lambda m: _ratio(m.wrong.sum(-1), m.n.sum(-1)),  # type: ignore[union-attr]
    "brier": lambda m: _ratio(m.sse.sum(-1), m.n.sum(-1)),
    "auc_within": lambda m: _ratio(m.wins.sum(-1), m.pairs.sum(-1)),  # type: ignore[union-attr]
    "log_loss_mean_of_tasks": lambda m: _mean(_log_loss(m)),
    "error_rate_mean_of_tasks": lambda m: _mean(_error_rate(m)),
    "brier_mean_of_tasks": lambda m: _mean(_brier(m)),
    "auc_mean_of_tasks": lambda m: _mean(_auc(m)),
    "poisson_deviance": lambda m: _ratio(_deviance(m).sum(-1), m.n.sum(-1)),
    "poisson_deviance_mean_of_tasks": lambda m: _mean(_mean_deviance(m)),
    "d2_within": lambda m: 1 - _ratio(_deviance(m).sum(-1), _null(m).sum(-1)),
    "d2_mean_of_tasks": lambda m: _mean(_d2(m)),
}
"""Metrics over all tasks: Moments (..., t) -> (...,); plain names (`rmse`, `log_loss`) pool the rows of all tasks."""


def of_tasks(name: str, m: Moments) -> Floats:
    """(..., t) a metric of each task; NaN for tasks of a kind that does not have it."""
    values = PER_TASK[name](m)
    if m.kinds is None or set(m.kinds) <= KINDS_OF[name]:
        return values
    return np.where([kind in KINDS_OF[name] for kind in m.kinds], values, np.nan)


def over_all(name: str, m: Moments) -> Floats:
    """(...,) a metric over all tasks; NaN where tasks of several kinds have no such number."""
    if m.kinds is None or suits_all(name, m.kinds):
        return OVERALL[name](m)
    return np.full(np.shape(m.n)[:-1], np.nan)


def suits_all(name: str, kinds: Sequence[str] | None) -> bool:
    """Whether a number over all tasks means something for tasks of these kinds."""
    there = {REGRESSION} if kinds is None else set(kinds)
    return there <= KINDS_OF[name] and (len(there) == 1 or name == "d2_mean_of_tasks")
