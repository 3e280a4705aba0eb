"""Rows for the tests of batches and of many tasks, and what two equal models are."""

from __future__ import annotations

import numpy as np


def rows(n=600, d=4, t=6, seed=0, offset=3.0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, t, n)
    X = rng.standard_normal((n, d)) * rng.uniform(0.1, 10, d) + offset
    W = rng.standard_normal(d) + 0.5 * rng.standard_normal((t, d))
    return X, np.einsum("nd,nd->n", X, W[codes]) + rng.standard_normal(n) + codes, codes


def cut(n, *arrays, size=70):
    for a in range(0, n, size):
        yield tuple(array[a : a + size] for array in arrays)


def same(a, b, tol=1e-8):
    assert a.tasks_.tolist() == b.tasks_.tolist()
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=0, atol=tol * np.abs(b.coef_).max())
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=0, atol=tol * np.abs(b.intercept_).max(initial=1.0))
    np.testing.assert_array_equal(a.n_labels_, b.n_labels_)
    np.testing.assert_allclose(a.scale_, b.scale_, rtol=1e-10)


def small(t=2_000, d=5, n=12_000, seed=0):
    X, y, _ = rows(n, d, 3, seed)
    codes = np.random.default_rng(seed).integers(0, t, n)
    codes[:t] = np.random.default_rng(seed).permutation(t)
    return X, y, codes
