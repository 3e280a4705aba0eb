"""Subproblems on sparse rows: sweeps over what is stored, the centring of low rank beside it."""

from __future__ import annotations

import numpy as np

from relatask.linear.problem import Problem
from relatask.linear.solvers import kernels
from relatask.linear.sums.forms import Array, Bucket
from relatask.linear.sums.sparse_bucket import SparseBucket


class OverSparse:
    """Sweeps over sparse columns z_j + L r_j of the tasks; kept are Z w, and (g, L'(Z w + L g)) with g = R w."""

    def __init__(self, problem: Problem, strength: Array, ridge: float, W: Array) -> None:
        self.problem, self.strength, self.ridge, (t, s) = problem, strength, ridge, W.shape
        self.scale, width = np.empty(t), max(b.sparse_rows.right.shape[1] for b in self.buckets)
        first, shift = np.empty(t, dtype=np.int64), np.empty(t, dtype=np.int64)
        side, low = np.zeros((3, t, s, width)), np.zeros((2, t, width))
        squares = np.empty((t, s))
        index, values, starts, fits = [], [], [np.zeros(1, dtype=np.int64)], []
        begin = column = stored = 0
        for bucket in self.buckets:
            rows, k = bucket.sparse_rows, bucket.tasks
            own, m, _ = rows.shape
            place = np.zeros(len(k), dtype=np.int64) if own == 1 else np.arange(len(k))
            matrix = rows.matrix.tocsc()
            first[k], self.scale[k] = column + place * s, bucket.scale
            # Rows of a matrix that several tasks share are counted from 0, those of own rows on from task to task.
            shift[k] = begin + (np.arange(len(k)) * m if own == 1 else 0)
            index.append(matrix.indices.astype(np.int64))
            values.append(matrix.data)
            starts.append(matrix.indptr[1:].astype(np.int64) + stored)
            q = rows.right.shape[1]
            inside = rows.left.swapaxes(1, 2) @ rows.left
            side[0, k, :, :q] = rows.left_products().swapaxes(1, 2)
            side[1, k, :, :q] = rows.right.swapaxes(1, 2)
            side[2, k, :, :q] = side[0, k, :, :q] + rows.right.swapaxes(1, 2) @ inside
            squares[k] = bucket.diagonal()
            part = W[k]
            low[0, k, :q] = np.einsum("ksq,ks->kq", side[1, k, :, :q], part)
            low[1, k, :q] = np.einsum("ksq,ks->kq", side[2, k, :, :q], part)
            flat = part.T if own == 1 else part.reshape(-1, 1)
            fits.append((matrix @ flat).T.ravel())
            begin, column, stored = begin + len(k) * m, column + own * s, stored + len(matrix.data)
        self.stored = (first, shift, np.concatenate(starts), np.concatenate(index), np.concatenate(values))
        self.side, self.squares = side, squares
        self.coupling = np.zeros((0, 0)) if problem.coupling is None else problem.coupling
        v = np.atleast_1d(np.vdot(self.coupling, W) if len(self.coupling) else 0.0)
        self.arrays = [W.copy(), np.concatenate(fits), low, v]

    @property
    def buckets(self) -> tuple[SparseBucket, ...]:
        """The restricted buckets."""
        return tuple(b for b in self.problem.forms.buckets if isinstance(b, SparseBucket))

    def epoch(self, tol: float) -> float:
        """Sweep once; return the gain."""
        W, fit, low, v = self.arrays
        gained = kernels.sparse_sweep(
            self.stored, self.side, self.scale, self.squares, self.ridge, self.coupling, v, self.problem.cross, fit,
            low, W, self.strength,
        )  # fmt: skip
        return float(gained)

    def correlation(self) -> Array:
        """B - (H + ridge) W, (t, s)."""
        out = self.problem.cross - self.ridge * self.arrays[0]
        for bucket, fit in zip(self.buckets, self.fits(), strict=True):
            assert fit is not None
            product = bucket.sparse_rows.back(fit[:, None, :])[:, 0]
            out[bucket.tasks] -= bucket.scale[:, None] * product
        return out + self.arrays[3] * self.coupling if len(self.coupling) else out

    def refresh(self, correlation: Array) -> None:
        """Keep the fit: correlations are computed from it."""

    def fits(self) -> list[Array | None]:
        """(k, m) A_k w_k of every bucket."""
        _, fit, low, _ = self.arrays
        found: list[Array | None] = []
        begin = 0
        for bucket in self.buckets:
            rows, k = bucket.sparse_rows, bucket.tasks
            m, q = rows.shape[1], rows.right.shape[1]
            own = fit[begin : begin + len(k) * m].reshape(len(k), m)
            found.append(own + (rows.left @ low[0, k, :q, None])[:, :, 0])
            begin += len(k) * m
        return found


def is_sparse(buckets: tuple[Bucket, ...]) -> bool:
    """Whether all rows are sparse."""
    return all(isinstance(bucket, SparseBucket) for bucket in buckets)
