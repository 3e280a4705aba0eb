"""Kernel models where labels repeat, are few, constant or huge, and where a strength is lost in rounding."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import RBF
from tests.kernel_cases import T, rows, table

from relatask.linear import MultiTaskKernelRidge
from relatask.linear.kernels.features import gaussian
from relatask.linear.kernels.fit import _fewer
from relatask.linear.kernels.rows import Rows
from relatask.notices import InputError, RelataskWarning


@pytest.mark.parametrize("seed", range(5))
def test_columns_with_one_label_a_row_are_groups(seed: int) -> None:
    """Rows that are equal, labels that are equal: what becomes one row is the same either way."""
    rng = np.random.default_rng(seed)
    X, y = rng.integers(0, 2, size=(12, 1)).astype(float), rng.integers(0, 2, size=12).astype(float)
    tasks = rng.permutation(np.arange(12) % 2)
    Y = np.where(tasks[:, None] == [0, 1], y[:, None], np.nan)
    columns = MultiTaskKernelRidge(standardize=False).fit(X, Y)
    groups = MultiTaskKernelRidge(standardize=False).fit(X, y, tasks)
    assert columns.strength_ == pytest.approx(groups.strength_)
    np.testing.assert_allclose(columns.predict(X)[np.arange(12), tasks], groups.predict(X, tasks), rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_few_labels_are_drawn_from_every_column_with_one_label_a_row(seed: int) -> None:
    """A task of one label stays, wherever its row is."""
    task = np.repeat([0, 1], [29, 1])
    row = np.append(np.delete(np.arange(30), 7), 7)
    held = Rows(np.arange(30), row, task, np.zeros(30), np.ones(30), np.arange(2), False)
    X, some = _fewer(np.arange(30.0)[:, None], held, 10, seed, False, False)
    assert some.count.tolist()[1] == 1
    np.testing.assert_array_equal(X[:, 0], some.place)


@pytest.mark.parametrize("layout", ["groups", "columns"])
@pytest.mark.parametrize("intercept", ["free", "none"])
def test_rows_given_twice_count_twice_in_the_likelihood(layout: str, intercept: str) -> None:
    """A strength that is chosen and the same one given are one model: amplitude, likelihood, spread."""
    X, y, tasks = rows()
    given = (y, tasks)
    if layout == "columns":
        X, Y = table()
        given = (Y,)
    twice = np.r_[np.arange(len(X)), :10]
    data = (X[twice], *(part[twice] for part in given))
    at = (X[:5], *(part[:5] for part in given[1:]))
    chosen = MultiTaskKernelRidge(T, intercept=intercept).fit(*data)
    again = MultiTaskKernelRidge(T, intercept=intercept, strength=chosen.strength_).fit(*data)
    assert len(chosen.X_fit_) < len(again.X_fit_)
    assert chosen.amplitude_ == pytest.approx(again.amplitude_, rel=1e-9)
    assert chosen.log_marginal_likelihood_ == pytest.approx(again.log_marginal_likelihood_, rel=1e-9)
    spreads = [model.predict(*at, return_std=True)[1] for model in (chosen, again)]
    np.testing.assert_allclose(*spreads, rtol=1e-7)


@pytest.mark.parametrize("layout", ["groups", "columns"])
def test_spread_is_that_of_the_fit_when_parameters_change(layout: str) -> None:
    X, y, tasks = rows()
    given, at = ((y, tasks), (X, tasks)) if layout == "groups" else (table(45)[1:], (X,))
    before = MultiTaskKernelRidge(T, strength=0.1).fit(X, *given).predict(*at, return_std=True)[1]
    changed = MultiTaskKernelRidge(T, strength=0.1).fit(X, *given)
    changed.set_params(intercept="none", strength=9.0, weighting="sum", kernel="linear")
    np.testing.assert_array_equal(changed.predict(*at, return_std=True)[1], before)


def test_a_rank_beyond_the_tasks_is_their_number() -> None:
    X, y, tasks = rows()
    settings = {"n_starts": 1}
    full = MultiTaskKernelRidge("learned", rank=3, **settings).fit(X, y, tasks)
    more = MultiTaskKernelRidge("learned", rank=9, **settings).fit(X, y, tasks)
    np.testing.assert_array_equal(more.task_kernel_, full.task_kernel_)


@pytest.mark.parametrize("unit", [1e100, 1e-100])
def test_learning_does_not_depend_on_the_unit_of_labels(unit: float) -> None:
    X, y, tasks = rows()
    own = MultiTaskKernelRidge("learned", n_starts=1).fit(X, y, tasks).predict(X, tasks)
    scaled = MultiTaskKernelRidge("learned", n_starts=1).fit(X, unit * y, tasks).predict(X, tasks)
    np.testing.assert_allclose(scaled / unit, own, rtol=1e-5, atol=1e-6)


def test_a_search_that_ran_out_of_steps_says_so() -> None:
    X, y, tasks = rows()
    with pytest.warns(RelataskWarning, match="RT015: the marginal likelihood was still rising"):
        MultiTaskKernelRidge("learned", n_starts=1, max_iter=2).fit(X, y, tasks)


@pytest.mark.parametrize("solver", ["eigen", "cholesky", "cg"])
def test_a_strength_that_is_lost_in_rounding_is_refused_or_told(solver: str) -> None:
    X, Y = table()
    with pytest.raises(InputError, match=r"strength=1e-300 is lost in rounding .* give a greater strength"):
        MultiTaskKernelRidge("pooled", strength=1e-300, solver=solver).fit(X, Y)
    with pytest.warns(RelataskWarning, match="RT015: .* a greater strength"):
        MultiTaskKernelRidge("pooled", strength=1e-15, solver=solver).fit(X, Y)
    X, y, tasks = rows()
    if solver != "eigen":
        with pytest.raises(InputError, match="lost in rounding"):
            MultiTaskKernelRidge("pooled", strength=1e-300, solver=solver).fit(X, y, tasks)


@pytest.mark.parametrize("weighting", ["sample", "task", "sum"])
@pytest.mark.parametrize("unit", [1e-200, 7.0, 1e100])
@pytest.mark.parametrize("layout", ["groups", "columns"])
def test_the_unit_of_sample_weights_makes_no_difference_to_a_chosen_strength(
    weighting: str, unit: float, layout: str
) -> None:
    X, y, tasks = rows()
    given, at = ((y, tasks), (X, tasks)) if layout == "groups" else (table(45)[1:], (X,))
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    one, other = (
        MultiTaskKernelRidge(T, weighting=weighting).fit(X, *given, sample_weight=factor * weight).predict(*at)
        for factor in (1.0, unit)
    )
    np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("unit", [1e-12, 1e8])
def test_learned_noise_is_in_the_unit_of_sample_weights(unit: float) -> None:
    X, y, tasks = rows()
    own = MultiTaskKernelRidge("learned", n_starts=1).fit(X, y, tasks)
    other = MultiTaskKernelRidge("learned", n_starts=1).fit(X, y, tasks, sample_weight=np.full(len(y), unit))
    np.testing.assert_allclose(other.noise_variance_ / unit, own.noise_variance_, rtol=1e-6)
    np.testing.assert_allclose(other.predict(X, tasks), own.predict(X, tasks), rtol=1e-6)
    assert other.log_marginal_likelihood_ == pytest.approx(own.log_marginal_likelihood_, rel=1e-9)


def test_the_unit_of_a_task_kernel_makes_no_difference_to_a_chosen_strength() -> None:
    X, y, tasks = rows()
    own, tiny = (MultiTaskKernelRidge(size * T).fit(X, y, tasks).predict(X, tasks) for size in (1.0, 1e-200))
    np.testing.assert_allclose(tiny, own, rtol=1e-9)


@pytest.mark.parametrize("reach", [1.0, 1e3, 1e6])
def test_a_narrow_kernel_on_a_long_axis_keeps_its_digits(reach: float) -> None:
    """Hours over many years: neighbours a second apart, beside rows that are far."""
    start = np.linspace(0.0, reach, 50)
    X = np.concatenate([start, start + 1e-3, start + 0.3])[:, None]
    found = gaussian(X, X, 1.0)
    np.testing.assert_allclose(found, np.exp(-np.square(X - X.T)), atol=1e-10)
    MultiTaskKernelRidge(kernel=RBF(0.5), standardize=False, strength=1e-3).fit(X, np.sin(X[:, 0]))


def test_a_series_is_no_task_kernel() -> None:
    pandas = pytest.importorskip("pandas")
    X, y, tasks = rows()
    with pytest.raises(InputError, match=r"task_kernel has shape \(3,\); expected a square"):
        MultiTaskKernelRidge(pandas.Series([1.0, 1.0, 1.0])).fit(X, y, tasks)
