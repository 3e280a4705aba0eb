"""Restricted likelihood of the Gaussian model whose posterior mode is the fit, and its gradient in the strengths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.problem import Problem
from relatask.linear.solvers.direct import direct
from relatask.linear.solvers.family import Family
from relatask.linear.solvers.levels import inside, levels_of
from relatask.linear.solvers.structured import KRONECKER_TASKS, complete_graph, eigen_path, factorise, pseudo_inverse
from relatask.linear.sums.forms import Array, Bucket, Forms, reciprocal
from relatask.relations.edges import Edges
from relatask.relations.precision import ZERO, Diagonal, Precision

SEEN = 1e-10
"""Directions of features whose share of the largest curvature is below this are seen by nobody."""

TIGHT = 1e-8
"""Relative gradient to which coefficients are solved, where no exact factor exists."""

LOOSE = 1e-2
"""Exact factors are refined beyond this only: what a strong pull leaves of a gradient is rounding, not an error."""


@dataclass(frozen=True, eq=False)
class Point:
    """What is known at some strengths.

    Attributes
    ----------
    value : minus twice the log restricted likelihood, the noise level at its best, up to a constant.
    slope : (u,) its derivatives in the strengths.
    noise : the best noise variance of a label of weight 1 / c_k.
    """

    value: float
    slope: Array
    noise: float


@dataclass(frozen=True, eq=False)
class Traces:
    """Of M = (H + P x I)^-1: log determinant of its inverse, its rank, and (u,) tr(M (P_u x I)) of every unit."""

    logdet: float
    rank: int
    units: Array


@dataclass(frozen=True, eq=False)
class Evidence:
    """The restricted likelihood as a function of the strengths of P = sum_u theta_u P_u.

    Labels are normal about x_i w_k + b_k with variance noise / (c_k s_i), W is normal with precision P x I / noise,
    flat where P is 0, and intercepts that are not W's are flat. With F the objective at its minimum, N labels, and q
    directions that are flat but seen,

    ``-2 log L = (N - q) log(2 F) + log det(H + P x I) - d log det+ P  + constant``

    Attributes
    ----------
    problem : on directions of features that some task sees.
    units : P_u.
    n_labels : N.
    n_flat : intercepts that were eliminated.
    """

    problem: Problem
    units: tuple[Precision, ...]
    n_labels: int
    n_flat: int
    max_iter: int

    def at(self, theta: Array) -> Point:
        """Value and slope at strengths theta (u,) > 0.

        Raises
        ------
        ZeroDivisionError
            Where labels are no more than flat directions, so that nothing is left to tell strengths by.
        """
        family = Family(self.units, np.asarray(theta, dtype=np.float64)[:, None])
        problem, (_, d) = self.problem, self.problem.shape
        W = solved(problem, family, self.max_iter)
        pulled = np.array([float(np.vdot(W, unit.apply(W))) for unit in self.units])
        # F at its minimum, without a strong pull's rounding.
        double = 2 * problem.constant - float(np.vdot(problem.cross, W))
        found, coupled = self._traces(family)
        prior = self._prior(theta)
        flat = self.n_flat + coupled + found.rank - d * prior.rank
        room = self.n_labels - flat
        if room <= 0:
            raise ZeroDivisionError
        double = max(double, np.finfo(float).tiny)
        value = room * np.log(double) + found.logdet - d * prior.logdet
        slope = room * pulled / double + found.units - d * prior.units
        return Point(float(value), slope, double / room)

    def _traces(self, family: Family) -> tuple[Traces, int]:
        """Of H + P, the coupling of a common intercept included; and how many flat directions that intercept is."""
        problem = self.problem
        alone = replace(problem, coupling=None)
        found = structure_of(alone.forms, family)(alone.forms, family)
        if problem.coupling is None:
            return found, 0
        along = solved(replace(alone, cross=problem.coupling), family, self.max_iter)
        slack = 1.0 - float(np.vdot(problem.coupling, along))
        if slack <= 1e-12:
            return found, 0
        more = np.array([float(np.vdot(along, unit.apply(along))) for unit in self.units])
        return Traces(found.logdet + float(np.log(slack)), found.rank, found.units + more / slack), 1

    def _prior(self, theta: Array) -> Traces:
        """Log pseudo-determinant of P, its rank, and tr(P^+ P_u)."""
        if len(self.units) == 1:
            rank = self._range.rank
            return Traces(rank * float(np.log(theta[0])), rank, np.array([rank / theta[0]]))
        return self._range.at(theta)

    @cached_property
    def _range(self) -> Range:
        return range_of(self.units)


@dataclass(frozen=True, eq=False)
class Range:
    """Units in an orthonormal basis of the range of their sum, or the numbers of complete graphs."""

    rank: int
    blocks: tuple[Array, ...]
    complete: Array | None
    n_tasks: int

    def at(self, theta: Array) -> Traces:
        """Of P = sum_u theta_u P_u: log det+ P, its rank, tr(P^+ P_u)."""
        if self.complete is not None:
            t = self.n_tasks
            ridge, total = theta @ self.complete[:, 0], theta @ self.complete.sum(1)
            mean = self.complete[:, 0] / ridge if ridge > 0 else 0.0
            logdet = (t - 1) * np.log(total) + (np.log(ridge) if ridge > 0 else 0.0)
            return Traces(float(logdet), self.rank, (t - 1) * self.complete.sum(1) / total + mean)
        P = np.einsum("u,uij->ij", theta, np.stack(self.blocks))
        logdet = float(np.linalg.slogdet(P)[1])
        inverse = np.linalg.inv(P)
        return Traces(logdet, self.rank, np.array([float(np.vdot(inverse, block)) for block in self.blocks]))


def solved(problem: Problem, family: Family, max_iter: int) -> Array:
    """W (t, d) under a family of one."""
    factor = factorise(problem.forms, family)
    tol = TIGHT if factor is None else LOOSE
    return direct(problem, family, tol=tol, max_iter=max_iter, factor=factor)[0][:, 0]


def range_of(units: tuple[Precision, ...]) -> Range:
    """The range of a sum of units, which strengths > 0 do not change."""
    t = units[0].n_tasks
    complete = [complete_graph(unit) for unit in units]
    if t > 1 and all(one is not None for one in complete):
        numbers = np.array([one for one in complete if one is not None])
        return Range(t - 1 + int(numbers[:, 0].any()), (), numbers, t)
    dense = [unit.dense() for unit in units]
    if len(units) == 1:
        return Range(int(np.linalg.matrix_rank(dense[0], tol=ZERO * np.trace(dense[0]), hermitian=True)), (), None, t)
    values, basis = np.linalg.eigh(sum(one / (np.trace(one) or 1.0) for one in dense))
    basis = basis[:, values > ZERO * values[-1]]
    return Range(basis.shape[1], tuple(basis.T @ one @ basis for one in dense), None, t)


def on_what_is_seen(problem: Problem) -> Problem:
    """The problem in orthonormal directions of features that some task sees.

    A relation on tasks is the same in all directions of features, so that those which no datum sees have the same
    likelihood at every strength.
    """
    t, d = problem.shape
    total = problem.forms.combined(np.ones(t))
    values, basis = np.linalg.eigh(total)
    if values[0] > SEEN * values[-1]:
        return problem
    basis = basis[:, values > SEEN * values[-1]]
    if basis.shape[1] == 0:
        basis = np.eye(d)[:, :1]
    buckets = []
    for bucket in problem.forms.buckets:
        gram, rows = bucket.gram, bucket.rows
        if gram is not None:
            buckets.append(replace(bucket, gram=basis.T @ gram @ basis))
        elif rows is not None:
            buckets.append(replace(bucket, rows=rows @ basis))
        else:
            shared = bucket.shared
            gram = (bucket.dense()[:1] / bucket.scale[0]) if shared else bucket.dense() / bucket.scale[:, None, None]
            buckets.append(Bucket(bucket.tasks, bucket.scale, gram=basis.T @ gram @ basis))
    coupling = None if problem.coupling is None else problem.coupling @ basis
    forms = Forms(tuple(buckets), t, basis.shape[1])
    return replace(problem, forms=forms, cross=problem.cross @ basis, coupling=coupling, columns=None)


def structure_of(forms: Forms, family: Family) -> Callable[[Forms, Family], Traces]:
    """The road for these units."""
    if all(complete_graph(unit) is not None for unit in family.units):
        return _complete
    if isinstance(family.member(0), Diagonal):
        return _diagonal
    if forms.shared is not None and family.n_tasks <= KRONECKER_TASKS:
        return _kronecker
    return any_graph


def _diagonal(forms: Forms, family: Family) -> Traces:
    """Each task for itself."""
    shift = family.diagonal()[:, 0]
    own, logdet = np.empty(forms.n_tasks), 0.0
    for bucket in forms.spectrum.buckets:
        p = shift[bucket.tasks][:, None]
        outside = forms.n_features - bucket.values.shape[1]
        own[bucket.tasks] = (1 / (bucket.values + p)).sum(1) + outside / p[:, 0]
        logdet += float(np.log(bucket.values + p).sum() + outside * np.log(p).sum())
    units = np.array([float(unit.diagonal() @ own) for unit in family.units])
    return Traces(logdet, forms.n_tasks * forms.n_features, units)


def _complete(forms: Forms, family: Family) -> Traces:
    """det(H + P) = prod_k det(G_k + total I) det(gain / t), M = A + pull A 1 gain^-1 1' A, A_k = (G_k + total I)^-1."""
    t, d = forms.n_tasks, forms.n_features
    numbers = np.array([one for one in map(complete_graph, family.units) if one is not None])
    ridge, pull = numbers.T @ family.strengths[:, 0]
    total = ridge + pull
    alone = _diagonal(forms, Family((Diagonal(np.ones(t)),), np.array([[total]])))
    diagonal = float(alone.units[0])
    if pull == 0:
        return Traces(alone.logdet, alone.rank, numbers[:, 0] * diagonal)
    gain = forms.spectrum.gain(ridge, pull)
    inverse = pseudo_inverse(gain)
    first, second = np.zeros((2, d, d))
    for bucket in forms.spectrum.buckets:
        own = 1 / (bucket.values + total)
        outside = 0.0 if bucket.full else 1 / total
        first += bucket.weighted(own - outside)
        second += bucket.weighted(np.square(own) - outside**2)
        first[np.diag_indices(d)] += outside * len(bucket.tasks)
        second[np.diag_indices(d)] += outside**2 * len(bucket.tasks)
    diagonal += pull * float(np.vdot(inverse, second))
    # Of the mean over tasks: 1' M 1 / t = t gain^-1 - ridge terms; by products of what is positive.
    every = float(np.trace(first) + pull * np.vdot(first @ inverse, first)) / t
    units = numbers[:, 0] * diagonal + numbers[:, 1] * (diagonal - every)
    logdet = alone.logdet + float(np.linalg.slogdet(gain / t)[1])
    return Traces(logdet, t * d, units)


def _kronecker(forms: Forms, family: Family) -> Traces:
    """All tasks share G: eigenvectors of C^-1/2 P C^-1/2 and of G."""
    bucket = forms.shared
    assert bucket is not None
    spectrum = bucket.spectrum()
    values, root = spectrum.values[0] / bucket.scale[0], np.sqrt(bucket.scale)
    ((p, turn),) = eigen_path(family, root)
    grid = p[:, None] + values
    outside = forms.n_features - len(values)
    own = reciprocal(grid).sum(1) + outside * reciprocal(p)
    turned = turn / root[:, None]
    units = [float(np.einsum("tj,tj,j->", turned, unit.apply(turned), own)) for unit in family.units]
    seen = np.concatenate([grid.ravel(), np.repeat(p, outside)])
    logdet = float(np.log(seen[seen > 0]).sum() + forms.n_features * np.log(bucket.scale).sum())
    return Traces(logdet, int((seen > 0).sum()), np.array(units))


def any_graph(forms: Forms, family: Family) -> Traces:
    """Any task graph."""
    precision = family.member(0)
    found = inside(forms, precision, levels_of(precision))
    units = np.array([contracted(found.traces, unit) for unit in family.units])
    return Traces(found.logdet, found.rank, units)


def contracted(traces: Any, unit: Precision) -> float:
    """sum_ij T_ij P_ij for sparse T (t, t) that is known where P is not 0."""
    if isinstance(unit, Edges):
        own = traces.diagonal()
        return float(unit.weight @ edge_forms(traces, unit.i, unit.j) + unit.extra @ own)
    if isinstance(unit, Diagonal):
        return float(unit.values @ traces.diagonal())
    return float(traces.multiply(unit.dense()).sum())


def edge_forms(traces: Any, i: NDArray[np.intp], j: NDArray[np.intp]) -> Array:
    """(m,) T_ii + T_jj - 2 T_ij of edges."""
    own = traces.diagonal()
    return np.asarray(own[i] + own[j] - 2 * np.asarray(traces[i, j]).ravel())
