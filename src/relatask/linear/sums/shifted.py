"""Systems (G_k + shift_k I) w = b of one shift a task: by Cholesky factors where that is safe, else by spectra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from relatask.linear.sums import batched
from relatask.linear.sums.forms import Array, Bucket, Forms, SpectrumBucket, sandwich
from relatask.linear.sums.sparse_bucket import SparseBucket

SOME = 64
"""Forms that are copied at a time."""

SAFE = 1e-6
"""A shift below this share of a form's diagonal is left to the spectrum: inverses would lose digits."""


@dataclass(frozen=True, eq=False)
class Inverses:
    """(G_k + shift I)^-1 of tasks whose forms are Grams, written out: (k, d, d)."""

    tasks: NDArray[np.intp]
    blocks: Array

    def apply(self, B: Array) -> Array:
        """Multiply (k, s, d) vectors."""
        return B @ self.blocks

    def gain(self, forms: Forms, ridge: float, pull: float) -> Array:
        """sum_k (G_k + ridge I) times the inverse."""
        d = forms.n_features
        out = ridge * self.blocks.sum(0)
        bucket = next(b for b in forms.buckets if b.tasks is self.tasks)
        assert bucket.gram is not None
        # Some tasks at a time, because their forms are scaled copies.
        for a in range(0, len(self.tasks), SOME):
            some = slice(a, a + SOME)
            own = bucket.gram[some] * bucket.scale[some, None, None]
            out += self.blocks[some].reshape(-1, d).T @ own.reshape(-1, d)
        return 0.5 * (out + out.T)


@dataclass(frozen=True, eq=False)
class Whitened:
    """(scale X'X + shift I)^-1 = (I - Z'Z) / shift of tasks of few rows X, LL' = scale XX' + shift I.

    Attributes
    ----------
    tasks : (k,) positions.
    rows : (k, m, d) Z = scale^1/2 L^-1 X.
    shift : (k,) > 0.
    """

    tasks: NDArray[np.intp]
    rows: Array
    shift: Array

    def apply(self, B: Array) -> Array:
        """Multiply (k, s, d) vectors."""
        return (B - sandwich(B, self.rows)) / self.shift[:, None, None]

    def gain(self, forms: Forms, ridge: float, pull: float) -> Array:
        """sum_k (ridge I + pull Z'Z) / (ridge + pull): a sum of what is positive, so that nothing cancels."""
        flat = self.rows.reshape(-1, forms.n_features)
        out = (pull / (ridge + pull)) * (flat.T @ flat)
        out[np.diag_indices(forms.n_features)] += len(self.tasks) * (ridge / (ridge + pull))
        return np.asarray(out, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Spectral:
    """(G_k + shift I)^-1, the pseudo-inverse where the shift is 0, of tasks whose shift is too small to be safe."""

    tasks: NDArray[np.intp]
    spectrum: SpectrumBucket
    factors: tuple[Array, Array]

    def apply(self, B: Array) -> Array:
        """Multiply (k, s, d) vectors."""
        return self.spectrum.combine(B, *self.factors)


@dataclass(frozen=True, eq=False)
class Shifted:
    """All tasks' (G_k + shift_k I)^-1, as a function of (t, s, d) vectors."""

    parts: tuple[Inverses | Whitened | Spectral, ...]

    def __call__(self, B: Array) -> Array:
        """Multiply."""
        if len(self.parts) == 1 and bool((self.parts[0].tasks == np.arange(len(B))).all()):
            return self.parts[0].apply(B)
        out = np.empty_like(B)
        for part in self.parts:
            out[part.tasks] = part.apply(B[part.tasks])
        return out

    @property
    def is_safe(self) -> bool:
        """Whether no task was left to its spectrum."""
        return not any(isinstance(part, Spectral) for part in self.parts)

    def gain(self, forms: Forms, ridge: float, pull: float) -> Array:
        """sum_k (G_k + ridge I)(G_k + (ridge + pull) I)^-1, (d, d), where the shift is ridge + pull and safe."""
        total = np.zeros((forms.n_features, forms.n_features))
        for part in self.parts:
            assert not isinstance(part, Spectral)
            total += part.gain(forms, ridge, pull)
        return total


def shifted(forms: Forms, shift: Array) -> Callable[[Array], Array]:
    """Give the function B -> (G_k + shift I)^-1 b.

    `shift` is (t, s), >= 0; where it is 0 the pseudo-inverse is meant. B is (t, s, d), or (t, 1, d) for all s.
    A Cholesky factor costs a tenth of an eigendecomposition, which pays only for a second shift.
    """
    one = one_shift(forms, shift[:, 0]) if shift.shape[1] == 1 else None
    return forms.spectrum.shifted(shift) if one is None else one


def one_shift(forms: Forms, shift: Array) -> Shifted | None:
    """Factor every task's form with one shift (t,).

    None where the spectra are known, tasks share one base, or rows are sparse: their factors would not be.
    """
    if "spectrum" in forms.__dict__ or not all(type(b) is Bucket and _own(b) for b in forms.buckets):
        return None
    if any(isinstance(b, SparseBucket) for b in forms.buckets):
        return None
    parts: list[Inverses | Whitened | Spectral] = []
    for bucket in forms.buckets:
        own = shift[bucket.tasks]
        safe = own > SAFE * bucket.diagonal().max(axis=1, initial=0.0)
        for chosen, kept in ((safe, True), (~safe, False)):
            if not chosen.any():
                continue
            part, p = _some(bucket, chosen), own[chosen]
            if not kept:
                spectrum = part.spectrum()
                parts.append(Spectral(part.tasks, spectrum, spectrum.factors(p[:, None])))
            elif part.gram is not None:
                parts.append(Inverses(part.tasks, _inverses(part.gram, part.scale, p)))
            else:
                assert part.rows is not None
                # A task of scale 0 has no data: nothing is whitened, and its inverse is 1 / shift.
                parts.append(Whitened(part.tasks, _whitened(part.rows, part.scale, p), p))
    return Shifted(tuple(parts))


def inverse(matrix: Array) -> Array | None:
    """The inverse of a positive definite matrix, exactly symmetric; None where it is not definite."""
    factor, failed = lapack.dpotrf(matrix.T, lower=1)
    if failed:
        return None
    root, failed = lapack.dtrtri(factor, lower=1)
    return None if failed else np.dot(root.T, root)


def some_tasks(forms: Forms, chosen: NDArray[np.bool_]) -> Forms:
    """The forms without those of the other tasks, whose places stay: nothing may be asked of them."""
    buckets = []
    for bucket in forms.buckets:
        own = chosen[bucket.tasks]
        if own.any():
            buckets.append(_some(bucket, own) if type(bucket) is Bucket and _own(bucket) else bucket)
    return replace(forms, buckets=tuple(buckets))


def _own(bucket: Bucket) -> bool:
    """Whether each task has a base of its own."""
    return len(bucket.base) == len(bucket.tasks)


def _some(bucket: Bucket, chosen: NDArray[np.bool_]) -> Bucket:
    """The bucket of some of its tasks, each with a base of its own."""
    if chosen.all():
        return bucket
    gram = None if bucket.gram is None else bucket.gram[chosen]
    rows = None if bucket.rows is None else bucket.rows[chosen]
    return replace(bucket, tasks=bucket.tasks[chosen], scale=bucket.scale[chosen], gram=gram, rows=rows)


def _inverses(gram: Array, scale: Array, shift: Array) -> Array:
    if len(gram) >= batched.MANY and gram.shape[1] <= batched.SMALL:
        together = batched.inverses(gram, scale, shift)
        if together is not None:
            return together
    out = np.empty_like(gram)
    diagonal = np.diag_indices(gram.shape[1])
    for k in range(len(gram)):
        matrix = gram[k] * scale[k]
        matrix[diagonal] += shift[k]
        found = inverse(matrix)
        assert found is not None, "a positive semidefinite form with a safe shift is definite"
        out[k] = found
    return out


def _whitened(rows: Array, scale: Array, shift: Array) -> Array:
    out = np.empty_like(rows)
    diagonal = np.diag_indices(rows.shape[1])
    for k in range(len(rows)):
        x = rows[k]
        matrix = (x @ x.T) * scale[k]
        matrix[diagonal] += shift[k]
        factor, failed = lapack.dpotrf(matrix.T, lower=1, overwrite_a=1)
        assert not failed, "a positive semidefinite form with a safe shift is definite"
        # Solved on the right, because x' is contiguous in LAPACK's order.
        out[k] = blas.dtrsm(np.sqrt(scale[k]), factor, x.T, side=1, lower=1, trans_a=1).T
    return out
