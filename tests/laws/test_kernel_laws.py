"""What holds for every kernel model: shapes, invariances, counts of work, saving, and what it says of bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.utils.estimator_checks import parametrize_with_checks
from tests.kernel_cases import NAMES, T, rows, table

from relatask.linear import MultiTaskKernelRidge
from relatask.linear.kernels import products as products_module
from relatask.linear.kernels.conjugate import conjugate
from relatask.linear.kernels.features import FeatureKernel
from relatask.linear.kernels.nystroem import factor, preconditioner
from relatask.linear.kernels.products import Entries, Products, Scaled
from relatask.notices import InputError, RelataskWarning

MODELS = [
    MultiTaskKernelRidge(),
    MultiTaskKernelRidge("pooled", "linear", strength=0.1, solver="cg"),
    MultiTaskKernelRidge("independent", strength=0.01, solver="cholesky", weighting="task"),
    MultiTaskKernelRidge(0.5, RBF(2.0), solver="cholesky", criterion="gcv", intercept="none"),
    MultiTaskKernelRidge(0.5, Matern(nu=1.5), solver="cg", standardize=False),
]


@pytest.mark.filterwarnings("ignore:RT005")
@pytest.mark.filterwarnings("ignore:Can't check dok sparse matrix for nan values:UserWarning")
@parametrize_with_checks(MODELS)
def test_scikit_learns_own_checks(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


@given(st.integers(0, 10_000), st.sampled_from(["free", "none"]), st.sampled_from(["sum", "task", "sample"]))
def test_solvers_agree_and_are_certified(seed: int, intercept: str, weighting: str) -> None:
    rng = np.random.default_rng(seed)
    X, y, tasks = rows(30, seed)
    strength = float(10 ** rng.uniform(-3, 1))
    same: dict[str, Any] = {"strength": strength, "intercept": intercept, "weighting": weighting, "tol": 1e-11}
    weight = rng.random(30) + 0.1
    dense = MultiTaskKernelRidge(T, solver="cholesky", **same).fit(X, y, tasks, sample_weight=weight)
    steps = MultiTaskKernelRidge(T, solver="cg", landmarks=5, **same).fit(X, y, tasks, sample_weight=weight)
    np.testing.assert_allclose(steps.predict(X, tasks), dense.predict(X, tasks), atol=1e-7)
    assert dense.residual_ < 1e-11
    assert steps.residual_ < 1e-11
    # The certificate is the residual of the formula in the documentation.
    omega = dense.task_kernel_[np.ix_(dense.fit_tasks_, dense.fit_tasks_)] * rbf_kernel(dense.X_fit_)
    fitted = omega @ dense.dual_coef_ + dense.intercept_[dense.fit_tasks_]
    own = dense.loss_weight_[dense.fit_tasks_] * dense.fit_weight_
    np.testing.assert_allclose(own * (y[dense.rows_] - fitted), strength * dense.dual_coef_, atol=1e-9)


@given(st.integers(0, 10_000), st.floats(0.1, 100.0), st.floats(-100.0, 100.0))
def test_units_and_order_make_no_difference(seed: int, factor_: float, shift: float) -> None:
    X, y, tasks = rows(24, seed)
    model = MultiTaskKernelRidge(0.7).fit(X, y, tasks)
    other = MultiTaskKernelRidge(0.7).fit(X * [factor_, 1.0] + shift, factor_ * y + shift, tasks)
    new = X[:5] * [factor_, 1.0] + shift
    np.testing.assert_allclose(
        other.predict(new, tasks[:5]), factor_ * model.predict(X[:5], tasks[:5]) + shift, rtol=1e-5, atol=1e-4
    )
    order = np.random.default_rng(seed).permutation(24)
    mixed = MultiTaskKernelRidge(0.7).fit(X[order], y[order], tasks[order])
    np.testing.assert_allclose(mixed.predict(X, tasks), model.predict(X, tasks), atol=1e-7)


@given(st.integers(0, 10_000))
def test_a_weight_is_the_row_given_so_many_times(seed: int) -> None:
    X, y, tasks = rows(24, seed)
    count = np.random.default_rng(seed).integers(0, 4, 24)
    count[[list(tasks).index(name) for name in NAMES]] = 1
    weighted = MultiTaskKernelRidge(0.7).fit(X, y, tasks, sample_weight=count)
    repeated = MultiTaskKernelRidge(0.7).fit(X.repeat(count, 0), y.repeat(count), tasks.repeat(count))
    assert weighted.strength_ == pytest.approx(repeated.strength_, rel=1e-12)
    np.testing.assert_allclose(weighted.predict(X, tasks), repeated.predict(X, tasks), atol=1e-9)
    # The least strengths leave systems of condition 1e5 or so.
    np.testing.assert_allclose(weighted.path_.errors, repeated.path_.errors, rtol=1e-7)


@pytest.mark.parametrize("solver", ["auto", "cholesky", "cg"])
def test_a_constant_kernel_beside_free_intercepts_says_nothing(solver: str) -> None:
    X, Y = table()
    model = MultiTaskKernelRidge(T, ConstantKernel(3.0), solver=solver).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), np.broadcast_to(Y.mean(0), Y.shape), atol=1e-9)
    np.testing.assert_allclose(model.amplitude_ * model.strength_, model.noise_variance_ * model.loss_weight_)


def test_columns_are_groups_of_repeated_rows() -> None:
    X, Y = table()
    columns = MultiTaskKernelRidge(T, strength=0.1, weighting="sum").fit(X, Y)
    groups = MultiTaskKernelRidge(T, strength=0.1, weighting="sum")
    groups.fit(np.tile(X, (3, 1)), Y.T.ravel(), np.repeat([0, 1, 2], len(X)))
    assert columns.solver_ == "eigen"
    assert groups.solver_ == "cholesky"
    np.testing.assert_allclose(columns.predict(X)[:, 1], groups.predict(X, np.ones(len(X), int)), atol=1e-9)
    np.testing.assert_allclose(columns.predict(X, [1] * len(X)), columns.predict(X)[:, 1], atol=1e-12)
    assert columns.log_marginal_likelihood_ == pytest.approx(groups.log_marginal_likelihood_, abs=1e-7)
    assert columns.dual_coef_.shape == (30, 3)
    np.testing.assert_allclose(columns.dual_coef_.T.ravel(), groups.dual_coef_, atol=1e-8)


def test_independent_tasks_are_alone_and_pooled_ones_share_a_function() -> None:
    X, y, tasks = rows()
    apart = MultiTaskKernelRidge("independent", strength=0.1, weighting="sum", standardize=False).fit(X, y, tasks)
    own = tasks == "south"
    alone = MultiTaskKernelRidge("independent", strength=0.1, weighting="sum", standardize=False).fit(X[own], y[own])
    np.testing.assert_allclose(apart.predict(X, ["south"] * len(X)), alone.predict(X), atol=1e-9)
    together = MultiTaskKernelRidge("pooled", strength=0.1).fit(X, y, tasks)
    difference = together.predict(X, ["south"] * len(X)) - together.predict(X, ["west"] * len(X))
    np.testing.assert_allclose(difference, difference[0], atol=1e-9)
    np.testing.assert_allclose(
        MultiTaskKernelRidge(1.0, strength=0.1).fit(X, y, tasks).predict(X, tasks), together.predict(X, tasks)
    )


# Work is counted, not timed.


def entries(n: int, t: int = 4) -> tuple[np.ndarray, Entries]:
    rng = np.random.default_rng(3)
    X, task = rng.normal(size=(n, 3)), np.sort(np.arange(n) % t)
    y = np.sin(X[:, 0]) + task + 0.3 * rng.normal(size=n)
    return X, Entries(np.arange(n), task, y, np.ones(n), np.ones(t), True)


def test_landmarks_save_products_and_right_hand_sides_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products_module, "TILE", 64)
    X, e = entries(600)
    between = 0.5 * np.eye(4) + 0.5
    products = Products(FeatureKernel("rbf"), X, between, e, 1e9)
    steps = {}
    inverse = preconditioner(products, factor(products, 150, 0), 0.3)
    for name, used in {"none": lambda V, _: V, "landmarks and blocks": inverse}.items():
        found = conjugate(Scaled(products), 0.3, e.target[:, None], used, 1e-10, 1_000)
        assert found.residual.max() <= 1e-10
        steps[name] = found.n_iter
    assert steps["landmarks and blocks"] * 6 <= steps["none"]
    # Ten right-hand sides, and every tile of the upper triangle was made once.
    made = products.counts["tiles"]
    parts = -(-600 // 64)
    assert made == parts * (parts + 1) // 2
    many = conjugate(Scaled(products), 0.3, np.random.default_rng(0).normal(size=(600, 10)), inverse, 1e-8, 1_000)
    assert many.residual.max() <= 1e-8
    assert many.n_iter <= 3 * steps["landmarks and blocks"]
    assert products.counts["tiles"] == made
    small = Products(FeatureKernel("rbf"), X, between, e, 8 * 64 * 64)
    V = e.target[:, None]
    assert not small.stored
    np.testing.assert_allclose(small(V), products(V), atol=1e-10)
    small(V)
    assert small.counts["tiles"] == parts * (parts + 1)  # made anew for each of two products


def test_no_tile_is_larger_than_a_tile_and_a_kernel_of_rows_is_never_one_of_labels() -> None:
    largest = []

    class Seen(FeatureKernel):
        def between(self, X: np.ndarray, Z: np.ndarray) -> np.ndarray:
            largest.append(len(X) * len(Z))
            return super().between(X, Z)

    X, _ = entries(700)
    task, row = np.repeat(np.arange(4), 700)[5:], np.tile(np.arange(700), 4)[5:]
    e = Entries(row, task, np.sin(X[row, 0]) + task, np.ones(len(row)), np.ones(4), True)
    products = Products(Seen("rbf"), X, T[:1, :1] * (0.5 * np.eye(4) + 0.5), e, 1e9)
    assert products.by_rows
    products(e.target[:, None])
    assert max(largest) <= products_module.TILE**2
    assert len(largest) == 3  # two parts of 700 rows: their upper triangle, for 2,795 labels


def test_the_landmarks_do_not_depend_on_chance() -> None:
    X, y, tasks = rows(90)
    first, second = (MultiTaskKernelRidge(T, strength=0.1, solver="cg").fit(X, y, tasks) for _ in range(2))
    np.testing.assert_array_equal(first.dual_coef_, second.dual_coef_)


def test_conjugate_gradients_say_when_they_stop_early() -> None:
    X, y, tasks = rows(900)
    with pytest.warns(RelataskWarning, match="RT015: conjugate gradients stopped after 1 products"):
        MultiTaskKernelRidge(T, strength=1e-5, solver="cg", max_iter=1, landmarks=1).fit(X, y, tasks)


def test_a_path_beyond_the_exact_size_is_near_the_exact_one() -> None:
    X, y, tasks = rows(150)
    exact = MultiTaskKernelRidge(T, solver="cholesky").fit(X, y, tasks)
    near = MultiTaskKernelRidge(T, solver="cg", landmarks=120).fit(X, y, tasks)
    assert near.strength_ == pytest.approx(exact.strength_, rel=1e-3)  # grids begin at the trace of what is seen
    assert near.path_.best == exact.path_.best
    np.testing.assert_allclose(near.path_.errors, exact.path_.errors, rtol=0.05)
    assert near.log_marginal_likelihood_ is None


def test_tasks_on_the_same_rows_share_every_product(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    tiles = Products._made

    def counted(self: Products) -> Any:
        made.append(len(self.X))
        return tiles(self)

    monkeypatch.setattr(Products, "_made", counted)
    X, Y = table(300)
    model = MultiTaskKernelRidge(T, solver="cg", landmarks=250).fit(X, Y)
    assert made == [300, 300]  # once for all tasks and steps, once for the certificate
    exact = MultiTaskKernelRidge(T).fit(X, Y)
    assert exact.solver_ == "eigen"
    assert model.strength_ == pytest.approx(exact.strength_, rel=1e-3)
    np.testing.assert_allclose(model.path_.errors, exact.path_.errors, rtol=0.05)
    given_ = MultiTaskKernelRidge(T, solver="cg", strength=exact.strength_, tol=1e-12).fit(X, Y)
    np.testing.assert_allclose(given_.dual_coef_, exact.dual_coef_, atol=1e-8)


def test_rows_are_predicted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = table()
    x, y, tasks = rows()
    for args, asked in (((X, Y), (X,)), ((x, y, tasks), (x, tasks))):
        model = MultiTaskKernelRidge(T, strength=0.1).fit(*args)
        whole = model.predict(*asked, return_std=True)
        monkeypatch.setattr("relatask.linear.kernels.spread.CELLS", 100)
        for part, same in zip(model.predict(*asked, return_std=True), whole, strict=True):
            np.testing.assert_allclose(part, same, rtol=1e-12)
        monkeypatch.undo()


# A task that was not fitted.


def test_a_labelled_task_kernel_knows_more_tasks() -> None:
    pandas = pytest.importorskip("pandas")
    X, y, tasks = rows()
    order = ["west", "east", "north", "south"]
    K = pandas.DataFrame(0.7 * np.eye(4) + 0.3, index=order, columns=order)
    K.loc["east", "west"] = K.loc["west", "east"] = 0.6
    model = MultiTaskKernelRidge(K, strength=0.1, intercept="none", weighting="sum").fit(X, y, tasks)
    assert model.tasks_.tolist() == NAMES
    assert model.task_kernel_[2, 0] == 0.3
    expected = 0.0
    for k, name in enumerate(NAMES):
        own = model.fit_tasks_ == k
        Z = (X[:4] - model.center_) / model.scale_
        expected = expected + K.loc["east", name] * rbf_kernel(Z, model.X_fit_[own]) @ model.dual_coef_[own]
    np.testing.assert_allclose(model.predict(X[:4], ["east"] * 4), expected)
    _, std = model.predict(X[:4], ["east"] * 4, return_std=True, noise=False)
    assert (std <= np.sqrt(model.amplitude_)).all()
    assert (std > model.predict(X[:4], ["west"] * 4, return_std=True, noise=False)[1]).all()
    with pytest.raises(InputError, match="task 'east' was not fitted: the variance of its noise"):
        model.predict(X[:1], ["east"], return_std=True)
    with pytest.raises(InputError, match="unknown task 'up'"):
        model.predict(X[:1], ["up"])
    free = MultiTaskKernelRidge(K, strength=0.1).fit(X, y, tasks)
    far = free.predict([[1e3, 1e3]], ["east"])
    assert far[0] == pytest.approx(np.average(free.intercept_, weights=free.n_labels_))
    with pytest.raises(InputError, match=r"task_kernel knows .* but there are tasks 'south' too"):
        MultiTaskKernelRidge(K.loc[order[:3], order[:3]]).fit(X, y, tasks)
    with pytest.raises(InputError, match="unknown task 'east'"):
        MultiTaskKernelRidge(0.5, strength=0.1).fit(X, y, tasks).predict(X[:1], ["east"])


def test_variances_shrink_with_labels_and_reach_the_prior_far_away() -> None:
    X, y, tasks = rows()
    model = MultiTaskKernelRidge(0.5, strength=0.1, intercept="none").fit(X, y, tasks)
    _, near = model.predict(X, tasks, return_std=True, noise=False)
    _, far = model.predict([[1e3, 1e3]], ["west"], return_std=True, noise=False)
    assert far[0] == pytest.approx(np.sqrt(model.amplitude_))
    assert (near < far).all()
    _, label = model.predict(X, tasks, return_std=True)
    np.testing.assert_allclose(label**2 - near**2, model.noise_variance_[0])
    half = MultiTaskKernelRidge(0.5, strength=0.1, intercept="none", weighting="sum", amplitude=1.0)
    few = half.fit(X[::2], y[::2], tasks[::2]).predict(X, tasks, return_std=True, noise=False)[1]
    many = half.fit(X, y, tasks).predict(X, tasks, return_std=True, noise=False)[1]
    scale = half.scale_
    assert scale.shape == (2,)
    assert np.median(many / few) < 1


def test_learned_covariances_find_who_is_alike() -> None:
    rng = np.random.default_rng(5)
    X = rng.uniform(-3, 3, size=(120, 1))
    wave, other = np.sin(2 * X[:, 0]), np.cos(3 * X[:, 0] + 1)
    Y = np.column_stack([wave, -2 * wave, other]) + rng.normal(size=(120, 3)) * [0.1, 0.5, 0.3]
    model = MultiTaskKernelRidge("learned", RBF(0.4), rank=2, standardize=False).fit(X, Y)
    K = model.task_kernel_
    correlation = K / np.sqrt(np.outer(np.diag(K), np.diag(K)))
    assert correlation[0, 1] < -0.9
    assert abs(correlation[0, 2]) < 0.6
    np.testing.assert_allclose(np.sqrt(model.noise_variance_), [0.1, 0.5, 0.3], rtol=0.35)
    assert np.ptp(model.learning_) < 1e-2 * abs(model.learning_.max()) + 1
    # Tasks in other units: the same covariance, in their units.
    units = np.array([1.0, 100.0, 0.01])
    scaled = MultiTaskKernelRidge("learned", RBF(0.4), rank=2, standardize=False).fit(X, Y * units)
    np.testing.assert_allclose(scaled.predict(X) / units, model.predict(X), atol=1e-3)
    common = MultiTaskKernelRidge("learned", RBF(0.4), noise="common", standardize=False).fit(X, Y)
    np.testing.assert_allclose(common.noise_variance_, common.noise_variance_[0])


@pytest.mark.parametrize("noise", ["task", "common"])
@pytest.mark.parametrize("kind", ["columns", "groups"])
def test_a_learned_size_of_a_given_task_kernel_is_the_amplitude(noise: str, kind: str) -> None:
    X, y, *tasks = table() if kind == "columns" else rows()
    model = MultiTaskKernelRidge(0.5, RBF(1.0), optimize_kernel=True, noise=noise, n_starts=2).fit(X, y, *tasks)
    np.testing.assert_allclose(model.task_kernel_, 0.5 * np.eye(3) + 0.5)
    assert model.log_marginal_likelihood_ == pytest.approx(model.learning_.max(), abs=1e-6)
    assert model.kernel_.length_scale != 1.0
    assert model.kernel.length_scale == 1.0  # what was passed is as it was
    # At its optimum: another length scale, noise or amplitude is no better.
    for change in (0.9, 1.1):
        worse = MultiTaskKernelRidge(0.5, RBF(model.kernel_.length_scale * change), criterion="likelihood")
        assert worse.fit(X, y, *tasks).log_marginal_likelihood_ <= model.log_marginal_likelihood_ + 1e-6


def test_learning_on_some_of_many_labels_is_used_on_all() -> None:
    X, y, tasks = rows(120)
    model = MultiTaskKernelRidge("learned", RBF(1.0), learn_labels=60, n_starts=1).fit(X, y, tasks)
    assert len(model.dual_coef_) == 120
    assert model.learning_.max() != pytest.approx(model.log_marginal_likelihood_)
    whole = MultiTaskKernelRidge("learned", RBF(1.0), learn_labels=120, n_starts=1).fit(X, y, tasks)
    assert whole.learning_.max() == pytest.approx(whole.log_marginal_likelihood_, abs=1e-6)
