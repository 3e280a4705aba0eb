"""Solvers: direct for quadratic relations, splitting or accelerated gradients where a norm is among the parts."""

from relatask.linear.solvers.auto import SOLVERS, objective, solve

__all__ = ["SOLVERS", "objective", "solve"]
