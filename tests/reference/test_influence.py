"""Who taught whom, against fits of unit labels, normal equations written out, and fits without a task or a row."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special, stats

from linear_oracle import INTERCEPTS, LAYOUTS, Case, case, center_and_scale, loss_weights, precision
from relatask import InputError, MultiTaskClassifier, MultiTaskRegressor
from relatask.linear.influence.measures import moderated
from relatask.linear.input.design import Design
from relatask.linear.input.folds import within_task_folds
from relatask.relations import (
    Chain,
    Graph,
    HierarchicalPrior,
    Manifold,
    Pairwise,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    TaskKernel,
    TaskPrecision,
    TraceNorm,
)

A = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
K = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 1.0]])
RELATIONS: dict[str, Relation] = {
    "pairwise": Pairwise(0.05),
    "pairwise + ridge": Pairwise(0.05) + Ridge(0.1),
    "ridge": Ridge(0.3),
    "graph": Graph(A, 0.1),
    "chain": Chain(strength=0.2),
    "precision": TaskPrecision(K, 0.3),
    "kernel": TaskKernel(K, 0.3),
}


class Written:
    """The labels of a case one by one, and the normal equations of all coefficients at once, by least squares."""

    def __init__(self, data: Case, relation: Relation, intercept: str, weighting: str) -> None:
        self.data, self.t = data, data.t
        self.labels = data.labels()
        self.task = np.array([k for k, *_ in self.labels])
        self.y = np.array([y for *_, y, _ in self.labels])
        self.s = np.array([s for *_, s in self.labels])
        center, scale = center_and_scale(data, True)
        Z = (np.array([x for _, x, _, _ in self.labels]) - (center if intercept != "none" else 0)) / scale
        d = Z.shape[1]
        if intercept == "tied":
            Z = np.hstack([Z, np.ones((len(Z), 1))])
        q = Z.shape[1]
        own = np.zeros((len(Z), self.t, q))
        own[np.arange(len(Z)), self.task] = Z
        level = {"free": np.eye(self.t)[self.task], "common": np.ones((len(Z), 1))}.get(
            intercept, np.zeros((len(Z), 0))
        )
        self.rows = np.hstack([own.reshape(len(Z), -1), level])
        self.penalty = np.zeros((self.rows.shape[1],) * 2)
        P = sum(precision(part, self.t) for part in getattr(relation, "parts", (relation,)))
        self.penalty[: self.t * q, : self.t * q] = np.kron(P, np.eye(q))
        self.c = loss_weights(data, weighting)
        self.pull = self.c[self.task] * self.s
        self.scale, self.q, self.d = scale, q, d

    def hat(self, kept: np.ndarray) -> np.ndarray:
        """(N, N) from labels to fitted values of all rows, the labels that are not `kept` taken for missing."""
        pull = self.pull * kept
        normal = self.rows.T @ (pull[:, None] * self.rows) + self.penalty
        return self.rows @ np.linalg.lstsq(normal, self.rows.T * pull, rcond=1e-12)[0]

    def left_out(self, kept: np.ndarray) -> np.ndarray:
        """(N,) squared leave-one-out errors by fits without the label, NaN at leverage 1."""
        found = np.full(len(self.y), np.nan)
        for a in np.flatnonzero(kept):
            without = kept.copy()
            without[a] = False
            if self.hat(kept)[a, a] < 1 - 1e-9:
                found[a] = (self.y[a] - self.hat(without)[a] @ self.y) ** 2
        return found


def shares(H: np.ndarray, task: np.ndarray, s: np.ndarray) -> np.ndarray:
    t = task.max() + 1
    whitened = np.square(np.sqrt(s)[:, None] * H / np.sqrt(s))
    T = np.array([[whitened[np.ix_(task == i, task == j)].sum() for j in range(t)] for i in range(t)])
    return T / T.sum(1, keepdims=True)


def quiet(fit: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("name", RELATIONS)
def test_shares_are_those_of_fits_to_unit_labels(name: str, intercept: str, layout: str) -> None:
    weighted = intercept in ("free", "common")
    data = case(layout, weighted=weighted)
    settings = {"intercept": intercept, "weighting": "task" if weighted else "sample", "tol": 1e-9}
    model = quiet(lambda: MultiTaskRegressor(RELATIONS[name], **settings).fit(**data.arguments))
    rows = [(i, k) for i in range(len(data.X)) for k in _tasks_of(data, i)]
    X, task = np.array([data.X[i] for i, _ in rows]), np.array([k for _, k in rows])
    s = np.array([1.0 if data.weights is None else data.weights[i] for i, _ in rows])
    H = np.empty((len(rows), len(rows)))
    for b, (i, k) in enumerate(rows):
        unit = np.where(np.isnan(data.y), np.nan, 0.0)
        unit[(i, k) if unit.ndim == 2 else i] = 1.0
        again = quiet(
            lambda unit=unit: MultiTaskRegressor(RELATIONS[name], **settings).fit(**data.arguments | {"y": unit})
        )
        H[:, b] = np.einsum("nd,nd->n", X, again.coef_[task]) + again.intercept_[task]
    np.testing.assert_allclose(model.transfer_, shares(H, task, s), atol=1e-8)
    trace = np.bincount(task, np.diagonal(H))
    np.testing.assert_allclose(model.degrees_of_freedom_, trace, atol=1e-8)


def _tasks_of(data: Case, i: int) -> list[int]:
    if data.weights is not None and data.weights[i] == 0:
        return []
    if data.tasks is not None:
        return [int(data.tasks[i])]
    return np.flatnonzero(~np.isnan(data.y[i])).tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("name", ["pairwise", "pairwise + ridge", "chain", "precision"])
def test_leaving_tasks_out_is_fits_without_them(name: str, intercept: str, layout: str) -> None:
    weighted = intercept in ("free", "tied")
    weighting = "task" if weighted else "sample"
    data = case(layout, weighted=weighted, n=8)
    model = MultiTaskRegressor(RELATIONS[name], intercept=intercept, weighting=weighting)
    quiet(lambda: model.fit(**data.arguments))
    found = model.leave_task_out(**data.arguments)
    plain = Written(data, RELATIONS[name].bind(range(data.t)), intercept, weighting)
    every = np.ones(len(plain.y), dtype=bool)
    before = plain.left_out(every)
    assert found is model.leave_task_out_
    assert model.leave_task_out_method_ == "exact"
    for j in range(data.t):
        after = plain.left_out(plain.task != j)
        both = np.isfinite(after) & np.isfinite(before)
        for i in range(data.t):
            mine = both & (plain.task == i)
            if i == j or not mine.any():
                assert np.isnan(found[i, j])
                continue
            expected = np.average(after[mine] - before[mine], weights=plain.s[mine])
            np.testing.assert_allclose(found[i, j], expected, rtol=1e-7, atol=1e-8 * (1 + np.nanmax(before)))
    for i in range(data.t):
        mine = np.isfinite(before) & (plain.task == i)
        np.testing.assert_allclose(model.leave_one_out_[i], np.average(before[mine], weights=plain.s[mine]), rtol=1e-8)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("noise", ["common", "task"])
def test_a_prior_teaches_as_its_mixed_model_does(noise: Any, intercept: str) -> None:
    data = case("groups", t=6, d=2, n=9, weighted=True)
    prior = HierarchicalPrior(covariance="full", noise=noise)
    model = quiet(lambda: MultiTaskRegressor(prior, intercept=intercept, scale_targets=True).fit(**data.arguments))
    plain = Written(data, Ridge(0.0), intercept, "sum")
    # Effects of all tasks with covariance S, their mean (and free intercepts) as fixed effects: Henderson's equations.
    t, S = data.t, model.relation_.S
    unit = model.target_scale_[plain.task]
    effects = plain.rows[:, : t * plain.q]
    mean = effects.reshape(-1, t, plain.q).sum(1)
    fixed = np.hstack([mean, plain.rows[:, t * plain.q :]])
    around = np.diag((model.noise_[plain.task] / plain.s) / unit**2)
    within = effects @ np.kron(np.eye(t), S) @ effects.T

    def hat(kept: np.ndarray) -> np.ndarray:
        at = np.flatnonzero(kept)
        V = np.linalg.inv((within + around)[np.ix_(at, at)])
        F = fixed[at]
        gls = np.linalg.lstsq(F.T @ V @ F, F.T @ V, rcond=1e-12)[0]
        out = np.zeros((len(kept), len(kept)))
        out[:, at] = fixed @ gls + within[:, at] @ V @ (np.eye(len(at)) - F @ gls)
        return out

    every = np.ones(len(plain.y), dtype=bool)
    H = hat(every)
    np.testing.assert_allclose(model.transfer_, shares(H, plain.task, plain.s), atol=1e-8)
    np.testing.assert_allclose(model.degrees_of_freedom_, np.bincount(plain.task, np.diagonal(H)), atol=1e-7)
    found = model.leave_task_out(**data.arguments)
    y = plain.y / unit

    def errors(kept: np.ndarray) -> np.ndarray:
        at = np.flatnonzero(kept)
        out = np.full(len(y), np.nan)
        for a in at:
            out[a] = ((y[a] - hat(kept & (np.arange(len(y)) != a))[a] @ y) * unit[a]) ** 2
        return out

    before, after = errors(every), errors(plain.task != 2)
    mine = plain.task == 0
    np.testing.assert_allclose(found[0, 2], np.average((after - before)[mine], weights=plain.s[mine]), rtol=1e-6)


def test_other_shapes_of_data_teach_alike() -> None:
    """Sparse X, targets of different units, weights of tasks and features that a task lacks."""
    from scipy import sparse

    data = case("groups", n=12)
    shared = MultiTaskRegressor(Pairwise(0.05)).fit(**data.arguments)
    effect = shared.leave_task_out(**data.arguments)
    thin = MultiTaskRegressor(Pairwise(0.05)).fit(**data.arguments | {"X": sparse.csr_array(data.X)})
    np.testing.assert_allclose(thin.transfer_, shared.transfer_, atol=1e-10)
    given = data.arguments | {"X": sparse.csr_array(data.X)}
    np.testing.assert_allclose(thin.leave_task_out(**given), effect, atol=1e-8)
    scaled = MultiTaskRegressor(Pairwise(0.05), scale_targets=True).fit(**data.arguments)
    unit = scaled.target_scale_
    plain = data.arguments | {"y": data.y / unit[data.tasks]}
    divided = MultiTaskRegressor(Pairwise(0.05)).fit(**plain)
    np.testing.assert_allclose(scaled.transfer_, divided.transfer_, atol=1e-10)
    np.testing.assert_allclose(
        scaled.leave_task_out(**data.arguments), divided.leave_task_out(**plain) * unit[:, None] ** 2, rtol=1e-8
    )
    np.testing.assert_allclose(scaled.standard_errors_, divided.standard_errors_ * unit[:, None], rtol=1e-8)
    np.testing.assert_allclose(scaled.noise_, divided.noise_ * unit**2, rtol=1e-8)
    weighed = MultiTaskRegressor(Pairwise(0.05), weighting="sum", task_weight=[1.0, 2.0, 3.0]).fit(**data.arguments)
    rows = data.arguments | {"sample_weight": np.array([1.0, 2.0, 3.0])[data.tasks]}
    by_rows = MultiTaskRegressor(Pairwise(0.05), weighting="sum", standardize=False).fit(**rows)
    raw = MultiTaskRegressor(Pairwise(0.05), weighting="sum", standardize=False, task_weight=[1.0, 2.0, 3.0])
    np.testing.assert_allclose(raw.fit(**data.arguments).degrees_of_freedom_, by_rows.degrees_of_freedom_, rtol=1e-9)
    assert not np.allclose(weighed.transfer_, shared.transfer_)


@pytest.mark.parametrize("intercept", ["free", "tied", "common"])
def test_features_that_a_task_lacks_and_prices_of_features(intercept: str) -> None:
    data = case("groups", n=12)
    X = data.X.copy()
    X[data.tasks == 1, 2] = np.nan
    relations = {"blocks": Pairwise(0.05), "unlabelled": Pairwise(0.05) + Manifold(data.X[::2], 0.1, n_neighbors=3)}
    for kind, relation in relations.items():
        given = {"X": X if kind == "blocks" else data.X, "tasks": data.tasks}
        settings = {"intercept": intercept, "missing_features": "block" if kind == "blocks" else "error"}

        def fit(y: np.ndarray, relation: Relation = relation, settings: Any = settings, given: Any = given) -> Any:
            return quiet(lambda: MultiTaskRegressor(relation, **settings).fit(y=y, **given))

        H = np.stack([fit(unit).predict(**given) for unit in np.eye(len(X))], axis=1)
        model = fit(data.y)
        np.testing.assert_allclose(model.transfer_, shares(H, data.tasks, np.ones(len(X))), atol=1e-8)
        model.leave_task_out(y=data.y, **given)
        left = (data.y - H @ data.y) / (1 - np.diagonal(H))
        np.testing.assert_allclose(model.leave_one_out_, np.bincount(data.tasks, left**2) / np.bincount(data.tasks))


def test_one_task_without_penalty_is_the_textbook() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)
    y = 1 + 2 * x + rng.normal(size=20)
    model = MultiTaskRegressor(Ridge(0.0)).fit(x[:, None], y)
    line = stats.linregress(x, y)
    residual = y - line.intercept - line.slope * x
    noise = residual @ residual / 18
    np.testing.assert_allclose(model.noise_, noise, rtol=1e-10)
    np.testing.assert_allclose(model.standard_errors_, line.stderr, rtol=1e-10)
    np.testing.assert_allclose(model.standard_errors("sandwich"), line.stderr, rtol=1e-10)
    new = np.array([0.3, 2.0])
    spread = np.sqrt(noise * (1 + 1 / 20 + (new - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()))
    lower, upper = model.predict_interval(new[:, None], level=0.9)
    np.testing.assert_allclose(upper - lower, 2 * stats.t.ppf(0.95, 18) * spread, rtol=1e-10)
    np.testing.assert_allclose(model.predict(new[:, None], return_std=True)[1], spread, rtol=1e-10)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["pairwise", "precision"])
@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_standard_errors_are_of_the_written_equations(name: str, intercept: str, layout: str) -> None:
    data = case(layout, n=15, weighted=True)
    relation = RELATIONS[name]
    model = quiet(lambda: MultiTaskRegressor(relation, intercept=intercept, weighting="sum").fit(**data.arguments))
    plain = Written(data, relation, intercept, "sum")
    cov = np.linalg.pinv(plain.rows.T @ (plain.pull[:, None] * plain.rows) + plain.penalty, rcond=1e-12)
    H = plain.hat(np.ones(len(plain.y), dtype=bool))
    sse = np.bincount(plain.task, plain.s * np.square(plain.y - H @ plain.y))
    freedom = np.bincount(plain.task, 1 - np.diagonal(H))
    np.testing.assert_allclose(model.noise_, sse / freedom, rtol=1e-8)
    held = moderated(sse / freedom, freedom)
    own = np.diagonal(cov)[: data.t * plain.q].reshape(data.t, plain.q)[:, : plain.d]
    np.testing.assert_allclose(model.standard_errors_, np.sqrt(own * held.values[:, None]) / plain.scale, rtol=1e-6)
    middle = plain.rows.T @ ((plain.pull * held.values[plain.task])[:, None] * plain.rows)
    own = np.diagonal(cov @ middle @ cov)[: data.t * plain.q].reshape(data.t, plain.q)[:, : plain.d]
    np.testing.assert_allclose(model.standard_errors("sandwich"), np.sqrt(own) / plain.scale, rtol=1e-6)


def test_noise_is_held_together_by_as_much_as_tasks_differ() -> None:
    rng = np.random.default_rng(0)
    freedom = np.full(20_000, 6.0)
    true = 3.0 * 10 / rng.chisquare(10, size=20_000)
    values = true * rng.chisquare(6, size=20_000) / 6
    found = moderated(values, freedom)
    # d0 = 10, s0^2 = 3: Smyth 2004, equations of section 6.2.
    assert abs(found.freedom[0] - 16) < 1
    np.testing.assert_allclose(found.values, (10 * 3.0 + 6 * values) / 16, rtol=0.05)
    alike = moderated(2.0 * rng.chisquare(6, size=50) / 6, freedom[:50])
    assert np.ptp(alike.values) < 0.2 * alike.values.mean()
    x = special.polygamma(1, 3.7)
    solved = optimize.brentq(lambda v: special.polygamma(1, v) - x, 0.1, 100)
    np.testing.assert_allclose(solved, 3.7)
    none = moderated(np.array([np.nan, 1.0, 3.0]), np.array([0.0, 4.0, 4.0]))
    assert np.isfinite(none.values).all()


@pytest.mark.parametrize("loss", ["huber", "poisson", "logistic"])
@pytest.mark.parametrize("intercept", ["free", "tied", "common", "none"])
def test_other_losses_teach_as_small_changes_of_labels_do(loss: str, intercept: str) -> None:
    rng = np.random.default_rng(1)
    t, n = 3, 16
    X, task = rng.normal(size=(t * n, 2)), np.repeat(np.arange(t), n)
    eta = X @ [0.6, -0.4] + 0.3 * task
    # Two classes as pairs of rows whose weights are chances: their labels can be moved a little.
    y = {
        "huber": eta + rng.standard_t(2, t * n),
        "poisson": rng.poisson(np.exp(eta)) + 0.5,
        "logistic": rng.random(t * n),
    }[loss]
    relation = Pairwise(0.05)

    def fit(y: np.ndarray) -> Any:
        if loss == "logistic":
            model = MultiTaskClassifier(relation, intercept=intercept, tol=1e-12, standardize=False, weighting="sum")
            double = {"X": np.vstack([X, X]), "tasks": np.tile(task, 2)}
            given = double | {"y": np.repeat([1, 0], len(y)), "sample_weight": np.concatenate([y, 1 - y])}
        else:
            model = MultiTaskRegressor(
                relation, loss=loss, intercept=intercept, tol=1e-12, standardize=False, weighting="sum"
            )
            given = {"X": X, "y": y, "tasks": task}
        return quiet(lambda: model.fit(**given)), given

    model, given = fit(y.astype(float))
    model.leave_task_out(**given)
    assert model.leave_task_out_method_ == "one Newton step"
    at = np.einsum("nd,nd->n", X, model.coef_[task]) + model.intercept_[task]
    curvature = {
        "huber": (np.abs(at - y) < 1.35).astype(float),
        "poisson": np.exp(at),
        "logistic": special.expit(at) * special.expit(-at),
    }[loss]
    step = 1e-5
    D = np.zeros((t * n, t * n))
    for b in range(t * n):
        moved = [fit(y + sign * step * np.eye(t * n)[b])[0] for sign in (1, -1)]
        plus, minus = (np.einsum("nd,nd->n", X, m.coef_[task]) + m.intercept_[task] for m in moved)
        D[:, b] = (plus - minus) / (2 * step)
    # A label moves its row's slope by 1 (under Huber where it is not beyond delta); whitened by the curvature.
    D = D * curvature[:, None] * curvature if loss == "huber" else np.sqrt(curvature)[:, None] * D * np.sqrt(curvature)
    np.testing.assert_allclose(model.transfer_, shares(D, task, np.ones(t * n)), atol=2e-6)


@pytest.mark.parametrize(
    "relation", [SharedSparsity(0.2), Sparse(0.1) + Pairwise(0.05), SharedSparsity(0.1) + Ridge(0.2)]
)
def test_norms_teach_as_small_changes_of_labels_do(relation: Relation) -> None:
    data = case("groups", n=15, d=5)
    fit = lambda y: MultiTaskRegressor(relation, tol=1e-13, max_iter=100_000).fit(data.X, y, data.tasks)  # noqa: E731
    model = quiet(lambda: fit(data.y))
    with pytest.raises(InputError, match="transfer_ is defined where predictions are linear"):
        _ = model.transfer_
    model.leave_task_out(data.X, data.y, data.tasks)
    assert model.leave_task_out_method_ == "one Newton step"
    step, n = 1e-4, len(data.y)
    H = np.empty((n, n))
    for b in range(n):
        plus, minus = (
            quiet(lambda sign=sign, b=b: fit(data.y + sign * step * np.eye(n)[b])).predict(data.X, data.tasks)
            for sign in (1, -1)
        )
        H[:, b] = (plus - minus) / (2 * step)
    np.testing.assert_allclose(model.transfer_, shares(H, data.tasks, np.ones(n)), atol=1e-5)


def test_removal_under_other_losses_is_near_fits_without_the_task() -> None:
    """Poisson: leave-one-out deviances by fits without each row, with and without a task that misleads."""
    rng = np.random.default_rng(2)
    t, n = 3, 20
    X, task = rng.normal(size=(t * n, 2)), np.repeat(np.arange(t), n)
    slope = np.array([[0.6, -0.3], [0.6, -0.3], [-0.6, 0.3]])
    y = rng.poisson(np.exp(np.einsum("nd,nd->n", X, slope[task]) + 0.5)).astype(float)
    settings = {"loss": "poisson", "weighting": "sum", "standardize": False}
    model = MultiTaskRegressor(Pairwise(2.0), **settings).fit(X, y, task)
    found = model.leave_task_out(X, y, task)

    def error(keep: np.ndarray, task_weight: list[float], i: int) -> float:
        total = 0.0
        for a in np.flatnonzero(task == i):
            some = keep & (np.arange(len(y)) != a)
            # A task that weighs nothing has no say, and t stays 3.
            again = MultiTaskRegressor(Pairwise(2.0), task_weight=task_weight, **settings).fit(
                X[some], y[some], task[some]
            )
            rate = again.predict(X[[a]], task[[a]])[0]
            total += rate - y[a] * np.log(rate) + special.xlogy(y[a], y[a]) - y[a]
        return total / n

    every = np.ones(len(y), dtype=bool)
    for i, j in ((0, 1), (0, 2)):
        weight = [1.0, 1.0, 1.0]
        before = error(every, weight, i)
        weight[j] = 1e-9
        expected = quiet(lambda weight=weight, i=i: error(every, weight, i)) - before
        assert np.sign(found[i, j]) == np.sign(expected)
        np.testing.assert_allclose(found[i, j], expected, rtol=0.35)
        np.testing.assert_allclose(model.leave_one_out_[i], before, rtol=0.02)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_refits_are_fits_of_the_folds_without_the_task(layout: str, intercept: str) -> None:
    data = case(layout, n=15)
    model = MultiTaskRegressor(RELATIONS["chain"], intercept=intercept).fit(**data.arguments)
    found = model.leave_task_out(**data.arguments, method="refit")
    assert model.leave_task_out_method_ == "refit"
    plain = Written(data, RELATIONS["chain"].bind(range(data.t)), intercept, "sample")
    codes = None if data.tasks is None else data.tasks
    folds = within_task_folds(Design(data.X, data.y, codes, np.arange(data.t), None), 5, 0)
    row = np.array([int(np.flatnonzero((x == data.X).all(1))[0]) for _, x, _, _ in plain.labels])
    errors = np.zeros((data.t, data.t + 1))
    for held in (fold[row] for fold in folds):
        for j in range(data.t + 1):
            missed = plain.y - plain.hat(~held & (plain.task != j)) @ plain.y
            errors[:, j] += np.bincount(plain.task[held], np.square(missed[held]), data.t)
    errors /= np.bincount(plain.task)[:, None]
    off = ~np.eye(data.t, dtype=bool)
    np.testing.assert_allclose(found[off], (errors[:, : data.t] - errors[:, data.t :])[off], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(model.leave_one_out_, errors[:, data.t], rtol=1e-7)


def test_relations_without_a_closed_form_go_by_refits() -> None:
    data = case("groups", n=12)
    model = MultiTaskRegressor(TraceNorm(0.3)).fit(**data.arguments)
    with pytest.raises(InputError, match="not under TraceNorm; give method='refit'"):
        model.leave_task_out(**data.arguments)
    found = model.leave_task_out(**data.arguments, method="refit")
    assert np.isfinite(found[~np.eye(data.t, dtype=bool)]).all()
    prior = quiet(lambda: MultiTaskRegressor(HierarchicalPrior()).fit(**data.arguments))
    with pytest.raises(InputError, match="leave method='auto'"):
        prior.leave_task_out(**data.arguments, method="refit")


@pytest.mark.parametrize("kind", ["pairwise", "prior"])
@pytest.mark.parametrize("few", [False, True])
def test_intervals_hold_their_share_on_average_over_tasks(kind: str, few: bool) -> None:
    """Coverage of 90% intervals over 40 draws of 30 tasks whose noises differ: within 4 binomial standard errors."""
    rng = np.random.default_rng(3)
    t, d, held, count = 30, 3, 0, 0
    by_draw = []
    for _ in range(40):
        n = rng.integers(4, 9, size=t) if few else rng.integers(10, 30, size=t)
        noise, tau = np.exp(0.3 * rng.normal(size=t)), 0.5
        W = rng.normal(size=d) + tau * rng.normal(size=(t, d))
        level = rng.normal(size=t)
        task, new = np.repeat(np.arange(t), n), np.repeat(np.arange(t), 20)
        X, Z = rng.normal(size=(len(task), d)), rng.normal(size=(len(new), d))
        y, z = (
            np.einsum("nd,nd->n", x, W[k]) + level[k] + noise[k] * rng.normal(size=len(k))
            for x, k in ((X, task), (Z, new))
        )
        if kind == "pairwise":
            matched = Pairwise(np.mean(noise**2) / (4 * t * tau**2))
            model = MultiTaskRegressor(matched, weighting="sum", standardize=False)
        else:
            model = MultiTaskRegressor(HierarchicalPrior("isotropic"), standardize=False)
        quiet(lambda model=model, X=X, y=y, task=task: model.fit(X, y, task))
        lower, upper = model.predict_interval(Z, new, 0.9)
        inside = (lower <= z) & (z <= upper)
        held, count = held + inside.sum(), count + len(z)
        by_draw.append(inside.mean())
    # Labels of one draw share its fit: the band is that of draws' means.
    band = 4 * np.std(by_draw, ddof=1) / np.sqrt(len(by_draw))
    assert abs(held / count - 0.9) < max(band, 4 * np.sqrt(0.09 / count))


def test_bad_input_is_told() -> None:
    data = case("groups", n=12)
    model = MultiTaskRegressor(Pairwise(0.05)).fit(**data.arguments)
    with pytest.raises(AttributeError, match="call leave_task_out"):
        _ = model.leave_task_out_
    with pytest.raises(InputError, match="task 0 has other rows than in fit"):
        model.leave_task_out(data.X, data.y + (data.tasks == 0), data.tasks)
    with pytest.raises(InputError, match="the model was fitted on 3"):
        model.leave_task_out(data.X, data.y, data.tasks > 0)
    with pytest.raises(InputError, match="method='jackknife' is unknown; expected one of 'auto', 'refit'"):
        model.leave_task_out(**data.arguments, method="jackknife")
    with pytest.raises(InputError, match="kind='robust' is unknown"):
        model.standard_errors("robust")
    for level in (0, 1, 1.5, "high", True):
        with pytest.raises(InputError, match="between 0 and 1"):
            model.predict_interval(data.X, data.tasks, level)
    assert not hasattr(MultiTaskRegressor(), "transfer_")
    trace = MultiTaskRegressor(TraceNorm(0.1)).fit(**data.arguments)
    for name in ("transfer_", "degrees_of_freedom_", "noise_", "standard_errors_"):
        assert not hasattr(trace, name)
        with pytest.raises(InputError, match=f"{name} is defined .* method='refit'"):
            getattr(trace, name)
    with pytest.raises(InputError, match="linear in the labels"):
        trace.predict_interval(data.X, data.tasks)
    with pytest.raises(InputError, match="linear in the labels"):
        trace.predict(data.X, data.tasks, return_std=True)
    huber = MultiTaskRegressor(Pairwise(0.05), loss="huber").fit(**data.arguments)
    with pytest.raises(InputError, match="not under loss='huber'; leave_task_out"):
        _ = huber.transfer_
    with pytest.raises(InputError, match="RootSquared goes by method='refit'"):
        MultiTaskRegressor(Pairwise(0.05), loss="root_squared").fit(**data.arguments).leave_task_out(**data.arguments)
    labels = np.arange(len(data.y)) % 2
    classes = MultiTaskClassifier(Pairwise(0.05)).fit(data.X, labels, data.tasks)
    with pytest.raises(InputError, match="y holds the classes"):
        classes.leave_task_out(data.X, labels + 3, data.tasks)
    with pytest.raises(AttributeError, match="call leave_task_out"):
        _ = classes.transfer_
    saturated = quiet(lambda: MultiTaskRegressor(Ridge(0.0)).fit(np.eye(3), [1.0, 2.0, 3.0]))
    with pytest.raises(InputError, match="nothing is left to tell the noise by"):
        saturated.predict_interval(np.eye(3))


def test_what_fit_forgets_and_what_a_saved_model_knows(tmp_path: Any) -> None:
    data = case("groups", n=12)
    model = MultiTaskRegressor(HierarchicalPrior("isotropic")).fit(**data.arguments)
    effect = model.leave_task_out(**data.arguments)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(MultiTaskRegressor.load(tmp_path / "model").leave_task_out_, effect)
    model.set_params(relation=Pairwise(0.05)).fit(**data.arguments)
    assert not hasattr(model, "leave_task_out_")
    assert np.ptp(model.noise_) > 0, "the prior's common noise is gone"
    first = model.transfer_
    assert model.transfer_ is first
    model.set_params(relation=Pairwise(5.0)).fit(**data.arguments)
    assert np.abs(model.transfer_ - first).max() > 0.01
