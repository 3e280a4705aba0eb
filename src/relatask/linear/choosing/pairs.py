"""A weight of its own for every edge of a graph, by restricted maximum likelihood: which tasks belong together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.linear.choosing.evidence import Evidence, Point, contracted, edge_forms, solved
from relatask.linear.choosing.reml import check_order, evidence, natural, searched, tell_stopped
from relatask.linear.path import Model, Path
from relatask.linear.solvers.family import Family, family
from relatask.linear.solvers.levels import inside, levels_of
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError
from relatask.relations import Graph, Relation, Sum, parts, with_parameters
from relatask.relations.edges import Edges
from relatask.relations.precision import Precision

APART = np.log(1e3)
"""Logarithms of edges' weights begin together, and stay within this below and above."""


@dataclass(frozen=True, eq=False)
class Weighed:
    """The restricted likelihood as a function of the weights of edges and of other parts' strengths.

    Attributes
    ----------
    given : with the other parts as its units.
    i, j : (m,) ends of the edges.
    """

    given: Evidence
    i: NDArray[np.intp]
    j: NDArray[np.intp]

    def at(self, weight: Array, theta: Array) -> Point:
        """Value and slope in (m,) weights and (u,) strengths, in this order.

        Raises
        ------
        ZeroDivisionError
            Where labels are no more than flat directions.
        """
        problem, units, d = self.given.problem, self.given.units, self.given.problem.shape[1]
        edges = Edges(self.i, self.j, weight, np.zeros(problem.shape[0]))
        whole = Family((edges, *units), np.concatenate([[1.0], theta])[:, None])
        precision = whole.member(0)
        W = solved(problem, whole, self.given.max_iter)
        found = inside(problem.forms, precision, levels_of(precision))
        logdet, traces, flat = found.logdet, found.traces, self.given.n_flat
        if problem.coupling is not None:
            alone = replace(problem, cross=problem.coupling, coupling=None)
            along = solved(alone, whole, self.given.max_iter)
            slack = 1.0 - float(np.vdot(problem.coupling, along))
            if slack > 1e-12:
                logdet, flat = logdet + float(np.log(slack)), flat + 1
                traces = sparse.csr_array(traces + sparse.csr_array(along @ along.T / slack))
        basis = self._range
        inside_range = basis.T @ precision.apply(basis)
        prior = basis @ np.linalg.inv(inside_range) @ basis.T
        room = self.given.n_labels - flat - found.rank + d * basis.shape[1]
        if room <= 0:
            raise ZeroDivisionError
        double = max(2 * problem.constant - float(np.vdot(problem.cross, W)), np.finfo(float).tiny)
        value = room * np.log(double) + logdet - d * float(np.linalg.slogdet(inside_range)[1])
        on_edges = room / double * _distances(W, self.i, self.j)
        on_edges += edge_forms(traces, self.i, self.j) - d * edge_forms(prior, self.i, self.j)
        on_units = [self._slope(unit, W, traces, prior, room / double) for unit in units]
        return Point(float(value), np.concatenate([on_edges, on_units]), double / room)

    def _slope(self, unit: Precision, W: Array, traces: Any, prior: Array, scale: float) -> float:
        d = W.shape[1]
        own = float(np.einsum("ij,ij->", prior, unit.dense()))
        return scale * float(np.vdot(W, unit.apply(W))) + contracted(traces, unit) - d * own

    @cached_property
    def _range(self) -> Array:
        """Orthonormal basis of the range of P, which weights > 0 do not change."""
        t = self.given.problem.shape[0]
        edges = Edges(self.i, self.j, np.ones(len(self.i)), np.zeros(t))
        total = sum((unit.dense() for unit in self.given.units), edges.dense())
        values, basis = np.linalg.eigh(total)
        return basis[:, values > 1e-10 * values[-1]]


def edges_weighed(stats: Statistics, relation: Relation, names: tuple[str, ...], model: Model) -> tuple[Relation, Path]:
    """Fill in a weight for each edge of the relation's graph, and the other strengths.

    The graph's strength is the one at which the edges as given weigh as much as the data; its `A` holds what became of
    their weights, so that 1 beside an edge given as 1 means: as much as the data.

    Raises
    ------
    InputError
        For a relation without exactly one `Graph`, a graph without edges, and too few labels.
    """
    graphs = [part for part in parts(relation) if isinstance(part, Graph)]
    if len(graphs) != 1:
        raise InputError(
            f"pairs=True weighs the edges of one Graph, and the relation has {len(graphs)}; give one, such as "
            "Graph(edges) or Graph(edges) + Ridge('auto')."
        )
    (graph,) = graphs
    one = replace(graph, strength=1.0).precision(stats.n_tasks).dense()
    i, j = np.nonzero(np.triu(-one, 1) > 0)
    if not len(i):
        raise InputError("pairs=True: the graph has no edge between two tasks; give it some.")
    own = _name_of(relation, graph)
    others = tuple(name for name in names if name != own)
    rest = [part for part in parts(relation) if part is not graph]
    fixed = with_parameters(Sum(tuple(rest)), **_inner(relation, others, rest)) if rest else None
    given = evidence(stats, relation if fixed is None else fixed, model)
    given = replace(given, units=() if fixed is None else given.units)
    held = np.zeros(0) if fixed is None else family([fixed], stats.n_tasks).strengths[:, 0]
    free = [place for place, part in enumerate(rest) if _name_of(relation, part) in others]
    weighed = Weighed(given, i, j)
    check_order(given, family([with_parameters(graph, strength=1.0)], stats.n_tasks), quick=False)
    scale = natural(relation, own, stats, model)
    first = -one[i, j] * scale
    center = np.log(
        np.concatenate([first, [natural(relation, _name_of(relation, rest[p]), stats, model) for p in free]])
    )

    def at(x: Array) -> Point:
        weight, theta = np.exp(x[: len(i)]), held.copy()
        theta[free] = np.exp(x[len(i) :])
        point = weighed.at(weight, theta)
        slope = np.concatenate([point.slope[: len(i)] * weight, (point.slope[len(i) :] * theta)[free]])
        return Point(point.value, slope, point.noise)

    try:
        found = searched(at, center, [center + shift for shift in (-APART, 0.0, APART)])
    except ZeroDivisionError:
        raise InputError("pairs=True: labels are too few to tell the edges' weights by; use pairs=False.") from None
    tell_stopped(found)
    best = int(np.flatnonzero((found.points == found.x).all(1))[0])
    columns = {own: np.full(len(found.values), scale)} | {
        _name_of(relation, rest[p]): np.exp(found.points[:, len(i) + q]) for q, p in enumerate(free)
    }
    weight = np.exp(found.x[: len(i)]) / (4 * scale)
    A = sparse.coo_array((np.tile(weight, 2), (np.append(i, j), np.append(j, i))), shape=one.shape).tocsr()
    learned = replace(graph, A=A, strength=scale)
    filled = [learned if part is graph else part for part in parts(relation)]
    chosen: Relation = Sum(tuple(filled)) if len(filled) > 1 else learned
    values = {name: float(columns[name][best]) for name in columns if name != own}
    path = Path(tuple(columns), np.column_stack(list(columns.values())), found.values, best, criterion="reml")
    return with_parameters(chosen, **values) if values else chosen, path


def _distances(W: Array, i: NDArray[np.intp], j: NDArray[np.intp]) -> Array:
    """(m,) squared distances between the ends of edges."""
    return np.asarray(np.square(W[i] - W[j]).sum(1))


def _name_of(relation: Relation, part: Relation) -> str:
    """What the strength of a part is called."""
    if not isinstance(relation, Sum):
        return "strength"
    place = next(p for p, own in enumerate(relation.parts) if own is part)
    return f"{relation.names[place]}__strength"


def _inner(relation: Relation, others: tuple[str, ...], rest: list[Relation]) -> dict[str, float]:
    """Strengths of 1 for the open parts, by the names that they have without the graph."""
    without = Sum(tuple(rest))
    return {_name_of(without, part): 1.0 for part in rest if _name_of(relation, part) in others}
