"""Relations R(W): what ties tasks together, written once for numpy, torch and autograd."""

from __future__ import annotations

from relatask.relations.box import Clustered, SharedSubspace
from relatask.relations.capped import CappedSparse
from relatask.relations.descriptors import TaskDescriptors
from relatask.relations.dirty import Dirty
from relatask.relations.edges import Edges, Elimination, Mixed
from relatask.relations.forms import TaskKernel, TaskPrecision, TraceForm
from relatask.relations.fused import FusedSparse, Progression
from relatask.relations.gram import GramTarget
from relatask.relations.hierarchical_prior import HierarchicalPrior
from relatask.relations.hierarchy import HierarchicalClusters, TreeGuided
from relatask.relations.learned_covariance import LearnedCovariance
from relatask.relations.learned_graph import LearnedGraph
from relatask.relations.manifold import Manifold
from relatask.relations.network import TaskRelationNetwork
from relatask.relations.norms import SharedSparsity, Sparse, TraceNorm
from relatask.relations.precision import Dense, Diagonal, LowRank, Precision
from relatask.relations.quadratic import Chain, Graph, Pairwise, Ridge
from relatask.relations.relation import Alternating, FeatureQuadratic, Proximal, Quadratic, Relation, Smooth
from relatask.relations.robust import RobustLowRank, RobustSparse, SparseLowRank
from relatask.relations.splitting import Split
from relatask.relations.sums import (
    Sum,
    is_final,
    is_quadratic,
    parameters,
    parts,
    split,
    strengths,
    surrogate,
    with_parameters,
)

__all__ = [
    "Alternating",
    "CappedSparse",
    "Chain",
    "Clustered",
    "Dense",
    "Diagonal",
    "Dirty",
    "Edges",
    "Elimination",
    "FeatureQuadratic",
    "FusedSparse",
    "GramTarget",
    "Graph",
    "HierarchicalClusters",
    "HierarchicalPrior",
    "LearnedCovariance",
    "LearnedGraph",
    "LowRank",
    "Manifold",
    "Mixed",
    "Pairwise",
    "Precision",
    "Progression",
    "Proximal",
    "Quadratic",
    "Relation",
    "Ridge",
    "RobustLowRank",
    "RobustSparse",
    "SharedSparsity",
    "SharedSubspace",
    "Smooth",
    "Sparse",
    "SparseLowRank",
    "Split",
    "Sum",
    "TaskDescriptors",
    "TaskKernel",
    "TaskPrecision",
    "TaskRelationNetwork",
    "TraceForm",
    "TraceNorm",
    "TreeGuided",
    "is_quadratic",
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
