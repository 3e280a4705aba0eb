"""The scaled kernel of labels as an operator: products in tiles, never a whole (N, N) matrix beyond a bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.kernels.features import FeatureKernel
from relatask.linear.sums.forms import Array

TILE = 512


@dataclass(frozen=True, eq=False)
class Entries:
    """Labels in the order of their tasks, and their scaling.

    Attributes
    ----------
    row, task : (N,) which row and task each belongs to; tasks ascend.
    y, weight : (N,) labels and s_i.
    loss_weight : (t,) c_k.
    free : whether tasks have intercepts of their own.
    """

    row: NDArray[np.intp]
    task: NDArray[np.intp]
    y: Array
    weight: Array
    loss_weight: Array
    free: bool

    @cached_property
    def start(self) -> NDArray[np.intp]:
        """(t,) where each task begins."""
        return np.searchsorted(self.task, np.arange(len(self.loss_weight)))

    @cached_property
    def total(self) -> Array:
        """(t,) sums of weights."""
        return np.add.reduceat(self.weight, self.start)

    @cached_property
    def root(self) -> Array:
        """(N,) sqrt(c_k s_i)."""
        return np.sqrt(self.loss_weight[self.task] * self.weight)

    @cached_property
    def unit(self) -> Array:
        """(N,) of norm 1 within each task where intercepts are free, else 0."""
        return np.sqrt(self.weight / self.total[self.task]) if self.free else np.zeros(len(self.y))

    @cached_property
    def target(self) -> Array:
        """(N,) scaled labels, centred."""
        return self.centred(self.root * self.y)

    def means(self, values: Array) -> Array:
        """(t, ...) weighted means within tasks."""
        weight = self.weight.reshape(-1, *(1,) * (values.ndim - 1))
        total = self.total.reshape(-1, *(1,) * (values.ndim - 1))
        return np.asarray(np.add.reduceat(weight * values, self.start, axis=0) / total)

    def centred(self, V: Array) -> Array:
        """V (N,) or (N, q) with the direction of free intercepts taken out."""
        if not self.free:
            return V
        unit = self.unit.reshape(-1, *(1,) * (V.ndim - 1))
        return np.asarray(V - unit * np.add.reduceat(unit * V, self.start, axis=0)[self.task])

    def offset(self) -> float:
        """As `Energies` has it."""
        logs = 2 * float(np.log(self.root).sum())
        return logs - (float(np.log(self.loss_weight * self.total).sum()) if self.free else 0.0)


@dataclass(frozen=True, eq=False)
class Products:
    """Omega v for Omega_ij = T[k_i, k_j] K(x_i, x_j), without the scaling.

    Attributes
    ----------
    kernel : between rows.
    X : (n, d), or the (n, n) Gram of a precomputed kernel.
    between : (t, t) T.
    entries : the labels.
    memory : bytes that tiles may take; beyond, they are computed again for every product.
    """

    kernel: FeatureKernel
    X: Array
    between: Array
    entries: Entries
    memory: float
    counts: dict[str, int] = field(default_factory=lambda: {"products": 0, "tiles": 0})

    @property
    def by_rows(self) -> bool:
        """Whether rows have several labels, so that the kernel of rows is smaller than that of labels."""
        return len(self.X) < len(self.entries.y)

    @property
    def stored(self) -> bool:
        """Whether the tiles are kept."""
        n = len(self.X) if self.by_rows else len(self.entries.y)
        return n * (n + TILE) / 2 * 8 <= self.memory

    def __call__(self, V: Array) -> Array:
        """(N, q) Omega V."""
        self.counts["products"] += V.shape[1]
        if not self.by_rows:
            return self._product(V)
        n, t, q = len(self.X), len(self.between), V.shape[1]
        spread = np.zeros((n, q, t))
        spread[self.entries.row, :, self.entries.task] = V
        mixed = self._product((spread @ self.between).reshape(n, -1)).reshape(n, q, t)
        return mixed[self.entries.row, :, self.entries.task]

    def columns(self, places: NDArray[np.intp]) -> Array:
        """(N, m) columns of Omega."""
        e = self.entries
        rows, which = np.unique(e.row[places], return_inverse=True)
        out = self._between(np.arange(len(self.X)), rows)[e.row][:, which] if self.by_rows else None
        if out is None:
            out = self._between(e.row, e.row[places])
        out *= self.between[e.task[places]].T[e.task]
        return out

    def block(self, part: slice) -> Array:
        """Omega of some labels with themselves."""
        e = self.entries
        own = self.between[e.task[part]][:, e.task[part]]
        return np.asarray(self._between(e.row[part], e.row[part]) * own)

    def diagonal(self) -> Array:
        """(N,) of Omega."""
        e = self.entries
        own = np.diagonal(self.X) if self.kernel.precomputed else self.kernel.diagonal(self.X)
        return np.asarray(own[e.row] * np.diagonal(self.between)[e.task])

    def dense(self) -> Array:
        """(N, N) Omega."""
        e = self.entries
        size = len(self.X) if self.by_rows else len(e.y)
        out = np.empty((size, size))
        for first, second, tile in self._made():
            out[first, second] = tile
            out[second, first] = tile.T
        if self.by_rows:
            return out[np.ix_(e.row, e.row)] * self.between[np.ix_(e.task, e.task)]
        return out

    def _product(self, V: Array) -> Array:
        out = np.zeros_like(V)
        for first, second, tile in self._tiles if self.stored else self._made():
            out[first] += tile @ V[second]
            if first != second:
                out[second] += tile.T @ V[first]
        return out

    @cached_property
    def _tiles(self) -> list[tuple[slice, slice, Array]]:
        return list(self._made())

    def _made(self) -> Iterator[tuple[slice, slice, Array]]:
        """The upper triangle: of the kernel of rows where rows have several labels, else of labels."""
        e = self.entries
        size = len(self.X) if self.by_rows else len(e.y)
        parts = [slice(i, min(i + TILE, size)) for i in range(0, size, TILE)]
        for a, first in enumerate(parts):
            for second in parts[a:]:
                self.counts["tiles"] += 1
                if self.by_rows:
                    yield first, second, self._between(np.arange(size)[first], np.arange(size)[second])
                    continue
                tile = self._between(e.row[first], e.row[second])
                own = e.task[first]
                # Tasks ascend: a task's rows are multiplied at once.
                ends = [*(np.flatnonzero(np.diff(own)) + 1).tolist(), len(own)]
                for start, stop in zip([0, *ends], ends, strict=False):
                    tile[start:stop] *= self.between[own[start]][e.task[second]]
                yield first, second, tile

    def _between(self, rows: Any, columns: Any) -> Array:
        if self.kernel.precomputed:
            return self.X[np.ix_(rows, columns)]
        return self.kernel.between(self.X[rows], self.X[columns])


@dataclass(frozen=True, eq=False)
class Scaled:
    """S = C sqrt(w) Omega sqrt(w) C, with C centring within tasks where intercepts are free."""

    products: Products

    def __call__(self, V: Array, _: NDArray[np.intp]) -> Array:
        """(N, q) S V."""
        e = self.products.entries
        return e.centred(e.root[:, None] * self.products(e.root[:, None] * e.centred(V)))

    def dense(self) -> Array:
        """(N, N) S."""
        e = self.products.entries
        out = self.products.dense()
        out *= e.root
        out *= e.root[:, None]
        if e.free:
            for start, stop in zip(e.start, np.append(e.start[1:], len(e.y)), strict=True):
                unit = e.unit[start:stop]
                out[start:stop] -= np.multiply.outer(unit, unit @ out[start:stop])
            for start, stop in zip(e.start, np.append(e.start[1:], len(e.y)), strict=True):
                unit = e.unit[start:stop]
                out[:, start:stop] -= np.multiply.outer(out[:, start:stop] @ unit, unit)
        return out
