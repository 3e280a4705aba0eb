"""Subproblems on a working set: ways to sweep, chosen by counts.

Each holds `arrays`: W (t, s) and what depends linearly on it, so that a combination of iterates whose weights sum to
1 is an iterate. `correlation()` is B - (H + ridge) W, `square()` is <W, (H + ridge) W>.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from relatask.linear.problem import Problem
from relatask.linear.solvers import kernels
from relatask.linear.solvers.alive import pick
from relatask.linear.solvers.sparse_inner import OverSparse, is_sparse
from relatask.linear.sums.forms import Array, Bucket, Forms
from relatask.linear.sums.sparse_bucket import SparseBucket

GRAM = 320
"""Working sets up to this size are swept over their Gram, where rows are held and no more are than twice the size."""

BLOCK = 64
"""Features that are swept together where rows are shared: their correlations come from one product."""

SWEEPS = 3
"""Sweeps over a Gram between two iterates."""

NONE = np.zeros((0, 0))


@dataclass(frozen=True, eq=False)
class Local:
    """A problem on a working set: Gram or columns (k or 1, s, m) of each bucket, B, u, strengths and ridge."""

    problem: Problem
    strength: Array
    ridge: float
    rowwise: bool

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """The restricted buckets; `rows` are kept as (k, s, m), features first."""
        return self.problem.forms.buckets


class Inner(Protocol):
    """What all ways offer."""

    arrays: list[Array]

    def epoch(self, tol: float) -> float:
        """Sweep, within blocks until that gains less than tol; return the gain."""
        ...

    def correlation(self) -> Array:
        """B - (H + ridge) W, (t, s)."""
        ...

    def refresh(self, correlation: Array) -> None:
        """Take correlations that were computed afresh, where they are kept."""
        ...

    def fits(self) -> list[Array | None]:
        """(k, m) X_k w_k of every bucket, where they are kept."""
        ...


def localise(problem: Problem, chosen: NDArray[np.intp], strength: Array, ridge: float) -> Local:
    """Restrict a problem to some columns (1, s), or to (t, s) of each task."""
    given, s = problem.forms.buckets, chosen.shape[1]
    # Sparse rows stay sparse where a Gram would be too large; beside tasks of Grams a set's columns are written out.
    kept = is_sparse(given) and not _is_small(s, min(b.height for b in given))
    pairs = [(b, chosen[0] if len(chosen) == 1 else chosen[b.tasks]) for b in given]
    buckets = tuple(b.restricted(c) if kept and isinstance(b, SparseBucket) else _bucket(b, c) for b, c in pairs)
    coupling = None if problem.coupling is None else pick(problem.coupling, chosen)
    forms = Forms(buckets, problem.forms.n_tasks, chosen.shape[1])
    local = replace(problem, forms=forms, cross=pick(problem.cross, chosen), coupling=coupling)
    return Local(local, pick(strength, chosen), ridge, len(strength) != problem.shape[0])


def _bucket(bucket: Bucket, columns: NDArray[np.intp]) -> Bucket:
    """Some columns (s,) of a bucket, or (k, s) of each task; rows become (k, s, m)."""
    if isinstance(bucket, SparseBucket):
        written = bucket.sparse_rows.columns(columns)
        return Bucket(bucket.tasks, bucket.scale, rows=np.ascontiguousarray(written.swapaxes(1, 2)))
    base = bucket.base
    if columns.ndim == 1 and bucket.gram is not None:
        return replace(bucket, gram=np.ascontiguousarray(base[:, columns][:, :, columns]))
    if columns.ndim == 1:
        return replace(bucket, rows=np.ascontiguousarray(base[:, :, columns].swapaxes(1, 2)))
    if bucket.gram is not None:
        return replace(bucket, gram=np.array([g[np.ix_(c, c)] for g, c in zip(base, columns, strict=True)]))
    return replace(bucket, rows=np.array([x[:, c].T for x, c in zip(base, columns, strict=True)]))


def _is_small(s: int, height: int) -> bool:
    """Whether s features are swept over their Gram, where the shortest task has `height` rows."""
    return s <= min(GRAM, max(BLOCK, 2 * height))


def inner(local: Local, W: Array, correlation: Array) -> Inner:
    """The way that needs fewest operations a sweep.

    A sweep over a Gram costs s a feature and task, one over columns 4 m, but a Gram must be formed; shared columns
    are multiplied in blocks, ten times faster than one by one.
    """
    if is_sparse(local.buckets):
        return OverSparse(local.problem, local.strength, local.ridge, W)
    s, held = W.shape[1], [b for b in local.buckets if b.gram is None]
    shortest = min((b.base.shape[2] for b in held), default=0)
    if not held or _is_small(s, shortest):
        return OverGram(local, W, correlation)
    if len(held) == len(local.buckets) and not any(b.shared and len(b.tasks) > 1 for b in held):
        return OverOwn(local, W)
    return OverBlocks(local, W)


class OverGram:
    """Sweeps over a Gram of the working set; the correlations are kept."""

    def __init__(self, local: Local, W: Array, correlation: Array) -> None:
        self.local = local
        self.gram, self.which, self.scale = bases([base_gram(b) for b in local.buckets], local)
        self.arrays = [W.copy(), correlation.copy()]

    def epoch(self, tol: float) -> float:
        """Sweep, within blocks until that gains less than tol; return the gain."""
        local, (W, R) = self.local, self.arrays
        sweep = kernels.sweep_rows if local.rowwise else kernels.sweep_entries
        coupling = NONE if local.problem.coupling is None else local.problem.coupling
        gain = sweep(
            self.gram, self.which, self.scale, local.ridge, coupling, R, W, local.strength, SWEEPS, tol
        )  # fmt: skip
        return float(gain)

    def correlation(self) -> Array:
        """B - (H + ridge) W, (t, s)."""
        return self.arrays[1]

    def refresh(self, correlation: Array) -> None:
        """Take correlations that were computed afresh, where they are kept."""
        self.arrays[1] = correlation.copy()

    def fits(self) -> list[Array | None]:
        """None is kept."""
        return [None] * len(self.local.buckets)


class OverBlocks:
    """Sweeps over the Grams of blocks of features; the fit of every bucket is kept, products go over whole blocks."""

    def __init__(self, local: Local, W: Array) -> None:
        self.local = local
        s = W.shape[1]
        self.blocks = [slice(a, min(a + BLOCK, s)) for a in range(0, s, BLOCK)]
        self.grams = [bases([base_gram(_block(b, block)) for b in local.buckets], local) for block in self.blocks]
        self.arrays = [W.copy(), *(_product(b, W[b.tasks]) for b in local.buckets)]
        if local.problem.coupling is not None:
            self.arrays.append(np.atleast_1d(np.vdot(local.problem.coupling, W)))

    def epoch(self, tol: float) -> float:
        """Sweep, within blocks until that gains less than tol; return the gain."""
        local, W = self.local, self.arrays[0]
        sweep = kernels.sweep_rows if local.rowwise else kernels.sweep_entries
        coupling, gain = local.problem.coupling, 0.0
        for block, (gram, which, scale) in zip(self.blocks, self.grams, strict=True):
            part, R = np.ascontiguousarray(W[:, block]), self._correlation(block)
            u = NONE if coupling is None else np.ascontiguousarray(coupling[:, block])
            strength = np.ascontiguousarray(local.strength[:, block])
            before = part.copy()
            gain += sweep(gram, which, scale, local.ridge, u, R, part, strength, 2, tol / len(self.blocks))
            change = part - before
            if not change.any():
                continue
            W[:, block] = part
            for bucket, fit in zip(local.buckets, self.arrays[1:], strict=False):
                fit += _product(_block(bucket, block, whole=True), change[bucket.tasks])
            if coupling is not None:
                self.arrays[-1] += np.vdot(u, change)
        return gain

    def correlation(self) -> Array:
        """B - (H + ridge) W, (t, s)."""
        return self._correlation(slice(None))

    def refresh(self, correlation: Array) -> None:
        """Keep the fit: correlations are computed from it."""

    def fits(self) -> list[Array | None]:
        """(k, m) X_k w_k of every bucket of rows."""
        pairs = zip(self.local.buckets, self.arrays[1:], strict=False)
        return [fit if bucket.gram is None else None for bucket, fit in pairs]

    def _correlation(self, block: slice) -> Array:
        local, W = self.local, self.arrays[0]
        out = local.problem.cross[:, block] - local.ridge * W[:, block]
        for bucket, fit in zip(local.buckets, self.arrays[1:], strict=False):
            if bucket.gram is not None:
                out[bucket.tasks] -= bucket.scale[:, None] * fit[:, block]
                continue
            assert bucket.rows is not None
            columns = bucket.rows[:, block]
            if bucket.shared:
                out[bucket.tasks] -= bucket.scale[:, None] * (fit @ columns[0].T)
            else:
                out[bucket.tasks] -= bucket.scale[:, None] * (columns @ fit[:, :, None])[:, :, 0]
        if local.problem.coupling is not None:
            out += self.arrays[-1] * local.problem.coupling[:, block]
        return out


class OverOwn:
    """Sweeps over columns that lie end to end, where every task has rows of its own; their fit is kept."""

    def __init__(self, local: Local, W: Array) -> None:
        self.local, (t, s) = local, W.shape
        lengths = np.zeros(t, dtype=np.intp)
        self.scale = np.empty(t)
        for bucket in local.buckets:
            lengths[bucket.tasks], self.scale[bucket.tasks] = bucket.base.shape[2], bucket.scale
        self.ends = np.concatenate([[0], np.cumsum(lengths)])
        self.columns = np.empty((s, self.ends[-1]))
        for bucket in local.buckets:
            for k, rows in zip(bucket.tasks, bucket.base, strict=True):
                self.columns[:, self.ends[k] : self.ends[k + 1]] = rows
        fit = np.concatenate([W[k] @ self.columns[:, self.ends[k] : self.ends[k + 1]] for k in range(t)])
        squares = np.add.reduceat(self.columns**2, self.ends[:-1], axis=1).T
        self.squares = np.ascontiguousarray(squares * self.scale[:, None])
        self.coupling = NONE if local.problem.coupling is None else local.problem.coupling
        v = np.zeros(1) if local.problem.coupling is None else np.atleast_1d(np.vdot(self.coupling, W))
        self.arrays = [W.copy(), fit, v]

    def epoch(self, tol: float) -> float:
        """Sweep, within blocks until that gains less than tol; return the gain."""
        local, (W, Z, v) = self.local, self.arrays
        sweep = kernels.own_rows if local.rowwise else kernels.own_entries
        cross = local.problem.cross
        gained = sweep(
            self.columns, self.ends, self.scale, self.squares, local.ridge, self.coupling, v, cross, Z, W,
            local.strength,
        )  # fmt: skip
        return float(gained)

    def correlation(self) -> Array:
        """B - (H + ridge) W, (t, s)."""
        local, (W, Z, v) = self.local, self.arrays
        products = kernels.own_products(self.columns, self.ends, Z)
        out = local.problem.cross - self.scale[:, None] * products - local.ridge * W
        return np.asarray(out + v * self.coupling if len(self.coupling) else out)

    def refresh(self, correlation: Array) -> None:
        """Keep the fit: correlations are computed from it."""

    def fits(self) -> list[Array | None]:
        """(k, m) X_k w_k of every bucket."""
        Z, ends = self.arrays[1], self.ends
        return [np.array([Z[ends[k] : ends[k + 1]] for k in b.tasks]) for b in self.local.buckets]


def base_gram(bucket: Bucket) -> Array:
    """(k or 1, s, s) Grams of a restricted bucket."""
    if bucket.gram is not None:
        return bucket.gram
    assert bucket.rows is not None
    return bucket.rows @ bucket.rows.swapaxes(1, 2)


def bases(grams: list[Array], local: Local) -> tuple[Array, NDArray[np.intp], Array]:
    """All buckets' Grams end to end, which one each task has, and each task's factor."""
    t = local.problem.forms.n_tasks
    which, scale, start = np.empty(t, dtype=np.intp), np.empty(t), 0
    for bucket, gram in zip(local.buckets, grams, strict=True):
        which[bucket.tasks] = start + (0 if len(gram) == 1 else np.arange(len(gram)))
        scale[bucket.tasks] = bucket.scale
        start += len(gram)
    return grams[0] if len(grams) == 1 else np.concatenate(grams), which, scale


def _block(bucket: Bucket, block: slice, whole: bool = False) -> Bucket:
    """Some features of a restricted bucket; of a Gram their rows alone where `whole`."""
    if bucket.gram is not None:
        return replace(
            bucket, gram=bucket.gram[:, block] if whole else np.ascontiguousarray(bucket.gram[:, block, block])
        )
    assert bucket.rows is not None
    return replace(bucket, rows=bucket.rows[:, block])


def _product(bucket: Bucket, W: Array) -> Array:
    """(k, m) W times the columns, or (k, s) times the Gram."""
    base = bucket.base
    return W @ base[0] if bucket.shared else (W[:, None, :] @ base)[:, 0]
