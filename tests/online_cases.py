"""Rows of four tasks, and what two models that learned the same must have in common."""

from __future__ import annotations

from typing import Any

import numpy as np


def rows(n: int = 100, d: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, d)) + 1.0) * np.array([1.0, 10.0, 0.1])[:d]
    codes = rng.integers(0, 4, n)
    W = (1.0 + 0.3 * rng.normal(size=(4, d))) / np.array([1.0, 10.0, 0.1])[:d]
    return X, np.einsum("nd,nd->n", X, W[codes]) + codes + rng.normal(size=n), np.array(list("abcd"))[codes]


def check_equal(model: Any, other: Any, rtol: float = 1e-8) -> None:
    assert model.tasks_.tolist() == other.tasks_.tolist()
    assert model.tasks_.dtype.kind == other.tasks_.dtype.kind
    np.testing.assert_array_equal(model.n_labels_, other.n_labels_)
    for name in ("coef_", "intercept_", "scale_", "fill_"):
        one, two = getattr(model, name), getattr(other, name)
        np.testing.assert_allclose(one, two, rtol=rtol, atol=rtol * max(np.abs(two).max(), 1e-300), err_msg=name)
    assert abs(model.objective_ - other.objective_) <= rtol * max(abs(other.objective_), 1.0)
