"""Scores and what follows from them: differences with intervals, delta-m, checks, and the verdict in words."""

from relatask.measure.bootstrap import bootstrap_differences, bootstrap_scores
from relatask.measure.checks import (
    Check,
    Note,
    Support,
    check_convergence,
    check_negative_transfer,
    check_repeats,
    check_support,
    check_task_matrix,
)
from relatask.measure.delta import DeltaM, delta_m
from relatask.measure.differences import HELPED, HURT, NEUTRAL, Difference, Differences, differences
from relatask.measure.intervals import benjamini_hochberg, corrected_interval
from relatask.measure.metrics import METRICS, WORDS, evaluate
from relatask.measure.paired import Paired, paired_bootstrap, paired_bootstrap_seeds
from relatask.measure.scores import ALL, Scores
from relatask.measure.structured import compare_task, evaluate_task, score_of
from relatask.measure.verdict import best_single, verdict_words

__all__ = [
    "ALL",
    "HELPED",
    "HURT",
    "METRICS",
    "NEUTRAL",
    "WORDS",
    "Check",
    "DeltaM",
    "Difference",
    "Differences",
    "Note",
    "Paired",
    "Scores",
    "Support",
    "benjamini_hochberg",
    "best_single",
    "bootstrap_differences",
    "bootstrap_scores",
    "check_convergence",
    "check_negative_transfer",
    "check_repeats",
    "check_support",
    "check_task_matrix",
    "compare_task",
    "corrected_interval",
    "delta_m",
    "differences",
    "evaluate",
    "evaluate_task",
    "paired_bootstrap",
    "paired_bootstrap_seeds",
    "score_of",
    "verdict_words",
]
