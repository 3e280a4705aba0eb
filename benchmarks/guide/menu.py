"""The relations compared, by the names they have on the page; strengths are "auto" unless a number says why not."""

from __future__ import annotations

from typing import Any

from relatask.linear import MultiTaskRegressor
from relatask.relations import (
    CappedSparse,
    Chain,
    Clustered,
    Dirty,
    FusedSparse,
    HierarchicalClusters,
    HierarchicalPrior,
    LearnedCovariance,
    LearnedGraph,
    Pairwise,
    Progression,
    Relation,
    Ridge,
    RobustLowRank,
    RobustSparse,
    SharedSparsity,
    TaskDescriptors,
    TaskRelationNetwork,
    TraceNorm,
    TreeGuided,
)

AUTO: Any = "auto"


def quick() -> dict[str, Relation]:
    """The first ones to try: at most one strength, but for the ridge beside `Pairwise`."""
    return {
        "Pairwise": Pairwise(AUTO),
        "Ridge + Pairwise": Ridge(AUTO) + Pairwise(AUTO),
        "HierarchicalPrior": HierarchicalPrior(),
        "TraceNorm": TraceNorm(AUTO),
        "SharedSparsity": SharedSparsity(AUTO),
    }


def learned(n_tasks: int) -> dict[str, Relation]:
    """Two strengths, both chosen: covariance or clusters of the tasks, exceptions from what is shared."""
    clusters = 2 if n_tasks < 8 else 3
    found: dict[str, Relation] = {"LearnedCovariance": LearnedCovariance(AUTO, AUTO)}
    if n_tasks > 2:  # with as many clusters as tasks it is Ridge
        found[f"Clustered({clusters})"] = Clustered(clusters, AUTO, AUTO)
    return found | {
        "Dirty": Dirty(AUTO, AUTO),
        "RobustLowRank": RobustLowRank(AUTO, AUTO),
    }


def rest() -> dict[str, Relation]:
    """The slower ones: a third number is fixed (no chain, one relation; a cap of 1 in standard deviations)."""
    return {
        "RobustSparse": RobustSparse(AUTO, AUTO),
        "LearnedGraph": LearnedGraph(AUTO, AUTO),
        "CappedSparse(cap=1)": CappedSparse(AUTO, cap=1.0),
        "TaskRelationNetwork": TaskRelationNetwork(1, chain=0.0, beta=AUTO, ridge=AUTO),
    }


def ordered() -> dict[str, Relation]:
    """For tasks in an order; the third strength is fixed: a small ridge, no group norm."""
    return {
        "Ridge + Chain": Ridge(AUTO) + Chain(AUTO),
        "Progression": Progression(1e-3, AUTO, AUTO),
        "FusedSparse": FusedSparse(AUTO, AUTO, 0.0),
    }


def treed(tree: Any) -> dict[str, Relation]:
    """For tasks in a tree, its levels weighted as they come (each level twice the one above)."""
    return {
        "Ridge + HierarchicalClusters": Ridge(AUTO) + HierarchicalClusters(tree, AUTO),
        "TreeGuided": TreeGuided(tree, AUTO),
    }


def described(Z: Any) -> dict[str, Relation]:
    """For tasks with covariates."""
    return {"TaskDescriptors": TaskDescriptors(Z, AUTO, AUTO)}


def models(relations: dict[str, Relation], *, columns: bool) -> dict[str, MultiTaskRegressor]:
    """Estimators: free intercepts, and targets brought to one scale where they are columns."""
    return {name: MultiTaskRegressor(relation, scale_targets=columns) for name, relation in relations.items()}


def tied(relations: dict[str, Relation]) -> dict[str, MultiTaskRegressor]:
    """The same with the tasks' levels under the relation too."""
    return {f"{name}, tied": MultiTaskRegressor(relation, intercept="tied") for name, relation in relations.items()}
