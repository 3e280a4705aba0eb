"""Any sequence of rows and tasks that come and go ends where a fit on what is there ends; a failure leaves no trace."""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sklearn.base import clone

from relatask.linear import MultiTaskRegressor
from relatask.notices import RelataskWarning
from relatask.relations import HierarchicalPrior, Pairwise, Ridge, SharedSparsity

D = 3
POOL = 90


class Comings(RuleBasedStateMachine):
    """A pool of rows of five tasks; a model is told of some of them, and of others no longer."""

    relation: Any = Ridge(0.1) + Pairwise(0.1)
    options: dict[str, Any] = {}
    near = 1e-8

    def __init__(self) -> None:
        """Draw the pool."""
        super().__init__()
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(POOL, D)) + 1.0
        self.tasks = np.array(list("edcba"))[rng.integers(0, 5, POOL)]
        self.y = self.X.sum(1) + rng.normal(size=POOL) + np.char.equal(self.tasks, "c")
        self.weights = rng.integers(1, 3, POOL).astype(float)
        self.there = np.zeros(POOL, dtype=bool)
        self.empty: set[str] = set()
        self.model = MultiTaskRegressor(self.relation, track_rows=True, **self.options)
        self.seed = 0

    def some(self, among: np.ndarray, share: float) -> np.ndarray:
        """Some rows among these."""
        self.seed += 1
        places = np.flatnonzero(among)
        return np.random.default_rng(self.seed).permutation(places)[: max(1, int(share * len(places)))]

    def told(self, rows: np.ndarray, method: str) -> None:
        """Tell the model of rows."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RelataskWarning)
            getattr(self.model, method)(self.X[rows], self.y[rows], self.tasks[rows], self.weights[rows])

    @precondition(lambda self: not self.there.all())
    @rule(share=st.sampled_from([0.05, 0.2, 0.6]))
    def add_rows(self, share: float) -> None:
        """Rows come, some of tasks that the model does not know."""
        rows = self.some(~self.there, share)
        self.told(rows, "partial_fit")
        self.there[rows] = True
        self.empty -= set(self.tasks[rows].tolist())

    @precondition(lambda self: self.there.sum() > 8)
    @rule(share=st.sampled_from([0.05, 0.3]))
    def forget_rows(self, share: float) -> None:
        """Rows go, for some tasks all."""
        rows = self.some(self.there, share)
        self.told(rows, "forget")
        self.there[rows] = False
        self.empty |= set(self.tasks[rows].tolist()) - set(self.tasks[self.there].tolist())

    @precondition(lambda self: self.there.any())
    @rule(name=st.sampled_from("abcdef"), refit=st.booleans(), rows=st.booleans())
    def add_a_task(self, name: str, refit: bool, rows: bool) -> None:
        """A task comes, with its rows or without."""
        if name in self.model.tasks_.tolist():
            return
        own = np.flatnonzero(self.tasks == name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RelataskWarning)
            if rows and len(own):
                refit = refit or isinstance(self.relation, SharedSparsity)
                self.model.add_task(name, self.X[own], self.y[own], self.weights[own], refit=refit)
                self.there[own] = True
                if not refit:
                    self.forget_rows_of_one()
            else:
                self.model.add_task(name)
                self.empty.add(name)

    def forget_rows_of_one(self) -> None:
        """Any change solves all tasks again."""
        row = np.flatnonzero(self.there)[:1]
        self.told(row, "forget")
        self.there[row] = False
        self.empty |= set(self.tasks[row].tolist()) - set(self.tasks[self.there].tolist())

    @precondition(lambda self: len(set(self.tasks[self.there].tolist())) > 1)
    @rule(place=st.integers(0, 5))
    def remove_a_task(self, place: int) -> None:
        """A task goes with its rows."""
        labels = self.model.tasks_.tolist()
        name = labels[place % len(labels)]
        if set(self.tasks[self.there].tolist()) == {name}:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RelataskWarning)
            self.model.remove_task(name)
        self.there[self.tasks == name] = False
        self.empty.discard(name)

    @precondition(lambda self: self.there.any())
    @rule()
    def copy(self) -> None:
        """A copy goes on in its place."""
        self.model = pickle.loads(pickle.dumps(self.model))

    @invariant()
    def equal_to_a_fit(self) -> None:
        """The model is that of the rows that are there."""
        if not self.there.any():
            return
        i = self.there
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RelataskWarning)
            fresh = clone(self.model).fit(self.X[i], self.y[i], self.tasks[i], self.weights[i])
        labels = self.model.tasks_.tolist()
        assert set(labels) == set(fresh.tasks_.tolist()) | self.empty
        assert labels == sorted(labels)
        own = [k for k, label in enumerate(labels) if label not in self.empty]
        scale = max(np.abs(fresh.coef_).max(), np.abs(fresh.intercept_).max())
        # Rounding grows with what came and went, and where a task of one row is all that tells.
        np.testing.assert_allclose(self.model.coef_[own], fresh.coef_, atol=self.near * scale, rtol=self.near)
        np.testing.assert_allclose(self.model.intercept_[own], fresh.intercept_, atol=self.near * scale, rtol=self.near)
        assert self.model.n_labels_[own].tolist() == fresh.n_labels_.tolist()
        assert (self.model._seen.marks == np.concatenate([fresh._seen.marks])).all()


class TiedComings(Comings):
    """With tied intercepts and tasks that count alike."""

    options = {"intercept": "tied", "weighting": "task"}


class SparseComings(Comings):
    """Under a norm: within the root of the gap, because rounding may end iterations one look earlier or later."""

    near = 3e-6
    relation = SharedSparsity(0.3)
    options = {"intercept": "common", "tol": 1e-12}


for machine in (Comings, TiedComings, SparseComings):
    machine.TestCase.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
TestComings = Comings.TestCase
TestTiedComings = TiedComings.TestCase
TestSparseComings = SparseComings.TestCase


def fitted(relation: Any = None) -> tuple[MultiTaskRegressor, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X, tasks = rng.normal(size=(40, D)), rng.integers(0, 3, 40)
    y = X.sum(1) + rng.normal(size=40)
    return MultiTaskRegressor(relation, track_rows=True).fit(X[:30], y[:30], tasks[:30]), X, y, tasks


CHANGES: dict[str, Callable[[MultiTaskRegressor, np.ndarray, np.ndarray, np.ndarray], Any]] = {
    "partial_fit": lambda m, X, y, k: m.partial_fit(X[30:], y[30:], k[30:] + 1),
    "forget": lambda m, X, y, k: m.forget(X[:4], y[:4], k[:4]),
    "remove_task": lambda m, X, y, k: m.remove_task(1),
    "add_task": lambda m, X, y, k: m.add_task(7, X[30:], y[30:], refit=False),
    "fit": lambda m, X, y, k: m.fit(X, y, k),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("relation", [Pairwise(0.1), HierarchicalPrior("isotropic")], ids=["Pairwise", "prior"])
def test_a_failure_at_any_moment_leaves_no_trace(change: str, relation: Any) -> None:
    model, X, y, tasks = fitted(relation)
    before, held = pickle.dumps(vars(model)), dict(vars(model))
    steps = 0

    def counts(frame: FrameType) -> bool:
        # Generators that are closed swallow what is raised in them.
        return "relatask" in frame.f_code.co_filename and frame.f_code.co_name != "<genexpr>"

    def count(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal steps
        steps += counts(frame)

    def fail(at: int) -> Callable[[FrameType, str, Any], None]:
        left = at

        def trace(frame: FrameType, event: str, arg: Any) -> None:
            nonlocal left
            left -= counts(frame)
            if left < 0:
                sys.settrace(None)
                raise InterruptedError("now")

        return trace

    old = sys.gettrace()
    twins = [pickle.loads(before) for _ in range(2)]
    try:
        for twin in twins:  # the second time nothing is made that is kept for later
            steps = 0
            other = clone(model)
            other.__dict__ = twin
            sys.settrace(count)
            CHANGES[change](other, X, y, tasks)
            sys.settrace(old)
        assert steps > 30
        # 40 of the calls of functions of ours; what is kept for later makes a few fewer of them.
        for at in np.unique(np.linspace(0, 0.9 * steps, 40).astype(int)).tolist():
            sys.settrace(fail(at))
            with pytest.raises(InterruptedError):
                CHANGES[change](model, X, y, tasks)
            sys.settrace(old)
            assert all(vars(model)[name] is value for name, value in held.items())
            assert vars(model).keys() == held.keys()
    finally:
        sys.settrace(old)
    for name, value in pickle.loads(before).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(model, name), value)
    np.testing.assert_array_equal(model._statistics.cross, pickle.loads(before)["_statistics"].cross)
    # And after all that it goes on as if nothing had been.
    CHANGES[change](model, X, y, tasks)
    np.testing.assert_array_equal(model.coef_, other.coef_)


def test_order_and_pieces_do_not_matter() -> None:
    model, X, y, tasks = fitted()
    one = clone(model).fit(X[:20], y[:20], tasks[:20])
    for rows in (slice(30, 40), slice(20, 30)):
        one.partial_fit(X[rows], y[rows], tasks[rows])
    model.partial_fit(X[30:], y[30:], tasks[30:])
    np.testing.assert_allclose(one.coef_, model.coef_, rtol=1e-10)
    assert (one._seen.marks == model._seen.marks).all()


def test_shared_rows_are_kept_once_in_memory_and_in_pickles() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(50, 30)), rng.normal(size=(50, 200))
    model = MultiTaskRegressor().fit(X, Y)
    model.partial_fit(X, Y).forget(X[:5], Y[:5])
    grams = [bucket.base for bucket in model._statistics.forms.buckets]
    assert [gram.shape for gram in grams] == [(1, 30, 30)]
    # A few arrays of (t, d), and one Gram; not (t, d, d), which would be 1.4 MB.
    assert len(pickle.dumps(model)) < 12 * 200 * 30 * 8
    assert not hasattr(clone(model), "_statistics")
    huber = MultiTaskRegressor(loss="huber").fit(X[:, :2], Y[:, 0])
    assert huber._statistics is None
