"""Diagonal blocks of (H + P_s)^-1 for a whole family of strengths at once, as each task's own rows see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from relatask.linear.problem import Problem
from relatask.linear.solvers.direct import direct
from relatask.linear.solvers.family import Family
from relatask.linear.solvers.levels import inside, levels_of, width
from relatask.linear.solvers.structured import (
    KRONECKER_TASKS,
    Complete,
    Factor,
    Forest,
    Inverted,
    InvertedByRows,
    complete_graph,
    eigen_path,
    eliminated,
    gain_inverses,
)
from relatask.linear.sums.forms import Array, Bucket, Forms, SpectrumBucket, reciprocal
from relatask.linear.sums.sparse_bucket import SparseSpectrum
from relatask.relations.edges import Edges
from relatask.relations.precision import Diagonal

PACKED = 8
"""From so many strengths on products of columns are formed first, which halves the work."""

ROWS = 1 << 22
"""Numbers of such products at a time."""

TIGHT = 1e-9
"""To what relative gradient the common intercept's own system is solved, where no exact factor exists."""


@dataclass(frozen=True, eq=False)
class Block:
    """V M_kk V' of one task for s strengths, V (r, d) orthonormal rows that span what the task's data see.

    Attributes
    ----------
    basis : V, or None for the columns themselves.
    diagonal : (s, r), or None.
    written : (s, r, r) that is added to the diagonal, or None.
    form : what V G_k V' is: (r,) eigenvalues, or (d, d) the form itself.
    """

    basis: Array | None
    diagonal: Array | None
    written: Array | None
    form: Array

    def coordinates(self, Z: Array) -> Array:
        """(n, r) of rows (n, d) that the task's form was made of."""
        return Z if self.basis is None else Z @ self.basis.T

    def forms(self, coordinates: Array) -> Array:
        """(n, s) values z' M_kk z of n rows, by their coordinates."""
        n, r = coordinates.shape
        squares = 0.0 if self.diagonal is None else np.square(coordinates) @ self.diagonal.T
        if self.written is None:
            return np.asarray(squares)
        strengths = len(self.written)
        out = np.empty((n, strengths))
        if strengths < PACKED:
            for s in range(strengths):
                out[:, s] = np.einsum("nr,nr->n", coordinates @ self.written[s], coordinates)
            return out + squares
        i, j = np.triu_indices(r)
        packed = (self.written[:, i, j] * np.where(i == j, 1.0, 2.0)).T
        size = max(1, ROWS // len(i))
        for a in range(0, n, size):
            some = coordinates[a : a + size]
            out[a : a + size] = (some[:, i] * some[:, j]) @ packed
        return out + squares

    def freedom(self) -> Array:
        """(s,) traces of M_kk G_k: degrees of freedom that the task's own labels have in its coefficients."""
        total: Array = np.zeros(1) if self.diagonal is None else self.diagonal @ self.form
        if self.written is None:
            return total
        if self.form.ndim == 2:
            return total + np.einsum("sij,ij->s", self.written, self.form)
        return total + np.einsum("sii,i->s", self.written, self.form)


@dataclass(frozen=True, eq=False)
class Selected:
    """Diagonal blocks, and what a common intercept adds to them.

    Attributes
    ----------
    block : gives task k's `Block` of N = (blockdiag(G_k) + P_s x I)^-1.
    along : (t, s, d) N u, where the problem has a coupling u; else None.
    slack : (s,) 1 - u' N u; M = N + N u u' N / slack. 0 where the features can express the intercept at no cost.
    """

    block: Callable[[int], Block]
    along: Array | None = None
    slack: Array | None = None


def selected(problem: Problem, family: Family, max_iter: int = 10_000, factor: Factor | None = None) -> Selected:
    """Give the diagonal blocks of (H + P_s x I)^-1 for every member of a family of precisions.

    Diagonal precisions and complete graphs (Woodbury's identity) from the tasks' spectra, tasks that share their rows
    from two eigendecompositions, forests by elimination and selected inversion, anything else level by level of the
    task graph. Singular matrices have their pseudo-inverse in what the task's rows see.

    Parameters
    ----------
    problem : Problem
        The data.
    family : Family
        s precisions of one structure.
    max_iter : int
        For the common intercept's system, where no exact factor exists.
    factor : Factor, optional
        Of these forms and this family, where it is known.
    """
    block = _blocks(problem.forms, family, factor)
    if problem.coupling is None:
        return Selected(block)
    alone = replace(problem, cross=problem.coupling, coupling=None)
    along = direct(alone, family, tol=TIGHT, max_iter=max_iter, factor=factor)[0]
    slack = 1.0 - np.einsum("td,tsd->s", problem.coupling, along)
    return Selected(block, along, np.where(slack <= 1e-12, 0.0, slack))


def is_quick(forms: Forms, family: Family) -> bool:
    """Whether the blocks cost no more than a few solves: the structures but the last."""
    return _structure(forms, family) is not None


def writes_blocks(forms: Forms, family: Family) -> bool:
    """Whether (d, d) blocks of all tasks are held at once, for every strength."""
    return _structure(forms, family) not in (_complete, _kronecker)


def densest(family: Family, n_features: int) -> int:
    """The order of the largest matrix that has to be inverted where no structure helps."""
    return width(levels_of(family.member(len(family) - 1))) * n_features


def _blocks(forms: Forms, family: Family, factor: Factor | None) -> Callable[[int], Block]:
    structure = _structure(forms, family)
    if structure is not None:
        return structure(forms, family, factor)
    levels = levels_of(family.member(len(family) - 1))
    blocks = np.stack([inside(forms, p, levels).blocks for p in family.members()], axis=1)
    grams = forms.dense()
    return lambda k: Block(None, None, blocks[k], grams[k])


def _structure(forms: Forms, family: Family) -> Callable[[Forms, Family, Factor | None], Callable[[int], Block]] | None:
    """The quick road for these precisions, if there is one."""
    first = family.member(len(family) - 1)
    if all(complete_graph(unit) is not None for unit in family.units) or isinstance(first, Diagonal):
        return _complete
    if forms.shared is not None and first.n_tasks <= KRONECKER_TASKS:
        return _kronecker
    if isinstance(first, Edges) and first.is_forest:
        return _forest
    return None


def _complete(forms: Forms, family: Family, factor: Factor | None) -> Callable[[int], Block]:
    """Each task for itself; of a complete graph with A_k = (G_k + (ridge + pull) I)^-1: A_k + pull A_k gain^-1 A_k."""
    units = [complete_graph(unit) for unit in family.units]
    pull: Array = np.zeros(len(family))
    if any(unit is None for unit in units):
        shift = family.diagonal()
    else:
        ridge, pull = np.array([unit for unit in units if unit is not None]).T @ family.strengths
        shift = np.broadcast_to(ridge + pull, (forms.n_tasks, len(family)))
    buckets = forms.spectrum.buckets
    bucket_of, place_of = np.empty(forms.n_tasks, dtype=np.intp), np.empty(forms.n_tasks, dtype=np.intp)
    for number, bucket in enumerate(buckets):
        bucket_of[bucket.tasks], place_of[bucket.tasks] = number, np.arange(len(bucket.tasks))
    pulled = np.flatnonzero(pull > 0)
    through = _through(forms, np.stack([ridge, pull]), factor) if len(pulled) else None

    def block(k: int) -> Block:
        bucket, place = buckets[bucket_of[k]], int(place_of[k])
        basis = _directions(bucket, place)
        own = reciprocal(bucket.values[place] + shift[k][:, None])
        if through is None:
            return Block(basis, own, None, bucket.values[place])
        # Directions that nothing is seen of are no rows' coordinates.
        own = np.where(bucket.values[place] > 0, own, 0.0)
        written = np.zeros((len(pull), len(basis), len(basis)))
        written[pulled] = through(basis)[pulled]
        written *= pull[:, None, None] * own[:, :, None] * own[:, None, :]
        return Block(basis, own, written, bucket.values[place])

    return block


def _through(forms: Forms, strengths: Array, factor: Factor | None) -> Callable[[Array], Array]:
    """Give the function V (r, d) -> V gain_s^-1 V' (s, r, r): what tasks tied through their mean say about it."""
    mean = factor.for_mean if isinstance(factor, Complete) else None
    known = mean if isinstance(mean, Inverted | InvertedByRows) else gain_inverses(forms, strengths)
    if isinstance(known, InvertedByRows):
        every = range(strengths.shape[1])
        return lambda V: np.stack([V @ known.each(s, V).T for s in every])
    s, d, _ = known.inverses.shape
    beside = np.ascontiguousarray(known.inverses.transpose(1, 0, 2)).reshape(d, s * d)

    def turned(V: Array) -> Array:
        # Two products for all strengths, not two for each.
        half = (V @ beside).reshape(-1, d) @ V.T
        return half.reshape(len(V), s, len(V)).swapaxes(0, 1)

    return turned


def _directions(bucket: SpectrumBucket, place: int) -> Array:
    """The eigenvectors (r, d) of one task, as rows."""
    own = place if len(bucket.vectors) > 1 else 0
    if not isinstance(bucket, SparseSpectrum):
        return np.asarray(bucket.vectors[own])
    rows = bucket.sparse_rows
    rows = rows if rows.shape[0] == 1 else rows.some(np.array([own]))
    return np.asarray(rows.back(bucket.vectors[own : own + 1].swapaxes(1, 2))[0])


def _kronecker(forms: Forms, family: Family, factor: Factor | None) -> Callable[[int], Block]:
    """All tasks share G: with P_s = C^1/2 U p U' C^1/2, M_kk = V' diag(sum_j U_kj^2 / (p_j + e)) V / C_k."""
    bucket: Bucket | None = forms.shared
    assert bucket is not None
    spectrum = bucket.spectrum()
    values = spectrum.values[0] / bucket.scale[0]
    factors = np.empty((forms.n_tasks, len(family), len(values)))
    for s, (p, turn) in enumerate(eigen_path(family, np.sqrt(bucket.scale))):
        factors[:, s] = np.square(turn) @ reciprocal(p[:, None] + values)
    factors /= bucket.scale[:, None, None]
    basis = _directions(spectrum, 0)
    return lambda k: Block(basis, factors[k], None, spectrum.values[k])


def _forest(forms: Forms, family: Family, factor: Factor | None) -> Callable[[int], Block]:
    """Chains and trees: M_kk = I_k + a^2 I_k M_pp I_k from the roots p down, I_k the inverses of the elimination."""
    members = [p for p in family.members() if isinstance(p, Edges)]
    elimination = members[-1].elimination_order()
    assert elimination is not None
    order, parent = elimination
    if isinstance(factor, Forest):
        blocks, weight = factor.inverses.copy(), factor.weight
    else:
        blocks, weight = eliminated(forms, elimination, members)
    for k in order[::-1]:
        if parent[k] >= 0:
            passed = weight[k][:, None, None] * blocks[k]
            blocks[k] += passed @ blocks[parent[k]] @ passed
    grams = forms.dense()
    return lambda k: Block(None, None, blocks[k], grams[k])
