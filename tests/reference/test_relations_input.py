"""What relations accept as graphs, orders and labels, and what they say about input they cannot use."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy import sparse

from relatask.notices import InputError
from relatask.relations import (
    Chain,
    Graph,
    Pairwise,
    Relation,
    Ridge,
    Sparse,
    Sum,
    TaskKernel,
    TaskPrecision,
    TraceForm,
    TraceNorm,
    registry,
    split,
)

TASKS = ["a", "b", "c", "d"]
A = np.array([[0, 1, 0, 2.5], [1, 0, 0, 0], [0, 0, 0, 1], [2.5, 0, 1, 0]])
W = np.arange(8.0).reshape(4, 2) ** 1.5


def networkx_graph() -> nx.Graph:
    graph = nx.Graph()
    graph.add_edge("a", "b")  # weight 1
    graph.add_edge("d", "a", weight=2.5)
    graph.add_edge("c", "d", weight=1)
    graph.add_edge("c", "c", weight=7.0)  # a task's distance to itself is zero
    return graph


@pytest.mark.parametrize(
    "given",
    [
        A,
        A.tolist(),
        A + 5 * np.eye(4),
        sparse.csr_array(A),
        sparse.coo_matrix(A),
        [("a", "b"), ("a", "d", 2.5), ("d", "c", 1)],
        [["b", "a"], ["a", "d", 2.5], ["d", "c"]],
        (("a", "b"), ("a", "d", 2.5), ("d", "c", 1), ("b", "b", 3.0)),
        networkx_graph(),
    ],
    ids=["dense", "lists", "diagonal", "csr", "coo", "edges", "edge lists", "tuple", "networkx"],
)
def test_every_form_of_a_graph_is_the_same_graph(given: object) -> None:
    bound = Graph(given, 0.5).bind(TASKS)
    assert bound(W) == pytest.approx(Graph(A, 0.5)(W), rel=1e-12)
    np.testing.assert_allclose(bound.precision(4).dense(), Graph(A, 0.5).precision(4).dense(), atol=1e-12)
    assert bound.bind(TASKS)(W) == bound(W)


def test_parallel_edges_of_a_networkx_multigraph_add_up() -> None:
    graph = nx.MultiGraph([("a", "b"), ("b", "a")])
    assert Graph(graph).bind("ab")([[0.0], [1.0]]) == 4.0


def test_integer_labels_are_rows_until_they_are_bound() -> None:
    graph, chain = Graph([(0, 2)]), Chain(order=[2, 0, 1])
    V = np.array([[0.0], [10.0], [1.0]])
    assert graph(V) == 2.0
    assert graph.bind([2, 1, 0])(V) == 2.0
    assert graph.bind([1, 0, 2])(V) == 2 * 81.0
    assert chain(V) == 1.0 + 100.0
    assert chain.bind(np.array([1, 0, 2]))(V) == 81.0 + 100.0
    assert Chain(order=np.array(["b", "a"])).bind(["a", "b"])([[0.0], [2.0]]) == 4.0
    assert Graph([(np.int64(0), np.str_("x"))]).bind([0, "x"])([[0.0], [2.0]]) == 8.0


def test_a_sum_binds_its_parts() -> None:
    total = (Ridge(1.0) + Chain(1.0, order=["b", "a"])).bind(["a", "b"])
    assert total([[1.0], [3.0]]) == 5.0 + 4.0


BAD = {
    "negative strength": (lambda: Ridge(-1.0), r"Ridge: strength=-1.0 .* expected a finite number >= 0, or 'auto'"),
    "NaN strength": (lambda: TraceNorm(float("nan")), "TraceNorm: strength=nan"),
    "infinite strength": (lambda: Pairwise(np.inf), "Pairwise: strength=inf"),
    "a word as strength": (lambda: Chain("much"), "Chain: strength='much'"),
    "True as strength": (lambda: Graph(A, True), "Graph: strength=True"),
    "auto has no value": (lambda: Ridge("auto")(W), r"Ridge: strength='auto' has no value yet.*MultiTaskRegressor"),
    "auto has no precision": (lambda: Pairwise("auto").precision(3), "Pairwise: strength='auto'"),
    "auto has no prox": (lambda: Sparse("auto").prox(W, 1.0), "Sparse: strength='auto'"),
    "not symmetric": (
        lambda: TaskPrecision([[1, 2], [0, 1]]),
        r"TaskPrecision: K is not symmetric: K\[0, 1\] = 2 but K\[1, 0\] = 0",
    ),
    "indefinite": (
        lambda: TaskPrecision([[1, 2], [2, 1]]),
        r"K is not positive semidefinite: its smallest eigenvalue is -1 \(largest 3\)",
    ),
    "indefinite trace form": (
        lambda: TraceForm([[0, 1], [1, 0]]),
        r"A is not .* eigenvalue is -1 .*Graph\(A\)",
    ),
    "negative definite": (lambda: TraceForm(-np.eye(2)), "smallest eigenvalue is -1"),
    "singular kernel": (lambda: TaskKernel(np.full((3, 3), 0.1)), r"TaskKernel: K is singular: .*jitter="),
    "indefinite kernel": (
        lambda: TaskKernel([[1, 2], [2, 1]], jitter=0.5),
        r"K is not positive definite: its smallest eigenvalue is -1 \(largest 3\) and jitter=0.5.*jitter=2",
    ),
    "zero kernel": (lambda: TaskKernel(np.zeros((2, 2))), "TaskKernel: K is singular"),
    "negative jitter": (lambda: TaskKernel(np.eye(2), jitter=-1), "jitter=-1 is not usable"),
    "a matrix of words": (lambda: TraceForm([["a", "b"], ["b", "a"]]), "could not be read as a matrix of numbers"),
    "not square": (lambda: TaskPrecision(np.ones((2, 3))), r"K has shape \(2, 3\); expected a square"),
    "empty matrix": (lambda: TaskPrecision(np.ones((0, 0))), r"K has shape \(0, 0\)"),
    "NaN in a matrix": (lambda: TaskKernel([[1, np.nan], [np.nan, 1]]), "K contains NaN or infinity"),
    "matrix of another size": (lambda: TaskPrecision(np.eye(3)).precision(4), "K is 3 x 3, but there are 4 tasks"),
    "bound to another size": (lambda: TraceForm(np.eye(3)).bind(TASKS), "A is 3 x 3, but there are 4 tasks"),
    "kernel of another size": (lambda: TaskKernel(np.eye(3)).bind(TASKS), "K is 3 x 3, but there are 4 tasks"),
    "W of another size": (lambda: TaskKernel(np.eye(3))(W), "W has 4 rows, but the relation was made for 3 tasks"),
    "W of one dimension": (lambda: Ridge()([1.0, 2.0]), r"W has shape \(2,\); expected \(tasks, parameters\)"),
    "graph of another size": (lambda: Graph(A).bind("abc"), "Graph: A is 4 x 4, but there are 3 tasks"),
    "graph of another size in use": (lambda: Graph(sparse.csr_array(A))(W[:3]), "A is 4 x 4, but there are 3 tasks"),
    "negative weight": (
        lambda: Graph([[0, -0.5], [-0.5, 0]]),
        r"Graph: A\[0, 1\] = -0.5 is negative.*pull tasks together.*TaskPrecision a positive entry",
    ),
    "negative sparse weight": (lambda: Graph(sparse.csr_array(-A)), r"A\[0, 3\] = -2.5 is negative"),
    "negative edge": (lambda: Graph([("a", "b", -1)]), "the edge between 'a' and 'b' = -1 is negative"),
    "NaN edge": (lambda: Graph([("a", "b", float("nan"))]), "the edge between 'a' and 'b' has weight nan"),
    "edge of four": (lambda: Graph([("a", "b", 1, 2)]), r"expected \(task, task\) or \(task, task, weight\)"),
    "edge twice": (lambda: Graph([("a", "b"), ("b", "a")]), "the edge between 'b' and 'a' is given twice"),
    "unsymmetric graph": (lambda: Graph(np.eye(3, k=1)), r"A is not symmetric: A\[0, 1\] = 1 but A\[1, 0\] = 0"),
    "unsymmetric sparse graph": (lambda: Graph(sparse.eye_array(3, k=1)), r"A is not symmetric: A\[.* A.maximum"),
    "sparse graph not square": (lambda: Graph(sparse.csr_array(np.ones((2, 3)))), r"A has shape \(2, 3\)"),
    "NaN in a sparse graph": (lambda: Graph(sparse.csr_array([[np.nan]])), "A contains NaN"),
    "directed graph": (lambda: Graph(nx.DiGraph([("a", "b")])), r"directed; give graph.to_undirected\(\)"),
    "absent edge label": (
        lambda: Graph([("a", "z"), ("y", "b")]).bind(TASKS),
        "Graph: the edges name 'z', 'y', which no task is called; the tasks are 'a', 'b', 'c', 'd'",
    ),
    "unbound labels": (lambda: Graph([("a", "b")])(W), r"'a' is a task label.*call relation.bind\(tasks\)"),
    "unbound position too high": (lambda: Graph([(0, 4)])(W), r"4 is a task label.*positions 0 to 3"),
    "absent label in the order": (lambda: Chain(order=["a", "z"]).bind("ab"), "the order name 'z', which no task"),
    "label twice": (lambda: Chain(order=["a", "a"]), "task 'a' stands twice in the order"),
    "order too short": (lambda: Chain(order=["a"]).bind(TASKS), "the order leaves out 'b', 'c', 'd'"),
    "order too short, unbound": (lambda: Chain(order=[0, 1])(W), "the order has 2 tasks, but there are 4"),
    "unbound order": (lambda: Chain(order=list("abcd"))(W), "'a' is a task label"),
    "order as a word": (lambda: Chain(order="abcd"), "order='abcd' is not usable"),
    "a sum with a number": (lambda: Sum((Ridge(), 3)), "3 is not a relation"),
    "an empty sum": (lambda: Sum(()), "no parts given"),
    "a part that is not there": (
        lambda: (Ridge() + Sparse()).part("Chain"),
        "no part 'Chain'; its parts are",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_with_what_to_do(name: str) -> None:
    act, message = BAD[name]
    with pytest.raises(InputError, match=f"(?s){message}"):
        act()


def test_a_relation_is_not_added_to_a_number() -> None:
    with pytest.raises(TypeError):
        Ridge() + 1.0


def test_what_no_solver_can_use_is_named() -> None:
    class Odd(Relation):
        formula, source = "odd", "nobody"

        def value(self, W: np.ndarray) -> float:
            return 0.0

        @classmethod
        def example(cls, n_tasks: int) -> Odd:
            return cls()

    with pytest.raises(InputError, match=r"Odd is not convex.*expected relations with a precision or a prox"):
        split(Ridge() + Odd(), 3)
    assert "Odd" not in registry()


def test_matrices_that_are_singular_only_by_rounding_are_taken() -> None:
    root = np.random.default_rng(0).normal(size=(40, 3))
    TaskPrecision(root @ root.T)
    with pytest.raises(InputError, match="jitter="):
        TaskKernel(root @ root.T)
    TaskKernel(root @ root.T, jitter=1e-3)


@pytest.mark.parametrize("kind", [Graph, TaskKernel, TaskPrecision, TraceForm])
def test_a_frame_with_labels_is_not_read_by_position(kind: type) -> None:
    pandas = pytest.importorskip("pandas")
    matrix = np.eye(3) + 0.5
    with pytest.raises(InputError, match=r"rows have labels \('y', 'z', 'x'"):
        kind(pandas.DataFrame(matrix, index=list("yzx"), columns=list("yzx")))
    kind(pandas.DataFrame(matrix))
