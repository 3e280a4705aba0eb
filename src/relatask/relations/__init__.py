"""Relations R(W): what ties tasks together, written once for numpy, torch and autograd."""

from __future__ import annotations

from relatask.relations.edges import Edges, Elimination, Mixed
from relatask.relations.forms import TaskKernel, TaskPrecision, TraceForm
from relatask.relations.norms import SharedSparsity, Sparse, TraceNorm
from relatask.relations.precision import Dense, Diagonal, LowRank, Precision
from relatask.relations.quadratic import Chain, Graph, Pairwise, Ridge
from relatask.relations.relation import (
    Proximal,
    Quadratic,
    Relation,
    Sum,
    is_final,
    parameters,
    parts,
    split,
    with_parameters,
)

__all__ = [
    "Chain",
    "Dense",
    "Diagonal",
    "Edges",
    "Elimination",
    "Graph",
    "LowRank",
    "Mixed",
    "Pairwise",
    "Precision",
    "Proximal",
    "Quadratic",
    "Relation",
    "Ridge",
    "SharedSparsity",
    "Sparse",
    "Sum",
    "TaskKernel",
    "TaskPrecision",
    "TraceForm",
    "TraceNorm",
    "parameters",
    "parts",
    "registry",
    "split",
    "with_parameters",
]


def registry() -> dict[str, type[Relation]]:
    """Give every relation that can be chosen by name: the exported, concrete ones.

    Examples
    --------
    >>> registry()["Ridge"].formula
    'strength/2 * ||W||_F^2'
    """
    return {name: globals()[name] for name in __all__ if is_final(globals()[name])}
