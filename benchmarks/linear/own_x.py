"""Row sparsity on tasks with rows of their own, beside mutar, at a relative gap of 1e-6."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.linear import problems
from benchmarks.linear.shared_x import table


def report() -> Iterator[str]:
    """CPU seconds and ratios to a matrix product."""
    yield "## Own X: row sparsity to a relative gap of 1e-6"
    yield ""
    yield "CPU seconds, and in brackets the ratio to a product of two 1000 x 1000 matrices taken beside."
    yield ""
    yield from table("own", {name: divisors for name, (_, divisors) in problems.OWN.items()}, ("mutar",))
