"""Task graphs and orders as people give them: matrices, edge lists, networkx graphs, labels; and their positions."""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable, Iterable, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from relatask.notices import InputError
from relatask.relations.checks import Array, check_size, check_square, like, symmetric

Edge = tuple[Hashable, Hashable, float]

# Differences along edges are formed for at most this many numbers at a time.
_BLOCK = 2**22


class Ends(NamedTuple):
    """Undirected edges by position: `i` < `j` (m,), `weight` (m,) > 0."""

    i: np.ndarray
    j: np.ndarray
    weight: np.ndarray


class Positions(tuple[int, ...]):
    """An order of tasks as rows of W: labels that have been bound."""


def read_graph(owner: str, A: Any) -> np.ndarray | sparse.csr_array | tuple[Edge, ...]:
    """Give a checked graph: a dense or sparse (t, t) matrix of weights >= 0, or labelled edges (a, b, weight).

    Raises
    ------
    InputError
        If it is not symmetric, has a negative, NaN or infinite weight, a directed networkx graph, or an edge twice.
    """
    networkx = sys.modules.get("networkx")
    if networkx is not None and isinstance(A, networkx.Graph):
        return _from_networkx(owner, A)
    if sparse.issparse(A):
        return _from_sparse(owner, A)
    if isinstance(A, list | tuple) and not _looks_like_a_matrix(A):
        return _from_edges(owner, A)
    dense = symmetric(owner, "A", A)
    lowest = np.where(np.eye(len(dense), dtype=bool), 0.0, dense)
    if lowest.min() < 0:
        i, j = np.unravel_index(int(lowest.argmin()), dense.shape)
        raise _negative(owner, f"A[{i}, {j}]", dense[i, j])
    return dense


def ends(owner: str, A: np.ndarray | sparse.csr_array | tuple[Edge, ...], n_tasks: int) -> Ends:
    """Give the edges of a checked graph by position, for this many tasks.

    Labelled edges that were never bound are read as positions if every label is an integer in 0 .. n_tasks - 1.
    """
    if isinstance(A, tuple):
        positions = as_positions(owner, [label for a, b, _ in A for label in (a, b)], n_tasks)
        first = np.array(positions[::2], dtype=np.int64)
        second = np.array(positions[1::2], dtype=np.int64)
        weight = np.array([edge[2] for edge in A], dtype=float)
    else:
        check_size(owner, "A", A.shape[0], n_tasks)
        if sparse.issparse(A):
            upper = sparse.coo_array(sparse.triu(A, k=1))
            first, second, weight = upper.row.astype(np.int64), upper.col.astype(np.int64), upper.data
        else:
            first, second = np.nonzero(np.triu(A, k=1))
            weight = A[first, second]
    linked = weight > 0
    return Ends(np.minimum(first, second)[linked], np.maximum(first, second)[linked], weight[linked])


def distances(W: Array, xp: Any, edges: Ends) -> Array:
    """Give the sum over edges of weight ||w_i - w_j||^2, in blocks: many edges must not need much memory."""
    total = xp.sum(W * 0)
    block = max(1, _BLOCK // max(1, W.shape[1]))
    for start in range(0, len(edges.weight), block):
        i, j, weight = (part[start : start + block] for part in edges)
        rows_i = xp.take(W, like(i, W, xp, integer=True), axis=0)
        rows_j = xp.take(W, like(j, W, xp, integer=True), axis=0)
        total = total + xp.sum(like(weight, W, xp) * xp.sum((rows_i - rows_j) ** 2, axis=1))
    return total


def bind_graph(owner: str, edges: tuple[Edge, ...], tasks: Sequence[Hashable]) -> sparse.csr_array:
    """Give labelled edges as a sparse (t, t) matrix over these tasks."""
    position = {task: k for k, task in enumerate(tasks)}
    name_absent(owner, (label for edge in edges for label in edge[:2]), position, "edges")
    i = np.array([position[a] for a, _, _ in edges], dtype=np.int64)
    j = np.array([position[b] for _, b, _ in edges], dtype=np.int64)
    weight = np.array([edge[2] for edge in edges], dtype=float)
    upper = sparse.coo_array((weight, (i, j)), shape=(len(tasks), len(tasks)))
    return sparse.csr_array(upper + upper.T)


def without(owner: str, A: Any, kept: Sequence[int]) -> Any:
    """Give the weights between the tasks kept, the others free to lie wherever they are pulled.

    A task that goes ties each two of its neighbours by the product of their weights over the sum of all its weights
    (the star becomes a mesh): the Schur complement of the Laplacian, one task after the other. A is an array or a
    sparse csr_array (t, t), and so is the result; diagonals mean nothing.
    """
    if isinstance(A, tuple):
        raise InputError(f"{owner}: edges by label do not say how many tasks there are; call among after bind.")
    for task in sorted(set(range(A.shape[0])) - set(kept), reverse=True):
        others = np.delete(np.arange(A.shape[0]), task)
        pull = A[[task]][:, others]
        total = float(pull.sum())
        A = A[others][:, others]
        if total > 0:
            A = A + pull.T @ (pull / total)
    return (A + A.T) / 2


def shortened(place: np.ndarray) -> sparse.csr_array:
    """Give the weights that a chain leaves between the tasks at these places: half of 1 over their distance."""
    along = np.argsort(place)
    edges = zip(along[:-1].tolist(), along[1:].tolist(), (0.5 / np.diff(place[along])).tolist(), strict=True)
    return bind_graph("Chain", tuple(edges), range(len(place)))


def read_order(owner: str, order: Iterable[Hashable]) -> tuple[Hashable, ...]:
    """Give an order of labels as a tuple; raise InputError for one named twice."""
    if isinstance(order, Positions):
        return order
    if isinstance(order, str) or not isinstance(order, Iterable):
        raise InputError(f"{owner}: order={order!r} is not usable; expected a sequence of task labels, or None.")
    labels = tuple(order.tolist() if isinstance(order, np.ndarray) else order)
    seen: set[Hashable] = set()
    for label in labels:
        if label in seen:
            raise InputError(f"{owner}: task {label!r} stands twice in the order; name every task once.")
        seen.add(label)
    return labels


def bind_order(owner: str, order: tuple[Hashable, ...], tasks: Sequence[Hashable]) -> Positions:
    """Give an order of labels as positions among these tasks."""
    position = {task: k for k, task in enumerate(tasks)}
    name_absent(owner, order, position, "order")
    named = set(order)
    left_out = [task for task in tasks if task not in named]
    if left_out:
        raise InputError(f"{owner}: the order leaves out {quoted(left_out)}; name every task once, or give order=None.")
    return Positions(position[label] for label in order)


def check_length(owner: str, order: Sequence[Hashable], n_tasks: int) -> None:
    """Raise InputError unless an order names as many tasks as there are."""
    if len(order) != n_tasks:
        raise InputError(
            f"{owner}: the order has {len(order)} tasks, but there are {n_tasks}; name every task once, or give "
            f"order=None."
        )


def as_positions(owner: str, labels: Sequence[Hashable], n_tasks: int) -> list[int]:
    """Read unbound labels as positions, if all are integers in 0 .. n_tasks - 1."""
    for label in labels:
        if not isinstance(label, Integral) or isinstance(label, bool) or not 0 <= label < n_tasks:
            raise InputError(
                f"{owner}: {label!r} is a task label, and the relation does not know yet which row of W it is; "
                f"call relation.bind(tasks) with the labels in the order of the rows (an estimator does it in fit), "
                f"or use positions 0 to {n_tasks - 1}."
            )
    return [int(label) for label in labels]  # type: ignore[call-overload]


def name_absent(owner: str, labels: Iterable[Hashable], known: dict[Hashable, int], where: str) -> None:
    """Raise InputError naming the labels that are no task."""
    absent = list(dict.fromkeys(label for label in labels if label not in known))
    if absent:
        raise InputError(
            f"{owner}: the {where} name {quoted(absent)}, which no task is called; the tasks are {quoted(list(known))}."
        )


def _from_networkx(owner: str, graph: Any) -> tuple[Edge, ...]:
    if graph.is_directed():
        raise InputError(f"{owner}: the networkx graph is directed; give graph.to_undirected().")
    weights: dict[frozenset[Hashable], tuple[Hashable, Hashable, float]] = {}
    for a, b, weight in graph.edges(data="weight", default=1.0):
        key = frozenset((a, b))
        before = weights[key][2] if key in weights else 0.0  # parallel edges of a multigraph add up
        weights[key] = (a, b, _edge_weight(owner, a, b, weight) + before)
    return tuple(edge for edge in weights.values() if edge[0] != edge[1])


def _from_sparse(owner: str, A: Any) -> sparse.csr_array:
    check_square(owner, "A", A.shape)
    matrix = sparse.csr_array(A, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    if not np.isfinite(matrix.data).all():
        raise InputError(f"{owner}: A contains NaN or infinity; expected finite weights.")
    difference = sparse.coo_array(abs(matrix - matrix.T))
    if difference.nnz and difference.data.max() > 1e-10 * abs(matrix.data).max():
        k = int(difference.data.argmax())
        i, j = int(difference.row[k]), int(difference.col[k])
        raise InputError(
            f"{owner}: A is not symmetric: A[{i}, {j}] = {matrix[i, j]:.6g} but A[{j}, {i}] = {matrix[j, i]:.6g}; "
            f"give every undirected edge both ways, for example A.maximum(A.T)."
        )
    off = sparse.coo_array(matrix)
    apart = off.row != off.col
    if apart.any() and off.data[apart].min() < 0:
        k = int(np.flatnonzero(apart)[off.data[apart].argmin()])
        raise _negative(owner, f"A[{off.row[k]}, {off.col[k]}]", off.data[k])
    return matrix


def _from_edges(owner: str, edges: Sequence[Any]) -> tuple[Edge, ...]:
    checked: list[Edge] = []
    seen: set[frozenset[Hashable]] = set()
    for edge in edges:
        if not isinstance(edge, list | tuple) or len(edge) not in (2, 3):
            raise InputError(f"{owner}: edge {edge!r} is not usable; expected (task, task) or (task, task, weight).")
        a, b = edge[:2]
        weight = _edge_weight(owner, a, b, edge[2] if len(edge) == 3 else 1.0)
        key = frozenset((a, b))
        if key in seen:
            raise InputError(f"{owner}: the edge between {a!r} and {b!r} is given twice; list an undirected edge once.")
        seen.add(key)
        if a != b:  # a task's distance to itself is zero
            checked.append((a, b, weight))
    return tuple(checked)


def _edge_weight(owner: str, a: Hashable, b: Hashable, weight: Any) -> float:
    if not isinstance(weight, Real) or not math.isfinite(weight):
        raise InputError(f"{owner}: the edge between {a!r} and {b!r} has weight {weight!r}; expected a finite number.")
    if weight < 0:
        raise _negative(owner, f"the edge between {a!r} and {b!r}", float(weight))
    return float(weight)


def _negative(owner: str, where: str, weight: float) -> InputError:
    return InputError(
        f"{owner}: {where} = {weight:.6g} is negative. A graph's weights pull tasks together and must be >= 0; to push "
        f"two tasks apart, give TaskPrecision a positive entry for them."
    )


def _looks_like_a_matrix(A: Sequence[Any]) -> bool:
    rows = [row for row in A if isinstance(row, list | np.ndarray)]
    if not A or len(rows) < len(A):
        return False
    square = all(len(row) == len(A) for row in rows)
    return square and all(isinstance(entry, Real) for row in rows for entry in row)


def quoted(labels: Sequence[Hashable], most: int = 5) -> str:
    """Give some labels in words."""
    shown = ", ".join(repr(label.item() if isinstance(label, np.generic) else label) for label in labels[:most])
    return shown if len(labels) <= most else f"{shown} and {len(labels) - most} more"
