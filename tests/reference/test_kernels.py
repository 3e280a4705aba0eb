"""Kernel models against independent sources: the linear estimator, scikit-learn's Gaussian process, brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    DotProduct,
    ExpSineSquared,
    Kernel,
    Matern,
    PairwiseKernel,
    RationalQuadratic,
    WhiteKernel,
)
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel

from relatask.linear import MultiTaskKernelRidge, MultiTaskRegressor
from relatask.linear.kernels.evidence import LabelEvidence, SharedEvidence
from relatask.linear.kernels.products import Entries
from relatask.notices import RelataskWarning
from relatask.relations import Pairwise, Ridge, TaskKernel

T = np.array([[1.0, 0.6, -0.2], [0.6, 1.5, 0.3], [-0.2, 0.3, 0.8]])
Case = tuple[np.ndarray, ...]


def shared(n: int = 40, t: int = 3, d: int = 2) -> Case:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, d)) * [1.0, 5.0][:d]
    f = np.column_stack([np.sin(X[:, 0] + k) + 0.1 * X[:, -1] for k in range(t)])
    return X, f + 0.3 * rng.normal(size=(n, t)) + np.arange(t)


def holes() -> Case:
    X, Y = shared()
    return X, np.where(np.random.default_rng(2).random(Y.shape) < 0.3, np.nan, Y)


def groups() -> Case:
    X, Y = shared()
    tasks = np.random.default_rng(3).integers(0, 3, len(X))
    return X, Y[np.arange(len(X)), tasks], tasks


CASES = {"shared": shared, "holes": holes, "groups": groups}
SOLVERS = {"shared": ("eigen", "cholesky", "cg"), "holes": ("cholesky", "cg"), "groups": ("cholesky", "cg")}
BOTH = [(case, solver) for case, solvers in SOLVERS.items() for solver in solvers]


@pytest.mark.parametrize(("case", "solver"), BOTH)
@pytest.mark.parametrize("intercept", ["free", "none"])
@pytest.mark.parametrize("weighting", ["sum", "task", "sample"])
def test_a_linear_kernel_is_the_linear_model_under_a_task_kernel(
    case: str, solver: str, intercept: str, weighting: str
) -> None:
    X, y, *tasks = CASES[case]()
    same: dict[str, Any] = {"weighting": weighting, "intercept": intercept, "tol": 1e-12}
    for standardize in (True, False):
        ours = MultiTaskKernelRidge(T, "linear", strength=0.3, solver=solver, standardize=standardize, **same)
        linear = MultiTaskRegressor(TaskKernel(T, 0.3), standardize=standardize, **same)
        weights = np.random.default_rng(4).integers(0, 3, len(X)) * 0.7
        for weight in (None, weights):
            ours.fit(X, y, *tasks, sample_weight=weight)
            linear.fit(X, y, *tasks, sample_weight=weight)
            np.testing.assert_allclose(ours.predict(X, *tasks), linear.predict(X, *tasks), atol=1e-8)
            assert ours.objective_ == pytest.approx(linear.objective_, rel=1e-9)
            np.testing.assert_array_equal(ours.n_labels_, linear.n_labels_)


def test_a_relation_is_the_inverse_of_its_precision() -> None:
    X, y, tasks = groups()
    relation = Ridge(0.2) + Pairwise(0.1)
    ours = MultiTaskKernelRidge(relation, "linear", strength=1.0).fit(X, y, tasks)
    linear = MultiTaskRegressor(relation).fit(X, y, tasks)
    np.testing.assert_allclose(ours.predict(X, tasks), linear.predict(X, tasks), atol=1e-8)


@pytest.mark.parametrize("kernel", ["rbf", "laplacian", "polynomial", "linear", "cosine"])
def test_one_task_without_intercept_is_scikit_learns_kernel_ridge(kernel: str) -> None:
    X, Y = shared()
    ours = MultiTaskKernelRidge(
        "independent", kernel, strength=0.7, weighting="sum", intercept="none", standardize=False
    ).fit(X, Y)
    theirs = KernelRidge(kernel=kernel, alpha=0.7, gamma=None).fit(X, Y)
    np.testing.assert_allclose(ours.predict(X[:7] + 0.1), theirs.predict(X[:7] + 0.1), atol=1e-8)


class OverTasks(Kernel):
    """T[k, l] K(x, z) on rows (x, k): the one kernel that scikit-learn's Gaussian process is given."""

    def __init__(self, inner: Kernel, T: Any) -> None:
        self.inner = inner
        self.T = T

    def __call__(self, X: np.ndarray, Y: Any = None, eval_gradient: bool = False) -> np.ndarray:
        Y = X if Y is None else Y
        return self.T[X[:, -1].astype(int)][:, Y[:, -1].astype(int)] * self.inner(X[:, :-1], Y[:, :-1])

    def diag(self, X: np.ndarray) -> np.ndarray:
        return np.diag(self.T)[X[:, -1].astype(int)] * self.inner.diag(X[:, :-1])

    def is_stationary(self) -> bool:
        return False


KERNELS = [
    RBF([0.8, 3.0]),
    ConstantKernel(2.0) * Matern(1.5, nu=1.5) + DotProduct(0.5),
    RationalQuadratic(1.2, 0.7) * ExpSineSquared(2.0, 3.0),
    PairwiseKernel(metric="laplacian", gamma=0.3) ** 2,
]


@pytest.mark.parametrize(("case", "solver"), BOTH)
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: type(k).__name__)
def test_means_variances_and_likelihood_are_those_of_scikit_learns_gaussian_process(
    case: str, solver: str, kernel: Kernel
) -> None:
    X, y, *tasks = CASES[case]()
    weight = np.random.default_rng(5).random(len(X)) + 0.5
    model = MultiTaskKernelRidge(
        T, kernel, strength=0.2, weighting="sum", intercept="none", standardize=False, amplitude=1.7, solver=solver,
        tol=1e-13,
    ).fit(X, y, *tasks, sample_weight=weight)  # fmt: skip
    if tasks:
        row, task, labels = np.arange(len(X)), tasks[0], y
    else:
        row, task = np.nonzero(~np.isnan(y))
        labels = y[row, task]
    noise = 1.7 * 0.2 / weight[row]
    process = GaussianProcessRegressor(OverTasks(1.7 * kernel, T), alpha=noise, optimizer=None)
    process.fit(np.column_stack([X[row], task]), labels)
    new = np.random.default_rng(6).normal(size=(6, 2))
    for k in range(3):
        mean, std = process.predict(np.column_stack([new, np.full(6, k)]), return_std=True)
        if tasks:
            ours, spread = model.predict(new, np.full(6, k), return_std=True, noise=False)
        else:
            ours, spread = (part[:, k] for part in model.predict(new, return_std=True, noise=False))
        np.testing.assert_allclose(ours, mean, atol=1e-8)
        np.testing.assert_allclose(spread, std, atol=1e-7)
        np.testing.assert_allclose(spread**2, std**2, atol=1e-8)
    if solver == "cg":
        assert model.log_marginal_likelihood_ is None
    else:
        assert model.log_marginal_likelihood_ == pytest.approx(process.log_marginal_likelihood_value_, abs=1e-7)
    np.testing.assert_allclose(model.noise_variance_, 1.7 * 0.2)


def kriged(
    X: np.ndarray, labels: np.ndarray, task: np.ndarray, noise: np.ndarray, new: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Universal kriging with one unknown mean a task (generalised least squares): mean, variance, log likelihood."""
    omega = T[np.ix_(task, task)] * rbf_kernel(X, gamma=0.4)
    V, Z = omega + np.diag(noise), np.eye(3)[task]
    inverse = np.linalg.inv(V)
    inner = Z.T @ inverse @ Z
    b = np.linalg.solve(inner, Z.T @ inverse @ labels)
    cross = T[task, k][:, None] * rbf_kernel(X, new, gamma=0.4)
    mean = b[k] + cross.T @ inverse @ (labels - Z @ b)
    short = np.eye(3)[k][:, None] - Z.T @ inverse @ cross
    variance = T[k, k] - np.einsum("nm,nm->m", cross, inverse @ cross)
    variance = variance + np.einsum("tm,tm->m", short, np.linalg.solve(inner, short))
    rest = labels - Z @ b
    logs = np.linalg.slogdet(V)[1] + np.linalg.slogdet(inner)[1] + (len(labels) - 3) * np.log(2 * np.pi)
    return mean, variance, -0.5 * (logs + rest @ inverse @ rest)


@pytest.mark.parametrize(("case", "solver"), BOTH)
def test_free_intercepts_are_universal_kriging(case: str, solver: str) -> None:
    X, y, *tasks = CASES[case]()
    weight = np.random.default_rng(5).random(len(X)) + 0.5
    model = MultiTaskKernelRidge(
        T, "rbf", kernel_params={"gamma": 0.4}, strength=0.2, weighting="task", standardize=False, amplitude=1.0,
        solver=solver, tol=1e-13,
    ).fit(X, y, *tasks, sample_weight=weight)  # fmt: skip
    if tasks:
        row, task, labels = np.arange(len(X)), tasks[0], y
    else:
        row, task = np.nonzero(~np.isnan(y))
        labels = y[row, task]
    total = np.bincount(task, weight[row])
    noise = 0.2 * total[task] / weight[row]
    new = np.random.default_rng(6).normal(size=(6, 2))
    for k in range(3):
        mean, variance, density = kriged(X[row], labels, task, noise, new, k)
        if tasks:
            ours, spread = model.predict(new, np.full(6, k), return_std=True)
        else:
            ours, spread = (part[:, k] for part in model.predict(new, return_std=True))
        np.testing.assert_allclose(ours, mean, atol=1e-8)
        np.testing.assert_allclose(spread**2, variance + 0.2 * total[k], atol=1e-8)
    if solver != "cg":
        assert model.log_marginal_likelihood_ == pytest.approx(density, abs=1e-7)


def test_the_likelihood_integrates_the_intercept_out() -> None:
    X, Y = shared(12)
    y = Y[:, 0]
    model = MultiTaskKernelRidge(
        "independent", strength=0.3, weighting="sum", amplitude=1.0, standardize=False, kernel_params={"gamma": 0.4}
    ).fit(X, y)
    V = rbf_kernel(X, gamma=0.4) + 0.3 * np.eye(len(X))
    density, _ = quad(lambda b: multivariate_normal.pdf(y, np.full(len(y), b), V), -10, 12, points=[0.0, 1.0])
    assert model.log_marginal_likelihood_ == pytest.approx(np.log(density), abs=1e-7)


@pytest.mark.parametrize("case", ["shared", "labels"])
@pytest.mark.parametrize("free", [True, False])
def test_slopes_of_the_evidence_are_those_of_finite_differences(case: str, free: bool) -> None:
    X, Y = shared(9)
    weight = np.random.default_rng(7).random(9) + 0.5
    kernel = RBF([0.7, 2.0])
    if case == "shared":
        evidence: Any = SharedEvidence(Y, weight, free)
    else:
        task, row = np.repeat(np.arange(3), 9)[3:], np.tile(np.arange(9), 3)[3:]
        evidence = LabelEvidence(Entries(row, task, Y[row, task], weight[row], np.ones(3), free))
    noise = np.array([0.3, 0.5, 0.2])
    step = 1e-5

    def value(between: np.ndarray, own: np.ndarray, theta: np.ndarray) -> float:
        return float(evidence(between, own, kernel.clone_with_theta(theta)(X), None).value)

    slopes = evidence(T, noise, *kernel(X, eval_gradient=True))
    for k in range(3):
        for l in range(k + 1):
            up = np.zeros((3, 3))
            up[k, l] = up[l, k] = step
            found = (value(T + up, noise, kernel.theta) - value(T - up, noise, kernel.theta)) / (2 * step)
            both = slopes.between[k, l] + (slopes.between[l, k] if k != l else 0.0)
            assert both == pytest.approx(found, rel=1e-6, abs=1e-7)
        up_noise = step * np.eye(3)[k]
        found = (value(T, noise + up_noise, kernel.theta) - value(T, noise - up_noise, kernel.theta)) / (2 * step)
        assert slopes.noise[k] == pytest.approx(found, rel=1e-6, abs=1e-7)
    for p in range(2):
        up_theta = step * np.eye(2)[p]
        found = (value(T, noise, kernel.theta + up_theta) - value(T, noise, kernel.theta - up_theta)) / (2 * step)
        assert slopes.kernel[p] == pytest.approx(found, rel=1e-6, abs=1e-7)


def test_evidence_of_shared_rows_is_that_of_their_labels() -> None:
    X, Y = shared(9)
    weight = np.random.default_rng(7).random(9) + 0.5
    task, row = np.repeat(np.arange(3), 9), np.tile(np.arange(9), 3)
    for free in (True, False):
        one = SharedEvidence(Y, weight, free)(T, np.array([0.3, 0.5, 0.2]), rbf_kernel(X), None)
        entries = Entries(row, task, Y[row, task], weight[row], np.ones(3), free)
        other = LabelEvidence(entries)(T, np.array([0.3, 0.5, 0.2]), rbf_kernel(X), None)
        assert one.value == pytest.approx(other.value, abs=1e-9)
        np.testing.assert_allclose(one.between, other.between, atol=1e-9)


@pytest.mark.parametrize("case", ["shared", "groups"])
def test_the_learned_task_kernel_maximises_a_dense_multivariate_normal(case: str) -> None:
    X, Y = shared(14, 2, 1)
    if case == "shared":
        y: Any = Y
        row, task, tasks = np.tile(np.arange(14), 2), np.repeat([0, 1], 14), None
    else:
        tasks = np.arange(14) % 2
        row, task, y = np.arange(14), tasks, Y[np.arange(14), tasks]
    labels = Y[row, task]
    model = MultiTaskKernelRidge(
        "learned", RBF(1.0), intercept="none", standardize=False, n_starts=4, max_iter=2_000
    ).fit(X, y, tasks)
    K = RBF(1.0)(X)[np.ix_(row, row)]

    def negative(point: np.ndarray) -> float:
        B, kappa, noise = point[:2], np.exp(point[2:4]), np.exp(point[4:])
        between = np.multiply.outer(B, B) + np.diag(kappa)
        V = K * between[np.ix_(task, task)] + np.diag(noise[task])
        return -float(multivariate_normal.logpdf(labels, np.zeros(len(labels)), V, allow_singular=True))

    bounds = [(-20, 20)] * 2 + [(-14, 8)] * 4
    ends = []
    for seed in range(6):
        start = np.random.default_rng(seed).normal(size=6) * [1, 1, 0.5, 0.5, 0.5, 0.5] - [0, 0, 1, 1, 1, 1]
        ends.append(minimize(negative, start, bounds=bounds, method="L-BFGS-B", options={"maxfun": 20_000}))
    best = -min(end.fun for end in ends)
    assert model.learning_ is not None
    assert model.learning_.max() == pytest.approx(best, abs=1e-4)
    V = K * model.task_kernel_[np.ix_(task, task)] + np.diag(model.noise_variance_[task])
    density = multivariate_normal.logpdf(labels, np.zeros(len(labels)), V)
    assert model.learning_.max() == pytest.approx(density, abs=1e-7)
    assert model.log_marginal_likelihood_ == pytest.approx(density, abs=1e-7)


def test_learned_length_scales_are_those_of_scikit_learns_gaussian_process() -> None:
    X, Y = shared(50, 1, 2)
    kernel = ConstantKernel(1.0, "fixed") * RBF([1.0, 1.0])
    model = MultiTaskKernelRidge(
        "pooled", kernel, optimize_kernel=True, intercept="none", standardize=False, max_iter=500
    ).fit(X, Y[:, 0])
    process = GaussianProcessRegressor(
        ConstantKernel(1.0) * RBF([1.0, 1.0]) + WhiteKernel(0.1), alpha=0.0, n_restarts_optimizer=3, random_state=0
    ).fit(X, Y[:, 0])
    assert model.log_marginal_likelihood_ >= process.log_marginal_likelihood_value_ - 1e-5
    mean = process.predict(X)
    np.testing.assert_allclose(model.predict(X), mean, atol=2e-3)
    assert model.noise_variance_[0] == pytest.approx(process.kernel_.k2.noise_level, rel=1e-2)


@pytest.mark.parametrize("case", ["shared", "holes", "groups"])
@pytest.mark.parametrize("intercept", ["free", "none"])
def test_leave_one_out_is_a_refit_without_the_row(case: str, intercept: str) -> None:
    X, y, *tasks = CASES[case]()
    weight = np.random.default_rng(8).integers(1, 4, len(X)).astype(float)
    same: dict[str, Any] = {"weighting": "sum", "intercept": intercept, "standardize": False}
    model = MultiTaskKernelRidge(T, RBF(1.0), **same).fit(X, y, *tasks, sample_weight=weight)
    assert model.path_ is not None
    assert model.path_.left_out == 0
    for place in (3, 12, 20):
        strength = float(model.path_.strengths[place])
        errors = total = 0.0
        for i in range(len(X)):
            kept = np.arange(len(X)) != i
            own = [task[kept] for task in tasks]
            refit = MultiTaskKernelRidge(T, RBF(1.0), strength=strength, **same)
            refit.fit(X[kept], y[kept], *own, sample_weight=weight[kept])
            error = y[i] - refit.predict(X[i : i + 1], *[task[i : i + 1] for task in tasks])[0]
            errors += weight[i] * np.nansum(np.square(error))
            total += weight[i] * np.sum(~np.isnan(error))
        assert model.path_.errors[place] == pytest.approx(errors / total, rel=1e-7)


@pytest.mark.parametrize("case", ["shared", "holes", "groups"])
def test_other_criteria_are_what_they_are_called(case: str) -> None:
    X, y, *tasks = CASES[case]()
    same: dict[str, Any] = {"weighting": "sum", "standardize": False}
    gcv = MultiTaskKernelRidge(T, RBF(1.0), criterion="gcv", **same).fit(X, y, *tasks)
    likely = MultiTaskKernelRidge(T, RBF(1.0), criterion="likelihood", **same).fit(X, y, *tasks)
    assert gcv.path_ is not None
    assert likely.path_ is not None
    strength = float(gcv.path_.strengths[10])
    seen = ~np.isnan(y)
    trace = 0.0
    fit = MultiTaskKernelRidge(T, RBF(1.0), strength=strength, **same)
    residual = float(np.nansum(np.square(y - fit.fit(X, y, *tasks).predict(X, *tasks))))
    for place in np.argwhere(seen):
        unit = np.where(seen, 0.0, np.nan)
        unit[tuple(place)] = 1.0
        with pytest.warns(RelataskWarning, match="constant target"):  # the other tasks are zero
            trace += float(fit.fit(X, unit, *tasks).predict(X, *tasks)[tuple(place)])
    n = seen.sum()
    assert gcv.path_.errors[10] == pytest.approx(n * residual / (n - trace) ** 2, rel=1e-7)
    assert likely.path_.criterion == "likelihood"
    for place in (5, 15):
        own = MultiTaskKernelRidge(T, RBF(1.0), strength=float(likely.path_.strengths[place]), **same)
        assert -likely.path_.errors[place] == pytest.approx(own.fit(X, y, *tasks).log_marginal_likelihood_, rel=1e-9)
