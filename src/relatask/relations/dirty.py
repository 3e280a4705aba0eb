"""Features used by all tasks beside features of single tasks, in one norm: the dirty model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np

from relatask.compiled import compiled
from relatask.notices import InputError
from relatask.relations.checks import Array, Strength, check_strength, chosen, like, plain, read_w
from relatask.relations.relation import Proximal, below

SHARED = ("max", "l2")


@dataclass(frozen=True)
class Dirty(Proximal):
    """W is a part whose features all tasks use, and a part of single coefficients, told apart by what is cheapest.

    ``R(W) = min over P + Q = W of strength * sum_j max_k |P[k, j]| + sparse * ||Q||_1``; with ``shared="l2"`` the first
    is ``strength * sum_j ||P[:, j]||_2``. Up to strength = sparse, Q is zero; from t * sparse on (sqrt(t) * sparse with
    "l2"), P is.

    The minimum is a norm of its own, solved without P and Q: it is the largest <Z, W> over all Z whose columns have
    ||Z_j||_1 <= strength (||Z_j||_2 with "l2") and whose entries are at most `sparse`.

    Parameters
    ----------
    strength : float >= 0 or "auto"
        Of the shared part P; P is zero at and above the largest ||[x_kj' y_k]_k||_1 (or l2 norm) over features j.
    sparse : float >= 0 or "auto"
        Of the part Q; Q is zero at and above the largest |x_kj' y_k|.
    shared : "max" or "l2"
        The norm over tasks of a shared feature.

    Raises
    ------
    InputError
        For a strength that is negative, not finite or not a number, and another `shared`.

    References
    ----------
    Jalali, Ravikumar, Sanghavi, Ruan: A dirty model for multi-task learning, 2010, NIPS.

    Examples
    --------
    >>> dirty = Dirty(3.0, 2.0)
    >>> float(dirty([[1.0, 0.0], [1.0, 0.0], [5.0, 1.0]]))
    13.0
    >>> dirty.components([[1.0, 0.0], [1.0, 0.0], [5.0, 1.0]])["sparse"]
    array([[0., 0.],
           [0., 0.],
           [4., 1.]])
    """

    strength: Strength = 1.0
    sparse: Strength = 1.0
    shared: Literal["max", "l2"] = "max"

    formula: ClassVar[str] = "min over P + Q = W of strength * sum_j max_k |P_kj| + sparse * ||Q||_1"
    source: ClassVar[str] = "Jalali, Ravikumar, Sanghavi, Ruan 2010, A dirty model for multi-task learning"
    strengths: ClassVar[tuple[str, ...]] = ("strength", "sparse")

    def __post_init__(self) -> None:
        """Check the strengths and the norm."""
        for name in self.strengths:
            object.__setattr__(self, name, check_strength("Dirty", getattr(self, name), name))
        if self.shared not in SHARED:
            raise InputError(f"Dirty: shared={self.shared!r} is unknown; expected one of 'max', 'l2'.")

    def value(self, W: Array) -> Array:
        """Give the least cost of P + Q = W; W is (t, d)."""
        W, xp = read_w(W, owner="Dirty")
        strength, sparse = self._chosen()
        size = xp.abs(W)
        rank, ordered = _ranked(plain(size))
        if self.shared == "max":
            # <Z, W> at its largest: the largest |W_kj| of a column get `sparse` each, until `strength` is spent.
            return xp.sum(like(_spent(len(ordered), strength, sparse)[rank], W, xp) * size)
        count, _ = _saturated(ordered, strength, sparse)
        full = rank < count
        top = xp.sum(like(full, W, xp) * size)
        squares = xp.sum(like(~full, W, xp) * size * size, axis=0)
        zero = squares == 0
        roots = xp.where(zero, squares, xp.sqrt(xp.where(zero, xp.ones_like(squares), squares)))
        left = np.sqrt(np.maximum(strength**2 - count * sparse**2, 0.0))
        return sparse * top + xp.sum(like(left, W, xp) * roots)

    def prox(self, W: Array, step: float) -> Array:
        """Give W less its projection on the Z of the norm, times step: exact (not differentiable)."""
        W, xp = read_w(W, owner="Dirty")
        strength, sparse = self._chosen()
        values = plain(W)
        size = np.abs(values)
        if self.shared == "max":
            outside = size - np.clip(size - _threshold(size, step * strength, step * sparse), 0.0, step * sparse)
        else:
            _, scale = _saturated(_descending(size), step * strength, step * sparse)
            outside = size - np.minimum(np.minimum(scale, 1.0) * size, step * sparse)
        return like(np.sign(values) * outside, W, xp)

    def gauge(self, Z: Array) -> Array:
        """Give the larger of the two gauges: columns over `strength`, entries over `sparse`; Z is (t, d)."""
        Z, xp = read_w(Z, owner="Dirty")
        strength, sparse = self._chosen()
        columns = xp.sum(xp.abs(Z), axis=0) if self.shared == "max" else xp.sqrt(xp.sum(Z * Z, axis=0))
        return xp.maximum(xp.max(columns) / strength, xp.max(xp.abs(Z)) / sparse)

    def components(self, W: np.ndarray) -> dict[str, np.ndarray]:
        """Give P as "shared" and Q as "sparse": P is W cut off, in every feature at a level of its own."""
        values = plain(read_w(W, owner="Dirty")[0])
        strength, sparse = self._chosen()
        ordered = _descending(np.abs(values))
        beyond = np.vstack([ordered, np.zeros((1, ordered.shape[1]))])
        if self.shared == "max":
            level = beyond[int(np.sum(_spent(len(ordered), strength, sparse) >= sparse))]
        else:
            _, scale = _saturated(ordered, strength, sparse)
            level = np.divide(sparse, scale, out=np.full(scale.shape, np.inf), where=scale > 0)
        shared = np.clip(values, -level, level)
        return {"shared": shared, "sparse": values - shared}

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give the strength from which on its part is zero, and four decades below it."""
        if name == "sparse":
            return below(float(np.abs(correlation).max()))
        return below(float(np.linalg.norm(correlation, 1 if self.shared == "max" else 2, axis=0).max()))

    def idle(self, n_tasks: int, n_features: int) -> tuple[str, ...]:
        """Give the component that costs more than the other could ever save: one ball then lies in the other."""
        width = n_tasks if self.shared == "max" else np.sqrt(n_tasks)
        if n_tasks == 1 or self.vanishes:
            return ()
        strength, sparse = float(self.strength), float(self.sparse)
        if strength <= sparse:
            return ("sparse",)
        return ("shared",) if strength >= width * sparse else ()

    @property
    def vanishes(self) -> bool:
        """Whether a part costs nothing: it then takes all of W."""
        return self.strength == 0 or self.sparse == 0

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strengths 0.7 and 0.5."""
        return cls(0.7, 0.5)

    def _chosen(self) -> Sequence[float]:
        return [chosen("Dirty", getattr(self, name), name) for name in self.strengths]


def _ranked(size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place of each entry in its column's descending order, and the columns in that order."""
    order = np.argsort(-size, axis=0, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(len(size))[:, None], order.shape), axis=0)
    return rank, np.take_along_axis(size, order, axis=0)


def _spent(t: int, strength: float, sparse: float) -> np.ndarray:
    """(t,) what the largest, second largest, ... entry of a column gets of `strength`, at most `sparse` each."""
    return np.clip(strength - sparse * np.arange(t), 0.0, sparse)


def _threshold(size: np.ndarray, total: float, most: float) -> np.ndarray:
    """(d,) a c >= 0 at which the sum over a column of clip(size - c, 0, most) is at most `total`: as much as it can be.

    The sum falls with c, in straight pieces: Newton's method finds the piece, by halves where it leads astray.
    """
    level = np.zeros(size.shape[1])
    _levels(np.ascontiguousarray(size.T), float(total), float(most), level)
    return level


@compiled
def _levels(columns, total, most, level):  # type: ignore[no-untyped-def]
    """Fill `level` (d,) for the columns (d, t), entries >= 0."""
    d, t = columns.shape
    for j in range(d):
        column = columns[j]
        low, high, whole, cut = 0.0, 0.0, 0.0, 0.0
        for value in column:
            high = max(high, value)
            whole += value
            cut += min(value, most)
        if not cut > total:
            continue
        close = 4e-16 * high
        c = max((whole - total) / t, 0.0)
        for _ in range(200):
            reached, pieces = 0.0, 0
            for value in column:
                over = value - c
                inside = min(max(over, 0.0), most)
                reached += inside
                pieces += int(over > 0.0) & int(over < most)
            if reached > total:
                low = c
            else:
                high = c
            following = c + (reached - total) / pieces if pieces > 0 else -1.0
            if reached == total or (pieces > 0 and abs(following - c) <= close) or high - low <= close:
                c = following if low < following < high else c
                break
            c = following if low < following < high else 0.5 * (low + high)
        level[j] = c


def _descending(size: np.ndarray) -> np.ndarray:
    return -np.sort(-size.T, axis=1).T


def _saturated(ordered: np.ndarray, radius: float, most: float) -> tuple[np.ndarray, np.ndarray]:
    """How many entries of each column are cut off where min(scale * size, most) has l2 norm `radius`; and the scale.

    `ordered` (t, d) descends. Where even all of them cut off have a smaller norm, the scale is infinite.
    """
    t, d = ordered.shape
    tails = np.zeros((t + 1, d))
    tails[:t] = np.cumsum(np.square(ordered)[::-1], axis=0)[::-1]
    left = radius**2 - most**2 * np.arange(t + 1)[:, None]
    following = np.vstack([np.square(ordered), np.zeros((1, d))])
    # With s cut off, scale^2 = left_s / tail_s; right where it leaves the next one below `most`.
    fits = left * following <= most**2 * tails
    count = np.argmax(fits, axis=0)
    tail = np.take_along_axis(tails, count[None], axis=0)[0]
    rest = np.maximum(left[count, 0], 0.0)
    return count, np.sqrt(np.divide(rest, tail, out=np.full(d, np.inf), where=tail > 0))
