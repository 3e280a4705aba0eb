"""Nets: how the bodies and heads of several tasks share. One way of sharing, one file."""

from __future__ import annotations

from inspect import isabstract

from relatask.nets import encoders
from relatask.nets.aitm import AITM
from relatask.nets.attention_relation import AttentionRelation
from relatask.nets.cgc import CGC
from relatask.nets.cross_stitch import CrossStitch
from relatask.nets.dselect_k import DSelectK
from relatask.nets.esmm import ESMM
from relatask.nets.experts import BatchedExperts, Experts
from relatask.nets.film import FiLM
from relatask.nets.gradient_reversal import reverse_gradient
from relatask.nets.hard import HardSharing
from relatask.nets.heads import Heads
from relatask.nets.hierarchical import Hierarchical
from relatask.nets.learning_to_branch import LearningToBranch
from relatask.nets.mmoe import MMoE
from relatask.nets.modalities import Modalities
from relatask.nets.model import Model
from relatask.nets.mtan import MTAN
from relatask.nets.ple import PLE
from relatask.nets.shared_private import SharedPrivate
from relatask.nets.sluice import Sluice
from relatask.nets.soft import SoftSharing
from relatask.nets.task_adapters import TaskAdapters
from relatask.nets.tie import Tie

__all__ = [
    "AITM",
    "CGC",
    "ESMM",
    "MTAN",
    "PLE",
    "AttentionRelation",
    "BatchedExperts",
    "CrossStitch",
    "DSelectK",
    "Experts",
    "FiLM",
    "HardSharing",
    "Heads",
    "Hierarchical",
    "LearningToBranch",
    "MMoE",
    "Modalities",
    "Model",
    "SharedPrivate",
    "Sluice",
    "SoftSharing",
    "TaskAdapters",
    "Tie",
    "encoders",
    "registry",
    "reverse_gradient",
]


def registry() -> dict[str, type[Model]]:
    """Give every way of sharing that can be chosen by name: the exported, concrete ones.

    Examples
    --------
    >>> "HardSharing" in registry()
    True
    """
    found = {name: globals()[name] for name in __all__}
    return {
        name: kind
        for name, kind in found.items()
        if isinstance(kind, type) and issubclass(kind, Model) and not isabstract(kind)
    }
