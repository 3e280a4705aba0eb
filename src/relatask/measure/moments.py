"""The sums per task from which metrics follow: squares, deviances, wrong classes, pairs in the right order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from relatask.measure.catalogue import BINARY, COUNT, KINDS
from relatask.measure.several import check_chances, null_deviance, of_several, plain, several_terms
from relatask.notices import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Kinds = tuple[str, ...]

LEAST = float(np.finfo(np.float64).eps)
"""Predicted chances are kept this far from 0 and 1, and mean counts above it: one sure miss costs 36, not infinity."""


@dataclass(frozen=True, eq=False)
class Moments:
    """The sums per task from which every metric here follows; arrays (..., t), leading axes are bootstrap replicates.

    Parameters
    ----------
    n : (..., t) array
        Observed labels.
    sse, sae : (..., t) arrays
        Sums of squared and of absolute errors.
    sst : (..., t) array
        Sum of squared distances of the labels to their task's own mean; exactly 0 for a constant target.
    mean : (..., t) array
        Mean label; 0 where a task has none.
    kinds : tuple of t str, optional
        Kinds of the tasks; None where all are numbers.
    deviance, null : (..., t) arrays, optional
        Sum of the labels' deviances, and what it is where the task's own mean is predicted: for numbers `sse` and
        `sst`, for classes twice the log loss, for counts the Poisson deviance. None where all are numbers.
    wrong : (..., t) array, optional
        Labels of class 1 with a chance of at most 1/2, and of class 0 with more; of several classes those of another
        class than the likeliest. None where no task has classes.
    wins, pairs : (..., t) arrays, optional
        Pairs of a label 1 and a label 0, and how many of them are in the right order (half of those with equal chances
        counted); None where they were not asked for.
    """

    n: npt.NDArray[Any]
    sse: Floats
    sae: Floats
    sst: Floats
    mean: Floats
    kinds: Kinds | None = None
    deviance: Floats | None = None
    null: Floats | None = None
    wrong: Floats | None = None
    wins: Floats | None = None
    pairs: Floats | None = None


def moments(
    y: Floats, prediction: Floats, codes: Ints, n_tasks: int, kinds: Kinds | None = None, *, ranked: bool = False
) -> Moments:
    """Sums per task of flat, observed labels: y (m,), prediction (m,), codes (m,) in 0..n_tasks - 1.

    With tasks of several classes the prediction is (m, C); see `several`. With `ranked` the pairs are counted too,
    which takes a sort.
    """
    whole, prediction = prediction, plain(y, prediction, codes, kinds)
    n = np.bincount(codes, minlength=n_tasks)
    mean = _sums(codes, y, n_tasks) / np.maximum(n, 1)
    error, centred = prediction - y, y - mean[codes]
    # The mean of equal numbers can be off by rounding: a constant target is recognised by its range, not by its sum.
    low, high = np.full(n_tasks, np.inf), np.full(n_tasks, -np.inf)
    np.minimum.at(low, codes, y)
    np.maximum.at(high, codes, y)
    sse, sst = _sums(codes, error**2, n_tasks), np.where(high > low, _sums(codes, centred**2, n_tasks), 0.0)
    base = Moments(n=n, sse=sse, sae=_sums(codes, np.abs(error), n_tasks), sst=sst, mean=mean)
    if kinds is None:
        return base
    sums = {name: _sums(codes, values, n_tasks) for name, values in label_terms(y, whole, codes, kinds).items()}
    counted = Ranks.of(y, prediction, codes, kinds).pairs(np.ones((len(y), 1))) if ranked else None
    pairs = (None, None) if counted is None else (counted[0][0], counted[1][0])
    return with_terms(base, kinds, sums, pairs)


def with_terms(
    base: Moments, kinds: Kinds, sums: dict[str, Floats], pairs: tuple[Floats | None, Floats | None]
) -> Moments:
    """Complete the moments of tasks of these kinds by the sums of `label_terms`, and by `Ranks.pairs`."""
    binary, count = (np.array([kind == name for kind in kinds]) for name in (BINARY, COUNT))
    m = base.mean
    spread = -2 * base.n * (xlogy(m, m) + xlogy(1 - m, 1 - m)) if binary.any() else 0.0
    counts = sums["entropy"] - 2 * base.n * xlogy(m, m) if count.any() else 0.0
    null = np.where(binary, spread, np.where(count, counts, base.sst))
    null = np.where(of_several(kinds), null_deviance(base.n, sums), null)
    return Moments(
        **{name: getattr(base, name) for name in ("n", "sse", "sae", "sst", "mean")},
        kinds=kinds,
        deviance=sums["deviance"],
        null=np.where(base.sst > 0, null, 0.0),
        wrong=sums.get("wrong"),
        wins=pairs[0],
        pairs=pairs[1],
    )


def label_terms(y: Floats, prediction: Floats, codes: Ints, kinds: Kinds) -> dict[str, Floats]:
    """What each label adds to the sums that are not squares: (m,) arrays by name."""
    kind = np.array([KINDS.index(name) for name in kinds])[codes]
    whole, prediction = prediction, plain(y, prediction, codes, kinds)
    deviance = (prediction - y) ** 2
    found = {"deviance": deviance}
    binary, count = kind == KINDS.index(BINARY), kind == KINDS.index(COUNT)
    if whole.ndim == 2:
        several_terms(y, whole, of_several(kinds)[codes], LEAST, found)
    if BINARY in kinds:
        chance = np.clip(prediction[binary], LEAST, 1 - LEAST)
        deviance[binary] = -2 * np.where(y[binary] > 0, np.log(chance), np.log1p(-chance))
        found["wrong"] = found.get("wrong", 0.0) + (binary & ((prediction > 0.5) != (y > 0))).astype(np.float64)
    if COUNT in kinds:
        of, mean = y[count], np.maximum(prediction[count], LEAST)
        deviance[count] = 2 * (xlogy(of, of / mean) - of + mean)
        found["entropy"] = np.zeros(len(y))
        found["entropy"][count] = 2 * xlogy(of, of)
    return found


@dataclass(frozen=True, eq=False)
class Ranks:
    """Labels of two classes sorted by task and predicted chance, for counting pairs under any weights of the labels.

    Parameters
    ----------
    order : (m,) int array
        Positions of the labels of the tasks with classes, sorted.
    zero : (m, 1) array
        Whether each of them, sorted, is a 0.
    ones : (p,) int array
        Where the ones are among them.
    ties, first, last : (h,) int arrays
        Ones with equal chances: where they begin among `ones`, and where all labels with this chance begin and end.
    task : (h,) int array
        Whose they are, as a position in `tasks`.
    starts, ends : (k,) int arrays
        The first and the last label of each task that has a one.
    tasks : (k,) int array
        These tasks.
    n_tasks : int
        All.
    """

    order: Ints
    zero: Floats
    ones: Ints
    ties: Ints
    first: Ints
    last: Ints
    task: Ints
    starts: Ints
    ends: Ints
    tasks: Ints
    n_tasks: int

    @classmethod
    def of(cls, y: Floats, prediction: Floats, codes: Ints, kinds: Kinds) -> Ranks:
        """Sort once."""
        binary = np.flatnonzero(np.array([kind == BINARY for kind in kinds])[codes])
        order = binary[np.lexsort((prediction[binary], codes[binary]))]
        code, chance = codes[order], prediction[order]
        new_task = np.append(True, np.diff(code) != 0)[: len(order)]
        begins = np.flatnonzero(new_task | np.append(True, np.diff(chance) != 0)[: len(order)])
        ends = np.append(begins[1:], len(order)) - 1
        ones = np.flatnonzero(y[order] > 0)
        group = np.searchsorted(begins, ones, side="right") - 1
        ties = np.flatnonzero(np.append(True, np.diff(group) != 0)[: len(ones)])
        held = group[ties]
        tasks, task = np.unique(code[begins[held]], return_inverse=True)
        starts, stops = np.searchsorted(code, tasks), np.searchsorted(code, tasks, side="right") - 1
        zero = (y[order] == 0)[:, None].astype(np.float64)
        return cls(order, zero, ones, ties, begins[held], ends[held], task, starts, stops, tasks, len(kinds))

    def pairs(self, times: Floats) -> tuple[Floats, Floats]:
        """Pairs in the right order and all pairs, (draws, t) each, where label i counts times[i] times: (n, draws)."""
        wins, pairs = np.zeros((2, times.shape[1], self.n_tasks))
        if not len(self.ones):
            return wins, pairs
        weight = times[self.order]
        ones = np.add.reduceat(weight[self.ones], self.ties)
        weight *= self.zero
        at_first, at_start = weight[self.first], weight[self.starts]
        up_to = np.cumsum(weight, 0, out=weight)  # zeros with at most this chance, of this task and those before it
        base = up_to[self.starts] - at_start
        below = up_to[self.first] - at_first
        level = below + (up_to[self.last] - below) / 2 - base[self.task]
        own = np.flatnonzero(np.append(True, np.diff(self.task) != 0))
        wins[:, self.tasks] = np.add.reduceat(ones * level, own).T
        pairs[:, self.tasks] = (np.add.reduceat(ones, own) * (up_to[self.ends] - base)).T
        return wins, pairs


def task_kinds(kinds: str | Sequence[str] | None, n_tasks: int) -> Kinds | None:
    """A kind for each task; None where all are numbers, which is the shorter way.

    Raises
    ------
    InputError
        For an unknown kind, or another number of them than of tasks.
    """
    if kinds is None:
        return None
    found = (kinds,) * n_tasks if isinstance(kinds, str) else tuple(kinds)
    for kind in (kinds,) if isinstance(kinds, str) else found:
        if kind not in KINDS:
            raise InputError(f"kind {kind!r} has no metrics; expected one of {', '.join(KINDS)}.")
    if len(found) != n_tasks:
        raise InputError(f"{len(found)} kinds for {n_tasks} tasks; expected one for each, or one name for all.")
    return None if set(found) <= {KINDS[0]} else found


def check_labels(y: Floats, prediction: Floats, codes: Ints, kinds: Kinds | None) -> None:
    """Raise InputError for labels or predictions that their task's kind cannot have."""
    if kinds is None:
        return
    kind = np.array([KINDS.index(name) for name in kinds])[codes]
    binary, count = kind == KINDS.index(BINARY), kind == KINDS.index(COUNT)
    if prediction.ndim == 2:
        check_chances(y, prediction, of_several(kinds)[codes])
        prediction = prediction[:, 0]
    for wrong, what, words in (
        (binary & (y != 0) & (y != 1), y, "labels of kind binary must be 0 or 1"),
        (count & (y < 0), y, "labels of kind count must be >= 0"),
        (binary & ((prediction < 0) | (prediction > 1)), prediction, "predicted chances must lie between 0 and 1"),
        (count & (prediction < 0), prediction, "predicted mean counts must be >= 0"),
    ):
        if wrong.any():
            raise InputError(f"{words}; {int(wrong.sum())} are not, such as {what[wrong][0]:g}.")


def _sums(codes: Ints, values: Floats, n_tasks: int) -> Floats:
    return np.bincount(codes, weights=values, minlength=n_tasks).astype(np.float64, copy=False)
