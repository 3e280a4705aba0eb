"""Losses beyond the squared one, by Newton and proximal Newton steps that the squared solvers take."""

from relatask.linear.newton.solving import LossSolution, LossStart, solve_loss

__all__ = ["LossSolution", "LossStart", "solve_loss"]
