"""Extrapolation of iterates that coordinate descent makes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from relatask.linear.sums.forms import Array


def combined(history: Sequence[list[Array]]) -> list[Array] | None:
    """Anderson's extrapolation: the combination of the iterates whose step, combined likewise, is the smallest."""
    steps = np.array([(b[0] - a[0]).ravel() for a, b in pairwise(history)])
    gram = steps @ steps.T
    gram[np.diag_indices(len(gram))] += 1e-12 * np.trace(gram)
    try:
        weights = np.linalg.solve(gram, np.ones(len(gram)))
    except np.linalg.LinAlgError:
        return None
    total = weights.sum()
    if not np.isfinite(total) or total == 0.0:
        return None
    weights /= total
    return [np.einsum("i,i...->...", weights, np.array(arrays)) for arrays in zip(*history[1:], strict=True)]
