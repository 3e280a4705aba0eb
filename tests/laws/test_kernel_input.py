"""Kernel models: parameters that reach into kernels, saving and copies, precomputed kernels, and bad input."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.gaussian_process.kernels import RBF, CompoundKernel, ConstantKernel, ExpSineSquared, Matern, WhiteKernel
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV
from tests.kernel_cases import T, rows, table

from relatask.linear import MultiTaskKernelRidge
from relatask.notices import InputError, RelataskWarning
from relatask.relations import Pairwise, Ridge, TraceNorm


def test_parameters_reach_into_kernels_and_change_nothing_passed_in() -> None:
    kernel, relation = ConstantKernel(2.0) * RBF(1.5), Ridge(0.5)
    model = MultiTaskKernelRidge(relation, kernel)
    assert model.get_params()["kernel__k2__length_scale"] == 1.5
    assert model.get_params()["task_kernel__strength"] == 0.5
    model.set_params(kernel__k2__length_scale=3.0, task_kernel__strength=2.0, strength=0.1)
    assert kernel.k2.length_scale == 1.5
    assert relation.strength == 0.5
    assert model.kernel.k2.length_scale == 3.0
    assert model.task_kernel.strength == 2.0
    assert clone(model).get_params()["kernel__k2__length_scale"] == 3.0
    with pytest.raises(InputError, match="Invalid parameter 'kernel__length_scale'"):
        model.set_params(kernel__length_scale=1.0)
    with pytest.raises(InputError, match="Invalid parameter 'gamma' for estimator MultiTaskKernelRidge"):
        model.set_params(gamma=1.0)
    with pytest.raises(InputError, match="Invalid parameter 'relation__strength'"):
        model.set_params(relation__strength=1.0)
    X, Y = table()
    grid = {"kernel__length_scale": [0.1, 1.0], "task_kernel": [0.0, 0.9]}
    search = GridSearchCV(MultiTaskKernelRidge(0.5, RBF(1.0), strength=0.01), grid, cv=3).fit(X, Y)
    assert len(set(search.cv_results_["mean_test_score"])) == 4


def test_a_fitted_kernel_stays_when_parameters_change() -> None:
    X, y, tasks = rows()
    model = MultiTaskKernelRidge(T, strength=0.1, kernel_params={"gamma": 0.7}).fit(X, y, tasks)
    before = model.predict(X, tasks)
    model.set_params(kernel="linear", kernel_params=None, strength=9.0)
    np.testing.assert_array_equal(model.predict(X, tasks), before)


def saved_cases() -> list[MultiTaskKernelRidge]:
    return [
        MultiTaskKernelRidge(T, strength=0.1),
        MultiTaskKernelRidge(0.5, ConstantKernel(2.0, "fixed") * RBF([1.0, 2.0]) + Matern(nu=1.5), criterion="gcv"),
        MultiTaskKernelRidge(Ridge(0.2) + Pairwise(0.1), "polynomial", kernel_params={"degree": 2}, solver="cg"),
        MultiTaskKernelRidge("learned", RBF(1.0), optimize_kernel=True, n_starts=1),
    ]


@pytest.mark.parametrize("model", saved_cases(), ids=range(4))
@pytest.mark.parametrize("kind", ["columns", "groups", "one"])
def test_load_gives_back_what_was_saved(model: MultiTaskKernelRidge, kind: str, tmp_path: Path) -> None:
    X, y, *tasks = table() if kind == "columns" else rows()
    if kind == "one":
        model = clone(model).set_params(task_kernel="pooled")
        tasks = []
    model.fit(X, y, *tasks).save(tmp_path / "m")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.json", "m.npz"]
    loaded = MultiTaskKernelRidge.load(tmp_path / "m")
    for other in (loaded, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        for part, same in zip(
            model.predict(X, *tasks, return_std=True), other.predict(X, *tasks, return_std=True), strict=True
        ):
            np.testing.assert_array_equal(part, same)
        assert str(other.kernel_) == str(model.kernel_)
        assert other.log_marginal_likelihood_ == model.log_marginal_likelihood_
    again = loaded.fit(X, y, *tasks)
    np.testing.assert_array_equal(again.predict(X, *tasks), model.predict(X, *tasks))
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "m.json").read_bytes()


def test_a_labelled_task_kernel_is_saved_and_a_function_is_not(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    X, y, tasks = rows()
    order = ["west", "east", "north", "south"]
    frame = pandas.DataFrame(0.7 * np.eye(4) + 0.3, index=order, columns=order)
    model = MultiTaskKernelRidge(frame, strength=0.1).fit(X, y, tasks)
    model.save(tmp_path / "m")
    loaded = MultiTaskKernelRidge.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(X[:2], ["east"] * 2), model.predict(X[:2], ["east"] * 2))
    assert loaded.task_kernel.equals(frame)
    own = MultiTaskKernelRidge(0.5, lambda a, b: float(a @ b), strength=0.1).fit(X, y, tasks)
    linear = MultiTaskKernelRidge(0.5, "linear", strength=0.1).fit(X, y, tasks)
    np.testing.assert_allclose(own.predict(X, tasks), linear.predict(X, tasks), atol=1e-9)
    with pytest.raises(InputError, match="is a function and cannot be saved"):
        own.save(tmp_path / "own")


# Precomputed kernels.


def test_a_precomputed_kernel_is_the_kernel() -> None:
    X, y, tasks = rows()
    y = np.where(np.arange(len(y)) % 7 == 0, np.nan, y)
    K = rbf_kernel(X, gamma=0.5)
    new = np.random.default_rng(9).normal(size=(4, 2))
    cross, asked = rbf_kernel(new, X, gamma=0.5), ["west", "north", "south", "west"]
    for solver in ("cholesky", "cg"):
        given_ = MultiTaskKernelRidge(T, "precomputed", strength=0.1, solver=solver).fit(K, y, tasks)
        model = MultiTaskKernelRidge(
            T, kernel_params={"gamma": 0.5}, strength=0.1, standardize=False, solver=solver
        ).fit(X, y, tasks)
        np.testing.assert_allclose(given_.predict(cross, asked), model.predict(new, asked), atol=1e-8)
    with pytest.raises(InputError, match="return_std needs the kernel of each new row with itself"):
        given_.predict(cross, asked, return_std=True)
    with pytest.raises(InputError, match="X has shape \\(45, 44\\); with kernel='precomputed' fit expects"):
        MultiTaskKernelRidge(T, "precomputed").fit(K[:, 1:], y, tasks)
    lop = K.copy()
    lop[0, 1] += 0.1
    with pytest.raises(InputError, match=r"not symmetric: X\[0, 1\] = .* give the same value both ways"):
        MultiTaskKernelRidge(T, "precomputed").fit(lop, y, tasks)
    values, basis = np.linalg.eigh(K)
    values[0] = -0.5
    bad = (basis * values) @ basis.T
    for solver in ("cholesky", "cg"):
        with pytest.raises(InputError, match="precomputed kernel is not positive semidefinite: its smallest eigen"):
            MultiTaskKernelRidge(T, "precomputed", strength=0.1, solver=solver).fit(bad, np.nan_to_num(y), tasks)


# Bad input.

BAD: list[tuple[dict[str, Any], str]] = [
    ({"task_kernel": [[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]}, "its smallest eigenvalue is -1 "),
    ({"task_kernel": np.eye(2)}, r"task_kernel has shape \(2, 2\), but there are 3 tasks \('north'"),
    ({"task_kernel": np.ones((3, 2))}, "expected a square"),
    ({"task_kernel": np.zeros((3, 3))}, "task_kernel is zero"),
    ({"task_kernel": np.full((3, 3), np.nan)}, "task_kernel contains NaN"),
    ({"task_kernel": np.triu(np.ones((3, 3)))}, "is not symmetric"),
    ({"task_kernel": 1.5}, r"a correlation between all tasks lies in \[0, 1\]"),
    ({"task_kernel": "alike"}, "task_kernel='alike' is unknown; expected a"),
    ({"task_kernel": None}, "task_kernel=None is not usable"),
    ({"task_kernel": Pairwise(1.0)}, "Pairwise: its precision is singular .* add a Ridge"),
    ({"task_kernel": TraceNorm(1.0)}, "TraceNorm: not quadratic, so it has no kernel"),
    ({"task_kernel": Ridge("auto")}, "Ridge: its strength is 'auto'; give a number"),
    ({"kernel": "gauss"}, "kernel='gauss' is unknown; expected one of"),
    ({"kernel": 3}, "kernel=3 is unknown"),
    ({"kernel_params": {"gama": 1.0}}, "kernel_params names 'gama'; kernel='rbf' has 'gamma'"),
    ({"kernel_params": 3}, "kernel_params=3 is not usable"),
    (
        {"kernel_params": {"gamma": "scale"}},
        "gamma='scale' is not usable with kernel='rbf'; expected a finite number >= 0",
    ),
    ({"kernel": "laplacian", "kernel_params": {"gamma": -1.0}}, r"gamma=-1\.0 is not usable with kernel='laplacian'"),
    ({"kernel": "poly", "kernel_params": {"degree": "two"}}, "degree='two' is not usable with kernel='poly'"),
    ({"kernel": "poly", "kernel_params": {"gamma": -1.0}}, "kernel='poly' on these rows is not positive semidefinite"),
    ({"kernel": np.eye(3)}, "is unknown; expected one of"),
    ({"kernel": RBF}, r"kernel=RBF is a class; give one of its kernels, RBF\("),
    ({"kernel": RBF([1.0, 2.0, 3.0])}, r"kernel=RBF\(.* cannot be taken of these rows"),
    ({"kernel": Matern([1.0, 2.0, 3.0])}, r"kernel=Matern\(.* cannot be taken of these rows: Anisotropic"),
    ({"kernel": RBF(1.0), "kernel_params": {"gamma": 1.0}}, "a kernel object has parameters of its own"),
    ({"kernel": "precomputed", "kernel_params": {"gamma": 1.0}}, "have no use with kernel='precomputed'"),
    ({"kernel": RBF(1.0) + WhiteKernel(1.0)}, r"WhiteKernel\(noise_level=1\) is noise"),
    ({"kernel": CompoundKernel([RBF(1.0)])}, "CompoundKernel is several kernels"),
    (
        {"kernel": "sigmoid", "kernel_params": {"gamma": 2.0, "coef0": -1.0}},
        "kernel='sigmoid' on these rows is not pos",
    ),
    ({"kernel": "chi2"}, "kernel='chi2' cannot be taken of these rows: X contains negative values"),
    ({"kernel": ExpSineSquared()}, r"kernel=ExpSineSquared\(.* on these rows is not positive semidefinite"),
    ({"strength": 0.0}, r"strength=0\.0 is not usable; expected a finite number > 0, or 'auto'"),
    ({"strength": "much"}, "strength='much' is not usable"),
    ({"amplitude": -1}, "amplitude=-1 is not usable"),
    ({"max_memory": "auto"}, "max_memory='auto' is not usable; expected a finite number > 0\\."),
    ({"criterion": "aic"}, "criterion='aic' is unknown; expected one of 'loo', 'gcv', 'likelihood'"),
    ({"intercept": "tied"}, "intercept='tied' is unknown; expected one of 'free', 'none'"),
    ({"solver": "eigen"}, "solver='eigen' needs tasks on the same rows"),
    ({"rank": 0}, "rank=0 is not usable; expected a whole number >= 1"),
    ({"landmarks": 2.5}, "landmarks=2.5 is not usable"),
    ({"standardize": "yes"}, "standardize='yes' is not usable"),
    ({"tol": 0}, "tol=0 is not usable"),
    ({"optimize_kernel": True, "strength": "auto"}, "optimize_kernel=True needs a kernel of sklearn"),
    ({"optimize_kernel": True, "kernel": RBF(1.0, "fixed"), "strength": "auto"}, r"all parameters of .* are fixed"),
    ({"task_kernel": "learned", "strength": 1.0}, "it is learned together with the kernels"),
    ({"task_kernel": "learned", "amplitude": 1.0}, "it is learned together with the kernels"),
]


@pytest.mark.parametrize(("params", "message"), BAD, ids=range(len(BAD)))
def test_bad_parameters_are_named_and_leave_the_last_fit(params: dict[str, Any], message: str) -> None:
    X, y, tasks = rows()
    model = MultiTaskKernelRidge(0.5, strength=0.1).fit(X, y, tasks)
    before = model.predict(X, tasks)
    old = model.get_params(deep=False)
    with pytest.raises(InputError, match=message):
        model.set_params(**params).fit(X, y, tasks)
    np.testing.assert_array_equal(model.set_params(**{k: old[k] for k in params}).predict(X, tasks), before)


def test_bad_rows_are_named() -> None:
    X, y, tasks = rows()
    model = MultiTaskKernelRidge(0.5, strength=0.1)
    holes = X.copy()
    holes[4, 1] = np.nan
    with pytest.raises(InputError, match="first in row 4, column 1"):
        model.fit(holes, y, tasks)
    with pytest.raises(InputError, match="task 'north' without labels"):
        model.fit(X, np.where(tasks == "north", np.nan, y), tasks)
    with pytest.raises(InputError, match="squares overflow"):
        model.fit(X * 1e200, y, tasks)
    with pytest.raises(InputError, match="squares overflow"):
        model.fit(X, y * 1e200, tasks)
    with pytest.raises(InputError, match="predict needs tasks"):
        model.fit(X, y, tasks).predict(X)
    with pytest.warns(RelataskWarning, match="RT005: tasks with a constant target"):
        constant = MultiTaskKernelRidge(0.5).fit(X, np.full(len(X), 3.0), tasks)
    np.testing.assert_allclose(constant.predict(X, tasks), 3.0)
    assert constant.amplitude_ == pytest.approx(0.0, abs=1e-25)
