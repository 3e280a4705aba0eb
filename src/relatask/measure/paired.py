"""Two sets of predictions of one test set, compared by any metric: its rows are drawn again, the same for both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.measure.differences import Verdict
from relatask.measure.intervals import t_interval, without_rounding
from relatask.notices import InputError
from relatask.tasks import Better

Ints = npt.NDArray[np.int64]
Score = Callable[[Ints, Any], float]
"""``score(rows, predictions)``: the metric on some rows, which may repeat."""


@dataclass(frozen=True)
class Paired:
    """What one set of predictions gains over another.

    Parameters
    ----------
    name : str
        The metric.
    value, baseline_value : float
        The metric of both, means over their seeds.
    difference, low, high : float
        Positive = better than the baseline, whichever way the metric points; ends of the interval.
    p : float
        Two-sided.
    verdict : {"helped", "no difference shown", "hurt"}
        By p and the sign.
    n : int
        Rows.
    seeds : (int, int)
        Of both; with two or more of each the interval holds what another training would have given, too.
    """

    name: str
    value: float
    baseline_value: float
    difference: float
    low: float
    high: float
    p: float
    verdict: Verdict
    n: int
    seeds: tuple[int, int]


def paired_bootstrap(
    score: Score,
    n_rows: int,
    a: Any,
    b: Any,
    *,
    draws: int = 1000,
    seed: int = 0,
    name: str = "score",
    better: Better = "higher",
    level: float = 0.05,
) -> Paired:
    """Compare predictions `a` with those of a baseline `b` on the same rows.

    Rows are drawn with replacement, the same for both. The standard deviation of the difference over the draws, times
    ``sqrt(n / (n - 1))``, is its standard error, and Student's t with n - 1 degrees of freedom gives interval and p.
    The two models are held fixed: what another training would have given is not in the interval.

    Parameters
    ----------
    score : callable
        ``score(rows, predictions) -> float``; rows are positions, which may repeat.
    n_rows : int
        Rows of the test set: whatever is independent of each other (sentences, pictures; not tokens or pixels).
    a, b : Any
        Predictions, as `score` takes them.
    draws : int
        How many.
    seed : int
        Of `numpy.random.default_rng`.
    name : str
        Of the metric, for the result.
    better : {"higher", "lower"}
        Which way it points.
    level : float
        One minus the coverage, and the largest p at which a verdict is given.

    Returns
    -------
    Paired

    Raises
    ------
    InputError
        For fewer than two rows or draws.

    References
    ----------
    Efron and Tibshirani 1993, An introduction to the bootstrap.

    Examples
    --------
    >>> right = np.random.default_rng(0).random((400, 2)) < [0.9, 0.7]
    >>> found = paired_bootstrap(lambda rows, p: p[rows].mean(), 400, right[:, 0], right[:, 1], name="accuracy")
    >>> found.verdict, round(found.difference, 3)
    ('helped', 0.185)
    """
    return paired_bootstrap_seeds(
        score, n_rows, [a], [b], draws=draws, seed=seed, name=name, better=better, level=level
    )


def paired_bootstrap_seeds(
    score: Score,
    n_rows: int,
    a: Sequence[Any],
    b: Sequence[Any],
    *,
    draws: int = 1000,
    seed: int = 0,
    name: str = "score",
    better: Better = "higher",
    level: float = 0.05,
) -> Paired:
    """Compare two methods that were trained with several seeds each: rows are drawn jointly, scores of seeds averaged.

    To the variance of `paired_bootstrap` comes ``s_a^2 / S_a + s_b^2 / S_b``, the variance over the seeds on all rows,
    where both have two or more; Satterthwaite's degrees of freedom.

    Parameters
    ----------
    a, b : sequence
        Predictions, one for each seed; the two may have different numbers of seeds.
    score, n_rows, draws, seed, name, better, level :
        As in `paired_bootstrap`.

    Returns
    -------
    Paired

    Raises
    ------
    InputError
        As `paired_bootstrap`, and where there is no seed.
    """
    if n_rows < 2 or draws < 2:
        raise InputError(f"{n_rows} rows and {draws} draws: an interval needs two or more of each.")
    if not len(a) or not len(b):
        raise InputError(f"{len(a)} and {len(b)} seeds: give predictions of one or more for both.")
    sign = 1.0 if better == "higher" else -1.0
    everything = np.arange(n_rows)
    sides = [np.array([float(score(everything, one)) for one in side]) for side in (a, b)]
    value, baseline = (float(side.mean()) for side in sides)
    d = float(without_rounding(*(np.array(number) for number in (sign * (value - baseline), value, baseline))))
    rng = np.random.default_rng(seed)
    drawn = np.empty(draws)
    for k in range(draws):
        rows = rng.integers(0, n_rows, n_rows)
        drawn[k] = np.mean([score(rows, one) for one in a]) - np.mean([score(rows, one) for one in b])
    parts = [(_variance(drawn) * n_rows / (n_rows - 1), n_rows - 1)]
    if min(len(a), len(b)) > 1:
        parts += [(_variance(side) / len(side), len(side) - 1) for side in sides]
    total = sum(part for part, _ in parts)
    freedom = total**2 / sum(part**2 / free for part, free in parts) if total > 0 else n_rows - 1
    low, high, p = t_interval(d, float(np.sqrt(total)), freedom, level)
    verdict: Verdict = "no difference shown"
    if p <= level and d != 0:
        verdict = "helped" if d > 0 else "hurt"
    return Paired(name, value, baseline, d, low, high, p, verdict, n_rows, (len(a), len(b)))


def _variance(values: npt.NDArray[np.float64]) -> float:
    """Of the defined values; NaN with fewer than two."""
    seen = values[~np.isnan(values)]
    return float(seen.var(ddof=1)) if len(seen) > 1 else float("nan")
