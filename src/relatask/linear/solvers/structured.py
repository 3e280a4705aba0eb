"""Exact inverses of blockdiag(G_k) + P x I, one per structure of P; each for several strengths at once.

A factor is a function from right-hand sides (t, s, d) to solutions (t, s, d), slice s solved with the s-th precision.
Where the matrix is singular the solution is the one of minimum norm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relatask.linear.solvers.family import Family
from relatask.linear.sums import common
from relatask.linear.sums.forms import ROUNDING, Array, Bucket, Forms, SpectrumBucket
from relatask.linear.sums.shifted import inverse, one_shift, shifted
from relatask.relations.edges import Edges, Elimination
from relatask.relations.precision import Diagonal, LowRank, Precision

Factor = Callable[[Array], Array]

NULL = 1e-11
"""Eigenvalues below this share of the largest possible one count as zero."""

KRONECKER_TASKS = 3_000
"""Up to this many tasks a dense eigendecomposition of P is worth its t^3."""


def factorise(forms: Forms, family: Family) -> Factor | None:
    """Give the cheapest exact factor for these precisions of one structure, or None where there is none."""
    # The strongest: a strength of 0 has no edges to tell the structure by.
    first = family.member(len(family) - 1)
    if isinstance(first, Diagonal):
        return _diagonal(forms, family.diagonal())
    units = [complete_graph(unit) for unit in family.units]
    if all(unit is not None for unit in units):
        # Part by part, because a weak ridge would drown in the sum with a strong pull.
        return _complete(forms, np.array([unit for unit in units if unit is not None]).T @ family.strengths)
    if forms.shared is not None and first.n_tasks <= KRONECKER_TASKS:
        return _kronecker(forms.shared, family)
    # Elimination fills a (d, d) block a task, which tasks of few rows do not hold.
    grams = all(bucket.gram is not None for bucket in forms.buckets)
    if isinstance(first, Edges) and grams and (order := first.elimination_order()):
        return _forest(forms, order, [p for p in family.members() if isinstance(p, Edges)])
    return None


def complete_graph(precision: Precision) -> tuple[float, float] | None:
    """Give (ridge, pull) where P = ridge I + pull (I - 11'/t), else None."""
    if isinstance(precision, Diagonal):
        ridge = precision.values[0]
        return (float(ridge), 0.0) if (precision.values == ridge).all() else None
    if not isinstance(precision, LowRank):
        return None
    base, t = precision.base[0], precision.n_tasks
    column = precision.factor[:1]
    if (precision.base != base).any() or (precision.factor != column).any():
        return None
    pull = -t * float(precision.weights @ np.square(column[0]))
    ridge = base - pull
    if pull < 0 or ridge < -NULL * base:
        return None
    # What cancels up to rounding is no ridge.
    return (ridge if ridge > NULL * base else 0.0), pull


def _diagonal(forms: Forms, shift: Array) -> Factor:
    """Each task for itself."""
    return shifted(forms, shift)


def _complete(forms: Forms, strengths: Array) -> Factor:
    """Every task is pulled to the mean m of all: eliminating the tasks leaves a (d, d) system for m.

    `strengths` (2, s) are ridges and pulls.

    With G' = G + ridge I the system is sum_k (G'_k + pull I)^-1 G'_k m = sum_k (G'_k + pull I)^-1 b_k, which unlike
    Woodbury's identity loses no digits where P is singular.
    """
    t = forms.n_tasks
    ridge, pull = strengths
    total = ridge + pull
    own = one_shift(forms, np.full(t, total[0])) if len(total) == 1 else None
    if own is not None and own.is_safe:
        blocks: Factor = own
        for_mean: Factor = _gain_inverses([own.gain(forms, ridge[0], pull[0])])
    else:
        blocks = forms.spectrum.shifted(np.broadcast_to(total, (t, len(total))))
        for_mean = gain_inverses(forms, strengths)

    return Complete(forms, blocks, for_mean, ridge, pull)


@dataclass(frozen=True, eq=False)
class Complete:
    """The factor of a complete graph: each task's own, and the (d, d) system for the mean."""

    forms: Forms
    blocks: Factor
    for_mean: Factor
    ridge: Array
    pull: Array

    def __call__(self, B: Array) -> Array:
        """Solve."""
        mean = self.for_mean(self.blocks(B).sum(0)) * (self.pull > 0)[:, None]
        # mean + (G' + pull I)^-1 (b - G' mean), not (G' + pull I)^-1 (b + pull mean): a strong pull drowns b.
        means = np.repeat(mean[None], len(B), axis=0)
        return mean + self.blocks(B - self.forms.apply(means) - self.ridge[:, None] * means)


@dataclass(frozen=True, eq=False)
class Inverted:
    """Solves with each of s systems (d, d), their `inverses` (s, d, d) written out."""

    inverses: Array

    def __call__(self, b: Array) -> Array:
        """Solve with (s, d)."""
        return np.einsum("sde,se->sd", self.inverses, b)


def gain_inverses(forms: Forms, strengths: Array) -> Inverted | InvertedByRows:
    """Invert gain = sum_k (G_k + ridge I)(G_k + (ridge + pull) I)^-1 for ridges and pulls (2, s)."""
    if common.is_few(forms):
        return _sparse_gain_inverses(forms, strengths)
    return _gain_inverses([forms.spectrum.gain(r, p) for r, p in strengths.T])


def _gain_inverses(gains: Sequence[Array]) -> Inverted:
    return Inverted(np.stack([pseudo_inverse(gain) for gain in gains]))


@dataclass(frozen=True, eq=False)
class InvertedByRows:
    """The same by products with the rows of all tasks: of each system its spectrum, and what solves with it."""

    solvers: tuple[tuple[SpectrumBucket, Array, Array], ...]

    def __call__(self, b: Array) -> Array:
        """Solve with (s, d)."""
        return np.stack([self.each(s, v[None])[0] for s, v in enumerate(b)])

    def each(self, s: int, b: Array) -> Array:
        """Solve system s with several right-hand sides (r, d)."""
        spectrum, within, outside = self.solvers[s]
        return spectrum.combine(b[None], within, outside)[0]


def _sparse_gain_inverses(forms: Forms, strengths: Array) -> InvertedByRows:
    solvers = []
    for r, p in strengths.T:
        spectrum, outside = common.gain(forms, r, p)
        solvers.append((spectrum, *spectrum.factors(np.full((1, 1), outside))))
    return InvertedByRows(tuple(solvers))


def _kronecker(bucket: Bucket, family: Family) -> Factor:
    """All tasks share G: with C = diag(scale), the eigenvectors of C^-1/2 P C^-1/2 and of G solve everything."""
    spectrum = bucket.spectrum()
    values = spectrum.values[0] / bucket.scale[0]
    root = np.sqrt(bucket.scale)
    eigen = eigen_path(family, root)

    def invert(total: Array) -> Array:
        # What is rounding in P or in G is zero already, each beside its own largest: P may be 1e12 times as strong.
        return np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)

    def solve(B: Array) -> Array:
        out = np.empty_like(B)
        for s, (p, basis) in enumerate(eigen):
            rotated = basis.T @ (B[:, s] / root[:, None])
            inside = spectrum.inside(rotated[None])
            solved = spectrum.outward(inside * invert(p[:, None] + values))[0]
            if not spectrum.full:
                solved += (rotated - spectrum.outward(inside)[0]) * invert(p)[:, None]
            out[:, s] = (basis @ solved) / root[:, None]
        return out

    return solve


def eigen_path(family: Family, root: Array) -> list[tuple[Array, Array]]:
    """Eigendecompositions of diag(1/root) P_s diag(1/root); one for all where a single part makes the path."""
    scale = np.multiply.outer(root, root)
    if len(family.units) == 1:
        values, basis = np.linalg.eigh(family.units[0].dense() / scale)
        return [(strength * _without_rounding(values), basis) for strength in family.strengths[0]]
    pairs = (np.linalg.eigh(p.dense() / scale) for p in family.members())
    return [(_without_rounding(values), basis) for values, basis in pairs]


def _without_rounding(values: Array) -> Array:
    """Ascending eigenvalues, those that are rounding set to 0."""
    return np.where(values > ROUNDING * len(values) * values[-1], values, 0.0)


def _forest(forms: Forms, order: Elimination, precisions: Sequence[Edges]) -> Forest:
    """Block elimination from the leaves to the roots of a chain, a tree, or several."""
    return Forest(order, *eliminated(forms, order, precisions))


@dataclass(frozen=True, eq=False)
class Forest:
    """The factor of a forest, as `eliminated` left it."""

    elimination: Elimination
    inverses: Array
    weight: Array

    def __call__(self, B: Array) -> Array:
        """Solve."""
        (nodes, parent), inverses, weight = self.elimination, self.inverses, self.weight
        right, out = B.copy(), np.empty_like(B)
        for k in nodes:
            out[k] = (inverses[k] @ right[k][:, :, None])[:, :, 0]
            if parent[k] >= 0:
                right[parent[k]] += weight[k][:, None] * out[k]
        for k in nodes[::-1]:
            if parent[k] >= 0:
                out[k] += weight[k][:, None] * (inverses[k] @ out[parent[k]][:, :, None])[:, :, 0]
        return out


def eliminated(forms: Forms, elimination: Elimination, precisions: Sequence[Edges]) -> tuple[Array, Array]:
    """Eliminate the tasks of a forest from the leaves to the roots, for several precisions.

    A node that was eliminated leaves its parent the parallel sum a E (E + a I)^-1 of its own form E and the edge's
    weight a, which is positive semidefinite by construction at every strength.

    Returns
    -------
    inverses : (t, s, d, d) of E + a I; at a root the pseudo-inverse of E
    weight : (t, s) of the edge from each node to its parent; 0 at the roots
    """
    order, parent = elimination
    d, strengths = forms.n_features, len(precisions)
    weight = np.stack([_weight_to_parent(p, parent) for p in precisions], axis=1)
    extra = np.stack([p.extra for p in precisions], axis=1)
    effective = np.repeat(forms.dense()[:, None], strengths, axis=1)
    effective[:, :, np.arange(d), np.arange(d)] += extra[:, :, None]
    inverses = np.empty_like(effective)
    for k in order:
        for s in range(strengths):
            own, a = effective[k, s], weight[k, s]
            if parent[k] < 0 or a == 0:
                inverses[k, s] = pseudo_inverse(own)
                continue
            inverses[k, s] = _inverse(own, a)
            passed = own @ inverses[k, s]
            passed *= 0.5 * a
            effective[parent[k], s] += passed
            effective[parent[k], s] += passed.T
    return inverses, weight


def _inverse(matrix: Array, shift: float) -> Array:
    """(matrix + shift I)^-1, by LU where rounding has left the matrix not quite positive definite."""
    moved = matrix.copy()
    moved[np.diag_indices(len(moved))] += shift
    found = inverse(moved)
    return np.asarray(np.linalg.inv(moved), dtype=np.float64) if found is None else found


def _weight_to_parent(precision: Edges, parent: NDArray[np.intp]) -> Array:
    """(t,) weight of the edge from each node to its parent; 0 at the roots."""
    up = parent[precision.i] == precision.j
    child = np.where(up, precision.i, precision.j)
    linked = up | (parent[precision.j] == precision.i)
    return np.bincount(child[linked], precision.weight[linked], minlength=len(parent)).astype(np.float64)


def pseudo_inverse(matrix: Array) -> Array:
    """Pseudo-inverse of a positive semidefinite matrix.

    An eigenvalue counts as zero where it is small beside the columns that its vector mixes, so that a column of small
    units is not taken for none.
    """
    values, vectors = np.linalg.eigh(matrix)
    mixed = np.abs(vectors).T @ np.sqrt(np.maximum(np.diagonal(matrix), 0.0))
    cut = np.maximum(NULL * np.square(mixed), ROUNDING * len(values) * values[-1])
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=values > cut)
    return (vectors * inverse) @ vectors.T
