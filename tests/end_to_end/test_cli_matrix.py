"""Matrices and edges given as files: read by their names where they have any, never by luck."""

from __future__ import annotations

import numpy as np
import pytest

from relatask.cli.matrix import read_matrix
from relatask.notices import InputError

CITIES = ("Bonn", "Oslo", "Rome, IT")
MATRIX = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 5.0], [2.0, 5.0, 0.0]])
"""In the order of the tasks."""


def given(tmp_path, text, tasks=CITIES):
    (tmp_path / "m.csv").write_text(text)
    return read_matrix(tmp_path / "m.csv", "Graph.A", tasks)


@pytest.mark.parametrize(
    "text",
    [
        'Bonn,Oslo,"Rome, IT"\n0,1,2\n1,0,5\n2,5,0\n',
        '"Rome, IT",Bonn,Oslo\n0,2,5\n2,0,1\n5,1,0\n',
        ',"Rome, IT",Bonn,Oslo\n"Rome, IT",0,2,5\nBonn,2,0,1\nOslo,5,1,0\n',
        'x,"Rome, IT",Bonn,Oslo\nOslo,5,1,0\nBonn,2,0,1\n"Rome, IT",0,2,5\n',
        "p,q,r\n0,1,2\n1,0,5\n2,5,0\n",
    ],
)
def test_a_matrix_is_put_in_the_order_of_the_tasks(tmp_path, text):
    np.testing.assert_array_equal(given(tmp_path, text), MATRIX)


def test_a_matrix_that_is_not_symmetric_keeps_rows_and_columns(tmp_path):
    np.testing.assert_array_equal(
        given(tmp_path, "c,a,b\n1,2,3\n4,5,6\n7,8,9\n", "abc"), [[5, 6, 4], [8, 9, 7], [2, 3, 1]]
    )


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("header", ["from,to,weight", "source,target,w", "x,y,z"])
def test_few_edges_are_edges(tmp_path, rows, header):
    edges = [("Bonn", "Oslo", 1.0), ("Oslo", "Rome, IT", 2.5), ("Bonn", "Rome, IT", 3.0), ("Oslo", "Bonn", 1.0)][:rows]
    text = header + "\n" + "".join(f'"{a}","{b}",{w}\n' for a, b, w in edges)
    assert given(tmp_path, text) == edges
    bare = ",".join(header.split(",")[:2]) + "\n" + "".join(f'"{a}","{b}"\n' for a, b, _ in edges)
    assert given(tmp_path, bare) == [edge[:2] for edge in edges]


def test_edges_between_tasks_that_are_numbers(tmp_path):
    assert given(tmp_path, "i,j,weight\n0,1,1\n1,2,1\n2,0,2\n", (0, 1, 2)) == [(0, 1, 1.0), (1, 2, 1.0), (2, 0, 2.0)]
    assert given(tmp_path, "0,1,2\n0,1,2\n1,0,1\n2,1,0\n", (0, 1, 2)).shape == (3, 3)
    assert given(tmp_path, "x,0,1,2\n0,0,1,2\n1,1,0,1\n2,2,1,0\n", (0, 1, 2)).shape == (3, 3)
    with pytest.raises(InputError, match=r"could be a matrix of 3 tasks, or 3 edges.*from, to, weight"):
        given(tmp_path, "x,y,z\n0,1,2\n1,0,1\n2,1,0\n", (0, 1, 2))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Bonn,Oslo,Rome\n0,1,2\n1,0,5\n2,5,0\n", "the header names the tasks 'Bonn', 'Oslo', and 'Rome', which is no"),
        ("p,q,r\n0,1,2\n1,x,5\n2,5,0\n", "column 'q' holds 'x' in row 2"),
        ("p,q,r\n0,1,2\n1,,5\n2,5,0\n", "row 2 of column 'q' is empty"),
        ("k,Bonn,Oslo,Rome\nBonn,0,1,2\nOslo,1,0,5\nRome,2,5,0\n", "'Bonn', 'Oslo', 'Rome' in its first column"),
        ("p,q,r,s\n0,1,2,3\n1,0,5,3\n", "has 2 rows below its header and 4 columns"),
    ],
)
def test_what_is_neither_is_named(tmp_path, text, said):
    with pytest.raises(InputError) as error:
        given(tmp_path, text)
    assert said in str(error.value)


def test_an_edge_to_no_task_is_left_for_the_relation_to_name(tmp_path):
    from relatask.relations import Graph

    edges = given(tmp_path, "from,to\nBonn,Oslo\nBonn,Paris\n")
    with pytest.raises(InputError, match="Paris"):
        Graph(edges).bind(list(CITIES))
