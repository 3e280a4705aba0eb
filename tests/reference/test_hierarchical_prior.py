"""The hierarchical prior against the marginal likelihood of all rows written out, and scipy's maximum of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from tests.linear_oracle import case as draw
from tests.linear_oracle import center_and_scale

from relatask.linear import MultiTaskRegressor
from relatask.linear.prior.fit import PriorFit, fit_prior
from relatask.linear.prior.posterior import NEW
from relatask.linear.sums import passes
from relatask.notices import InputError
from relatask.relations.hierarchical_prior import HierarchicalPrior

METHODS = ("reml", "ml")
INTERCEPTS = ("free", "tied", "common", "none")


class Dense:
    """All observed rows of a case in one model: y ~ N(F beta, blockdiag(Z_k S Z_k') + diag(noise_k / s_i)).

    Nothing of the implementation is used: one (n, n) covariance, generalised least squares, log determinants. Own
    intercepts are fixed effects, integrated out by both methods; the others' m only by REML.
    """

    def __init__(self, data, intercept: str, standardize: bool = True):
        center, scale = center_and_scale(data, standardize)
        if intercept in ("none", "free"):
            center = 0 * center
        rows = [(k, (x - center) / scale, label, s) for k, x, label, s in data.labels()]
        self.task = np.array([k for k, *_ in rows])
        x = np.array([r[1] for r in rows])
        self.y = np.array([r[2] for r in rows])
        self.s = np.array([r[3] for r in rows])
        one = np.ones((len(rows), 1))
        own = (self.task[:, None] == np.arange(data.t)).astype(float)
        own = own[:, own.any(0)]
        self.Z = np.hstack([x, one]) if intercept == "tied" else x
        self.mean = np.hstack([x, one]) if intercept in ("tied", "common") else x
        self.nuisance = own if intercept == "free" else one[:, :0]
        self.t, self.r = data.t, self.Z.shape[1]

    def covariance(self, S: np.ndarray, noise: np.ndarray) -> np.ndarray:
        same = self.task[:, None] == self.task
        return same * (self.Z @ S @ self.Z.T) + np.diag(noise[self.task] / self.s)

    def contrasts(self, method: str) -> tuple[np.ndarray, ...]:
        """Orthonormal contrasts of sqrt(s_i) y_i, free of what is integrated out: 1/2 sum log s_i drops out too."""
        root = np.sqrt(self.s)[:, None]
        gone = np.hstack([self.nuisance, self.mean]) * root if method == "reml" else self.nuisance * root
        K = np.linalg.svd(gone)[0][:, np.linalg.matrix_rank(gone) :] if gone.shape[1] else np.eye(len(self.y))
        return K * root, K.T @ (root[:, 0] * self.y), K.T @ (root * self.mean)

    def log_likelihood(self, S: np.ndarray, noise: np.ndarray, method: str, contrasts=None) -> float:
        """Scipy's normal density of the contrasts, at the best m for ML."""
        K, y, F = self.contrasts(method) if contrasts is None else contrasts
        V = K.T @ self.covariance(S, noise) @ K
        if method == "ml":
            inverse = np.linalg.inv(V)
            y = y - F @ np.linalg.lstsq(F.T @ inverse @ F, F.T @ inverse @ y, rcond=None)[0]
        return float(multivariate_normal(np.zeros(len(y)), V).logpdf(y))

    def mixed_model(self, S: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Henderson's equations of all effects at once, w_k = m + L v_k with L L' = S.

        Estimates of m (and intercepts), of w_k - m, and the covariance of the errors of both together.
        """
        values, vectors = np.linalg.eigh(S)
        L = vectors * np.sqrt(np.maximum(values, 0))
        inverse = np.diag(self.s / noise[self.task])
        effects = np.hstack([self.Z * (self.task == k)[:, None] for k in range(self.t)])
        f = self.mean.shape[1] + self.nuisance.shape[1]
        to_units = np.eye(f + self.t * self.r)
        to_units[f:, f:] = np.kron(np.eye(self.t), L)
        A = np.hstack([self.mean, self.nuisance, effects]) @ to_units
        left = A.T @ inverse @ A
        left[f:, f:] += np.eye(self.t * self.r)
        solution = to_units @ np.linalg.solve(left, A.T @ inverse @ self.y)
        error = to_units @ np.linalg.inv(left) @ to_units.T
        return solution[:f], solution[f:].reshape(self.t, self.r), error


def fitted(data, relation=None, *, intercept="tied", standardize=True, tol=1e-6, **options) -> PriorFit:
    """The fit of a case."""
    # Estimators leave rows without weight out.
    kept = slice(None) if data.weights is None else data.weights > 0
    weights = None if data.weights is None else data.weights[kept]
    if data.tasks is None:
        stats = passes.columns(data.X[kept], data.y[kept], weights)
    else:
        stats = passes.grouped(data.X[kept], data.y[kept], data.tasks[kept], data.t, weights)
    relation = HierarchicalPrior("full", **options) if relation is None else relation
    return fit_prior(stats, relation, intercept=intercept, standardize=standardize, tol=tol)


def case(layout="groups", seed=0, t=8, d=2, n=9, **more):
    """A case of tasks that differ, with full S inside."""
    return draw(layout, seed=seed, t=t, d=d, n=n, noise=0.5, **more)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("layout", ["groups", "columns", "holes"])
@pytest.mark.parametrize("method", METHODS)
def test_the_likelihood_is_that_of_all_rows_written_out(layout, intercept, method):
    for noise in ("common", "task"):
        for weighted in (False, True):
            data = case(layout, weighted=weighted)
            dense = Dense(data, intercept)
            fit = fitted(data, intercept=intercept, method=method, noise=noise)
            assert fit.residual <= 1e-6
            expected = dense.log_likelihood(fit.relation.S, fit.noise, method)
            assert fit.log_likelihood == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("covariance", ["full", "diagonal", "isotropic"])
def test_scipy_finds_no_better_maximum(covariance, method, intercept):
    """BFGS with finite differences, on the dense likelihood, from three starts."""
    data = case(seed=3, t=6, n=6)
    dense = Dense(data, intercept)
    fit = fitted(data, HierarchicalPrior(covariance, method=method), intercept=intercept)
    r, contrasts = dense.r, dense.contrasts(method)
    lower = np.tril_indices(r)

    def root(theta):
        L = np.zeros((r, r))
        if covariance == "full":
            L[lower] = theta[:-1]
        elif covariance == "diagonal":
            L = np.diag(theta[:-1])
        else:
            L = np.diag(np.full(r, theta[0]))
            if intercept == "tied":
                L[-1, -1] = theta[1]
        return L

    def loss(theta):
        L = root(theta)
        return -dense.log_likelihood(L @ L.T, np.full(dense.t, np.exp(theta[-1])), method, contrasts)

    n_free = {"full": len(lower[0]), "diagonal": r, "isotropic": 1 + (intercept == "tied")}[covariance]
    best = np.inf
    for seed in range(3):
        start = np.append(np.random.default_rng(seed).normal(size=n_free), 0.0)
        best = min(best, minimize(loss, start, method="BFGS", options={"gtol": 1e-6}).fun)
    assert -fit.log_likelihood <= best + 1e-7 * abs(best)
    assert fit.log_likelihood == pytest.approx(-best, rel=1e-5)  # the starts found the maximum too


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("layout", ["groups", "holes"])
def test_tasks_and_their_covariances_are_hendersons(layout, intercept):
    data = case(layout, weighted=True)
    dense = Dense(data, intercept)
    fit = fitted(data, intercept=intercept)
    center, scale = center_and_scale(data, True)
    fixed, effects, error = dense.mixed_model(fit.relation.S, fit.noise)
    d = data.X.shape[1]
    np.testing.assert_allclose(fit.mean_coef * scale, fixed[:d], rtol=1e-7)
    np.testing.assert_allclose(fit.coef * scale, fixed[:d] + effects[:, :d], rtol=1e-7)
    level = {"free": fixed[d:], "none": np.zeros(data.t)}.get(intercept, np.full(data.t, fixed[-1]))
    if intercept == "tied":
        level = level + effects[:, -1]
    origin = 0 * center if intercept in ("free", "none") else center
    np.testing.assert_allclose(fit.intercept, level - fit.coef @ origin, rtol=1e-7, atol=1e-9)
    # Variances of predictions: z' (error of the equations) z, fixed effects and effects together.
    x = np.random.default_rng(1).normal(size=(6, d))
    codes = np.arange(6) % data.t
    z = (x - origin) / scale
    one = np.ones((6, 1))
    f = len(fixed)
    row = np.zeros((6, f + data.t * dense.r))
    row[:, :d] = z
    if intercept in ("tied", "common"):
        row[:, d] = 1
    elif intercept == "free":
        row[np.arange(6), d + codes] = 1
    if intercept == "tied":
        z = np.hstack([z, one])
    for i, k in enumerate(codes):
        row[i, f + k * dense.r : f + (k + 1) * dense.r] = z[i]
    expected = np.einsum("ni,ij,nj->n", row, error, row)
    np.testing.assert_allclose(fit.uncertainty.variance(x, codes) - fit.noise[codes], expected, rtol=1e-6)
    if intercept != "free":
        new = np.full(6, NEW)
        of_new = np.einsum("ni,ij,nj->n", row[:, :f], error[:f, :f], row[:, :f])
        of_new += np.einsum("ni,ij,nj->n", z, fit.relation.S, z)
        np.testing.assert_allclose(fit.uncertainty.variance(x, new, noise=False), of_new, rtol=1e-6)
        rows = np.hstack([x, one]) if intercept != "none" else x
        C = fit.uncertainty.covariance(2)
        same = fit.uncertainty.variance(x, np.full(6, 2), noise=False)
        np.testing.assert_allclose(np.einsum("ni,ij,nj->n", rows, C, rows), same, rtol=1e-6)
        whole = fit.covariance + fit.mean_covariance
        np.testing.assert_allclose(np.einsum("ni,ij,nj->n", rows, whole, rows), of_new, rtol=1e-6)


@pytest.mark.parametrize("noise", ["common", "task"])
def test_every_iteration_raises_the_likelihood(noise):
    fit = fitted(case(t=20, d=3), noise=noise)
    assert len(fit.history) == fit.n_iter + 1 > 5
    assert (np.diff(fit.history) >= -1e-9 * abs(fit.history[-1])).all()


def test_thin_tasks_and_tasks_of_other_sizes_give_the_same_likelihood():
    """With d > 64 tasks of few rows keep their rows; the likelihood stays that of all rows written out."""
    rng = np.random.default_rng(0)
    t, d = 30, 70
    tasks = np.repeat(np.arange(t), rng.integers(1, 12, size=t))
    tasks = np.concatenate([tasks, np.repeat([3, 7, 9], 90)])
    X = rng.normal(size=(len(tasks), d))
    W = rng.normal(size=d) + 0.3 * rng.normal(size=(t, d))
    y = np.einsum("nd,nd->n", X, W[tasks]) + 0.3 * rng.normal(size=len(tasks))
    data = type(draw())(X, y, tasks, None, t)
    fit = fitted(data, HierarchicalPrior("isotropic"), intercept="tied")
    dense = Dense(data, "tied")
    assert fit.log_likelihood == pytest.approx(dense.log_likelihood(fit.relation.S, fit.noise, "reml"), rel=1e-9)
    assert len({len(r[0]) for r in fit.uncertainty.blocks}) > 1


def test_intervals_cover_on_average_over_tasks():
    """90% intervals hold about 90% of new labels, on average over known tasks and over new ones (not in each task)."""
    rng = np.random.default_rng(7)
    known, new = [], []
    t, d, n = 60, 3, 10
    L = np.array([[0.8, 0, 0, 0], [0.3, 0.5, 0, 0], [0.0, 0.2, 0.4, 0], [0.5, 0, 0, 1.0]])
    tasks = np.repeat(np.arange(t), n)

    def sample(W):
        X = rng.normal(size=(len(tasks), d))
        return X, np.einsum("nd,nd->n", X, W[tasks, :d]) + W[tasks, d] + 0.7 * rng.normal(size=len(tasks))

    for _ in range(20):
        m = rng.normal(size=d + 1)
        W = m + rng.normal(size=(t, d + 1)) @ L.T
        fit = fit_prior(passes.grouped(*sample(W), tasks, t), HierarchicalPrior("full"), intercept="tied")
        X, y = sample(W)
        error = y - np.einsum("nd,nd->n", X, fit.coef[tasks]) - fit.intercept[tasks]
        known.append(np.abs(error) <= 1.6449 * np.sqrt(fit.uncertainty.variance(X, tasks)))
        X, y = sample(m + rng.normal(size=(t, d + 1)) @ L.T)
        error = y - X @ fit.mean_coef - fit.mean_intercept
        new.append(np.abs(error) <= 1.6449 * np.sqrt(fit.uncertainty.variance(X, np.full(len(X), NEW))))
    assert np.mean(known) == pytest.approx(0.9, abs=0.02)
    assert np.mean(new) == pytest.approx(0.9, abs=0.03)


def test_too_few_labels_are_told():
    X = np.random.default_rng(0).normal(size=(4, 5))
    stats = passes.grouped(X, X[:, 0], np.array([0, 0, 1, 1]), 2)
    with pytest.raises(InputError, match="4 labels are too few for a mean of 4 coefficients"):
        fit_prior(stats, HierarchicalPrior(), intercept="none")
    with pytest.raises(InputError, match="2 labels beyond one a task are too few"):
        fit_prior(stats, HierarchicalPrior(), intercept="free")


def test_sparse_rows_of_many_columns_are_the_dense_ones() -> None:
    rng = np.random.default_rng(0)
    X = np.where(rng.random((240, 80)) < 0.1, rng.normal(size=(240, 80)), 0.0)
    tasks, y = np.arange(240) % 8, X[:, :5].sum(1) + rng.normal(size=240)
    dense, sparse_one = (
        MultiTaskRegressor(HierarchicalPrior("isotropic")).fit(Z, y, tasks) for Z in (X, sparse.csr_array(X))
    )
    assert sparse_one.log_likelihood_ == pytest.approx(dense.log_likelihood_, rel=1e-8)
    np.testing.assert_allclose(sparse_one.coef_, dense.coef_, atol=1e-4)
