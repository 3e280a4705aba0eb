"""The likelihood of a prior from the sums of very many tasks, its gradient and its curvature, some tasks at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from relatask.linear.many_tasks import BLOCK
from relatask.linear.prior.marginal import NO_NOISE, Point
from relatask.linear.sums.forms import Array
from relatask.linear.sums.informed import information, unpacked

STRONG = 1e8
"""Effects so much larger than the noise would lose digits here: such tasks are left to their compressed rows."""

FLAT = 1e-6
"""Curvatures below this share of the largest are raised to it."""


Source = Callable[[], Iterator[tuple[slice, Array, Array]]]
"""Gives the tasks' Grams (k, q, q) and cross products (k, q), some tasks at a time, every time it is called."""


class TooStrongError(Exception):
    """Effects are so much larger than the noise that differences of Grams would lose digits."""


@dataclass(frozen=True, eq=False)
class Sums:
    """The likelihood of `relatask.linear.prior.marginal.Marginal`, from the tasks' Grams instead of their rows.

    Attributes
    ----------
    source : the tasks.
    n_tasks, count, square : how many, their numbers of labels in all, and sum of y_k' y_k.
    fixed, random : (q, f), (q, r) coordinates of the mean and of the effects.
    restricted, log_volume : as there.
    packed, seen : what the last evaluation left of every task.
    """

    source: Source
    n_tasks: int
    count: float
    square: float
    fixed: Array
    random: Array
    restricted: bool
    log_volume: float
    packed: Array
    seen: Array
    rows: tuple[()] = field(default=())

    @property
    def freedom(self) -> float:
        """Numbers of labels, less what the mean uses where it is integrated out."""
        return self.count - self.fixed.shape[1] if self.restricted else self.count

    def at(self, root: Array, ratio: Array | None = None) -> Point:
        """Evaluate at P = root root', (r, r).

        Raises
        ------
        TooStrongError
            Where digits would be lost.
        """
        q, f = self.fixed.shape
        whole, from_labels = np.zeros((q, q)), np.zeros(q)
        log_det, square = 0.0, self.square
        effects = self.random @ root
        for some, gram, cross in self.source():
            logs, less, largest = information(gram, cross, effects, self.packed[some], self.seen[some])
            if not largest < STRONG or np.isnan(logs):
                raise TooStrongError
            log_det, square = log_det + logs, square - less
        for some in self._blocks():
            whole += unpacked(self.packed[some].sum(0, keepdims=True), q)[0]
            from_labels += self.seen[some].sum(0)
        lower = np.linalg.cholesky(self.fixed.T @ whole @ self.fixed)
        inverse_root = np.linalg.inv(lower)
        z = inverse_root @ (self.fixed.T @ from_labels)
        mean = inverse_root.T @ z
        level = max(square - float(z @ z), NO_NOISE * self.freedom) / self.freedom
        value = -0.5 * (self.freedom * (np.log(2 * np.pi * level) + 1) + log_det)
        if self.restricted:
            value -= 0.5 * (2 * float(np.log(np.diagonal(lower)).sum()) - self.log_volume)
        slope = -whole
        spread = self.fixed @ inverse_root.T
        for some in self._blocks():
            own = unpacked(self.packed[some], q)
            scores = self.seen[some] - (own.reshape(-1, q) @ (self.fixed @ mean)).reshape(-1, q)
            slope += scores.T @ scores / level
            if self.restricted:
                half = (own.reshape(-1, q) @ spread).reshape(-1, q, f).swapaxes(1, 2).reshape(-1, q)
                slope += half.T @ half
        gradient = self.random.T @ slope @ self.random / 2
        return Point(float(value), mean, level, inverse_root, gradient, np.zeros(0), ())

    def curvature(self, point: Point) -> Array:
        """(r r, r r) of minus the value in S / level at the last evaluation, the mean held; the level at its best.

        With N_k = R' X_k' V_k^-1 X_k R and s_k the scores, of a change D of S / level it is
        sum_k s_k' D N_k D s_k / level - 1/2 tr(N_k D N_k D), less 1/2 <sum_k s_k s_k', D>^2 / (level^2 freedom).
        """
        r = self.random.shape[1]
        mixed, square, total = np.zeros((r * r, r * r)), np.zeros((r * r, r * r)), np.zeros((r, r))
        for some in self._blocks():
            own = unpacked(self.packed[some], len(self.random))
            scores = (self.seen[some] - own @ (self.fixed @ point.mean)) @ self.random
            own = (self.random.T @ own @ self.random).reshape(-1, r * r)
            outer = (scores[:, :, None] * scores[:, None, :]).reshape(-1, r * r)
            mixed, square, total = mixed + outer.T @ own, square + own.T @ own, total + scores.T @ scores
        turned = mixed.reshape(r, r, r, r).transpose(0, 2, 3, 1).reshape(r * r, r * r) / point.level
        turned -= 0.5 * square.reshape(r, r, r, r).transpose(0, 3, 1, 2).reshape(r * r, r * r)
        turned -= np.multiply.outer(total.ravel(), total.ravel()) / (2 * self.freedom * point.level**2)
        # Of symmetric changes only: the same whichever index of a pair comes first.
        turned = turned.reshape(r, r, r, r)
        turned = (turned + turned.transpose(1, 0, 2, 3)) / 2
        turned = ((turned + turned.transpose(0, 1, 3, 2)) / 2).reshape(r * r, r * r)
        values, vectors = np.linalg.eigh((turned + turned.T) / 2)
        # Far from an optimum it may have no upper bound in some directions: there it is taken for flat.
        return np.asarray((vectors * np.maximum(values, FLAT * values[-1])) @ vectors.T)

    def informed(self, spread: float) -> Array:
        """(t, q (q + 1) / 2) the tasks' information over spread^2, in the place of `packed`."""
        self.packed[:] *= 0.0 if spread == 0 else 1 / spread**2
        return self.packed

    def scores(self, mean: Array) -> Array:
        """(t, q) X_k' V_k^-1 (y_k - X_k mean) at the last evaluation."""
        out = np.empty_like(self.seen)
        for some in self._blocks():
            out[some] = self.seen[some] - unpacked(self.packed[some], len(self.fixed)) @ (self.fixed @ mean)
        return out

    def _blocks(self) -> Iterator[slice]:
        return (slice(a, a + BLOCK) for a in range(0, self.n_tasks, BLOCK))
