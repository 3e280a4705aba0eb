"""Relations R(W): what ties tasks together, written once for numpy, torch and autograd."""

from __future__ import annotations

from relatask.relations.dirty import Dirty
from relatask.relations.edges import Edges, Elimination, Mixed
from relatask.relations.forms import TaskKernel, TaskPrecision, TraceForm
from relatask.relations.fused import FusedSparse, Progression
from relatask.relations.hierarchy import HierarchicalClusters, TreeGuided
from relatask.relations.norms import SharedSparsity, Sparse, TraceNorm
from relatask.relations.precision import Dense, Diagonal, LowRank, Precision
from relatask.relations.quadratic import Chain, Graph, Pairwise, Ridge
from relatask.relations.relation import Alternating, Proximal, Quadratic, Relation, Smooth
from relatask.relations.splitting import Split
from relatask.relations.sums import (
    Sum,
    is_final,
    parameters,
    parts,
    split,
    strengths,
    surrogate,
    with_parameters,
)

__all__ = [
    "Alternating",
    "Chain",
    "Dense",
    "Diagonal",
    "Dirty",
    "Edges",
    "Elimination",
    "FusedSparse",
    "Graph",
    "HierarchicalClusters",
    "LowRank",
    "Mixed",
    "Pairwise",
    "Precision",
    "Progression",
    "Proximal",
    "Quadratic",
    "Relation",
    "Ridge",
    "SharedSparsity",
    "Smooth",
    "Sparse",
    "Split",
    "Sum",
    "TaskKernel",
    "TaskPrecision",
    "TraceForm",
    "TraceNorm",
    "TreeGuided",
    "parameters",
    "parts",
    "registry",
    "split",
    "strengths",
    "surrogate",
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
