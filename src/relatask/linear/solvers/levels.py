"""(H + P)^-1 for any task graph, where it is asked for: elimination level by level, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse import csgraph

from relatask.linear.solvers.structured import pseudo_inverse
from relatask.linear.sums.forms import ROUNDING, Array, Forms
from relatask.relations.edges import Edges
from relatask.relations.precision import Precision

Levels = list[list[NDArray[np.intp]]]
"""Of each connected component its levels: tasks of one level are tied to those of the next and the last one only."""


@dataclass(frozen=True, eq=False)
class Inside:
    """What is known of M = (blockdiag(G_k) + P x I)^-1.

    Attributes
    ----------
    blocks : (t, d, d) diagonal blocks M_kk.
    traces : (t, t) of every M_ij where P_ij is not 0; elsewhere it may be 0.
    logdet : of the matrix, in the directions in which it is not singular.
    rank : how many these are.
    """

    blocks: Array
    traces: Any
    logdet: float
    rank: int


def levels_of(precision: Precision) -> Levels:
    """Cut the task graph of P into levels, by distance from a task at its end."""
    graph = precision.sparse if isinstance(precision, Edges) else sparse.csr_array(precision.dense())
    count, label = csgraph.connected_components(graph, directed=False)
    found = []
    for c in range(count):
        tasks = np.flatnonzero(label == c)
        own = graph[tasks][:, tasks] != 0
        far = _distance(own, 0)
        far = _distance(own, int(far.argmax()))
        found.append([tasks[far == step] for step in range(int(far.max()) + 1)])
    return found


def width(levels: Levels) -> int:
    """The largest number of tasks that are eliminated at once."""
    return max(len(tasks) for component in levels for tasks in component)


def inside(forms: Forms, precision: Precision, levels: Levels) -> Inside:
    """Eliminate one level after the other, and invert on the way back.

    With E_1 = D_1, E_(l+1) = D_(l+1) - B_l' E_l^-1 B_l: M_ll = E_l^-1 + E_l^-1 B_l M_(l+1,l+1) B_l' E_l^-1.
    """
    t, d = forms.n_tasks, forms.n_features
    graph = precision.sparse if isinstance(precision, Edges) else sparse.csr_array(precision.dense())
    grams = forms.dense()
    blocks, logdet, rank = np.empty((t, d, d)), 0.0, 0
    rows: list[NDArray] = []
    columns: list[NDArray] = []
    values: list[NDArray] = []

    def keep(a: NDArray, b: NDArray, square: Array) -> None:
        """Traces of the (d, d) blocks of a (|a| d, |b| d) array."""
        rows.append(np.repeat(a, len(b)))
        columns.append(np.tile(b, len(a)))
        values.append(np.einsum("idjd->ij", square.reshape(len(a), d, len(b), d)).ravel())

    for component in levels:
        inverses: list[Array] = []
        ties: list[Array] = []
        matrix = _own(grams, graph, component[0])
        for tasks, after in zip(component, [*component[1:], None], strict=True):
            if after is None:
                inverse, log, seen = _pseudo(matrix)
            else:
                inverse, log, seen = _inverse(matrix)
                tie = np.kron(graph[tasks][:, after].toarray(), np.eye(d))
                ties.append(tie)
                matrix = _own(grams, graph, after) - tie.T @ inverse @ tie
            inverses.append(inverse)
            logdet, rank = logdet + log, rank + seen
        whole = inverses[-1]
        for level in reversed(range(len(component))):
            tasks = component[level]
            if level + 1 < len(component):
                passed = inverses[level] @ ties[level]
                back = -passed @ whole
                keep(tasks, component[level + 1], back)
                keep(component[level + 1], tasks, back.T)
                whole = inverses[level] - back @ passed.T
            keep(tasks, tasks, whole)
            every = np.arange(len(tasks))
            blocks[tasks] = whole.reshape(len(tasks), d, len(tasks), d)[every, :, every]
    place = (np.concatenate(rows), np.concatenate(columns))
    traces = sparse.csr_array(sparse.coo_array((np.concatenate(values), place), shape=(t, t)))
    return Inside(blocks, traces, logdet, rank)


def _own(grams: Array, graph: Any, tasks: NDArray[np.intp]) -> Array:
    """The matrix of some tasks: their forms, and P between them."""
    k, d = len(tasks), grams.shape[1]
    out = np.kron(graph[tasks][:, tasks].toarray(), np.eye(d)).reshape(k, d, k, d)
    every = np.arange(k)
    out[every, :, every] += grams[tasks]
    return out.reshape(k * d, k * d)


def _inverse(matrix: Array) -> tuple[Array, float, int]:
    """Inverse, log determinant and rank of a matrix that is definite, unless its strengths are 0."""
    factor, failed = linalg.lapack.dpotrf(matrix, lower=1)
    diagonal = np.square(np.diagonal(factor))
    if failed or diagonal.min() <= ROUNDING * len(matrix) * diagonal.max():
        return _pseudo(matrix)
    inverse, _ = linalg.lapack.dpotri(factor, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    return inverse, float(np.log(diagonal).sum()), len(matrix)


def _pseudo(matrix: Array) -> tuple[Array, float, int]:
    """Pseudo-inverse, log determinant and rank of what may be singular."""
    values = np.linalg.eigvalsh(matrix)
    if values[0] > 1e-9 * values[-1]:
        return np.asarray(np.linalg.inv(matrix), dtype=np.float64), float(np.log(values).sum()), len(values)
    inverse = pseudo_inverse(matrix)
    kept = np.linalg.eigvalsh(inverse)
    kept = kept[kept > 1e-14 * kept[-1]] if kept[-1] > 0 else kept[:0]
    return inverse, -float(np.log(kept).sum()), len(kept)


def _distance(graph: Any, start: int) -> NDArray[np.intp]:
    """(k,) steps from one task to the others, all of which can be reached."""
    steps: Any = csgraph.dijkstra(graph, directed=False, indices=start, unweighted=True)  # type: ignore[call-overload]
    return np.asarray(steps, dtype=np.intp)
