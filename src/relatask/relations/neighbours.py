"""Graphs over rows, each row tied to its nearest ones or to anchors, and what they make of columns: X' L X."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

Array = NDArray[np.float64]

FEW_COLUMNS = 10
"""Up to this many a tree finds neighbours faster than products do."""
BLOCK = 1_000_000
"""Distances held at once."""


def distinct(X: Any) -> Any:
    """The rows of X (n, d) without repetition, in an order that does not depend on theirs; dense or CSR."""
    if not sparse.issparse(X):
        return np.unique(X + 0.0, axis=0)  # -0.0 becomes 0.0
    held: Any = sparse.csr_array(cast(Any, X), copy=True)
    held.sum_duplicates()
    held.eliminate_zeros()
    first: dict[tuple[bytes, bytes], int] = {}
    for row in range(held.shape[0]):
        at = slice(held.indptr[row], held.indptr[row + 1])
        first.setdefault((held.indices[at].astype(np.int64).tobytes(), held.data[at].tobytes()), row)
    return held[[first[key] for key in sorted(first)]]


def spread(X: Any) -> Array:
    """(d,) standard deviations of the columns, 1 where one is constant."""
    if sparse.issparse(X):
        held = cast(Any, X)
        mean = np.asarray(held.mean(axis=0)).ravel()
        square = np.asarray(held.multiply(held).mean(axis=0)).ravel()
        found = np.sqrt(np.maximum(square - mean**2, 0.0))
    else:
        mean, found = X.mean(0), X.std(0)
    # What varies by rounding only does not vary.
    return np.where(found > 1e-7 * np.abs(mean), found, 1.0)


def nearest(X: Any, anchors: Any, k: int, skip: bool) -> tuple[NDArray[np.intp], Array]:
    """Positions and distances (n, k) of the anchors nearest to each row of X; with `skip` row i is not its own."""
    if not sparse.issparse(X) and X.shape[1] <= FEW_COLUMNS:
        far, place = (np.asarray(found) for found in cKDTree(anchors).query(X, [*range(1, k + 1 + skip)]))
        if not skip:
            return place, far
        own = place == np.arange(len(place))[:, None]
        own[~own.any(1), -1] = True  # as near as others: the last is left out instead
        return place[~own].reshape(-1, k), far[~own].reshape(-1, k)
    n, m = X.shape[0], anchors.shape[0]
    square = _squares(anchors)
    place, far = np.empty((n, k), dtype=np.intp), np.empty((n, k))
    step = max(1, BLOCK // m)
    for a in range(0, n, step):
        rows = X[a : a + step]
        # Squared distances, less the row's own square.
        distance = _dense(rows @ anchors.T)
        distance *= -2
        distance += square
        at = np.arange(len(distance))
        if skip:
            distance[at, a + at] = np.inf
        found = np.argpartition(distance, k - 1, axis=1)[:, :k]
        place[a : a + step] = found
        far[a : a + step] = np.sqrt(np.maximum(distance[at[:, None], found] + _squares(rows)[:, None], 0.0))
    return place, far


def neighbour_form(X: Any, near: Any, k: int, normalized: bool) -> Array:
    """(d, d) 2/v X' L X of the graph in which rows are tied where one is among the other's k nearest.

    Parameters
    ----------
    X : (n, d)
        Rows, dense or CSR.
    near : (n, d)
        The same, in the units in which they are near or far.
    k : int
        Below n.
    normalized : bool
        L = I - D^-1/2 A D^-1/2 with v = n, each function's level taken where it costs least; else L = D - A, with v
        the sum of A.
    """
    n = X.shape[0]
    place, _ = nearest(near, near, k, skip=True)
    ones = np.ones(n * k)
    directed = sparse.csr_array((ones, (np.repeat(np.arange(n), k), place.ravel())), shape=(n, n))
    A = directed.maximum(directed.T)
    degree = np.asarray(A.sum(axis=1)).ravel()
    if not normalized:
        return _form(X, sparse.diags_array(degree) - A, float(degree.sum()))
    root = sparse.diags_array(1 / np.sqrt(degree))
    return _form(X, sparse.eye_array(n) - root @ A @ root, float(n))


def anchor_form(X: Any, near: Any, k: int, n_anchors: int, seed: int) -> Array:
    """(d, d) 2/n X' (I - Z diag(Z'1)^-1 Z') X, Z (n, m) the weights of each row's k nearest of m sampled rows.

    Weights are Gaussian, as wide as rows are from the last of their k on average, and sum to 1 a row.
    """
    n = X.shape[0]
    chosen = np.sort(np.random.default_rng(seed).choice(n, size=n_anchors, replace=False))
    place, far = nearest(near, near[chosen], k, skip=False)
    width = float(far.max(1).mean()) or 1.0
    far = np.square(far / width)
    # Beside the row's nearest, which a row far from all of them would lose.
    weight = np.exp((far.min(1, keepdims=True) - far) / 2)
    weight /= weight.sum(1, keepdims=True)
    Z = sparse.csr_array((weight.ravel(), (np.repeat(np.arange(n), k), place.ravel())), shape=(n, n_anchors))
    size = np.asarray(Z.sum(axis=0)).ravel()
    X = _centred(X)
    mean = np.divide(1.0, size, out=np.zeros(n_anchors), where=size > 0)[:, None] * _dense(Z.T @ X)
    return _symmetric(2 / n * (_dense(X.T @ X) - (mean.T * size) @ mean))


def _form(X: Any, L: Any, total: float) -> Array:
    """2/total X' L X, less what the level of a function costs."""
    X = _centred(X)
    Q = _dense(X.T @ (L @ X))
    level = np.asarray(L.sum(axis=0)).ravel()
    cost = float(level.sum())
    if cost > 1e-12 * total:
        along = np.asarray(X.T @ level).ravel()
        Q = Q - np.multiply.outer(along, along) / cost
    return _symmetric(2 / total * Q)


def _centred(X: Any) -> Any:
    """Dense rows about their mean, for their digits: nothing here depends on it."""
    return X if sparse.issparse(X) else X - X.mean(0)


def _squares(X: Any) -> Array:
    if sparse.issparse(X):
        held = cast(Any, X)
        return np.asarray(held.multiply(held).sum(axis=1)).ravel().astype(np.float64)
    return np.asarray(np.einsum("nd,nd->n", X, X))


def _dense(product: Any) -> Array:
    return np.asarray(cast(Any, product).toarray() if sparse.issparse(product) else product, dtype=np.float64)


def _symmetric(Q: Array) -> Array:
    """Exactly symmetric, and read-only."""
    Q = (Q + Q.T) / 2
    Q.flags.writeable = False
    return Q
