"""Unlabelled rows: the penalty against pairs written out, its laws, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from tests.effort import examples

from linear_oracle import case
from manifold_cases import by_hand, rows
from relatask.cli.build import check_relation_options
from relatask.cli.catalogue import methods
from relatask.cli.config import RelationConfig
from relatask.linear import MultiTaskRegressor
from relatask.notices import InputError
from relatask.relations import (
    HierarchicalPrior,
    Manifold,
    Pairwise,
    neighbours,
)

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("d", [3, 14])  # by a tree, by products
def test_the_value_is_the_mean_over_pairs_of_neighbours(d: int, normalized: bool) -> None:
    X, W = rows(20, d), np.random.default_rng(1).normal(size=(3, d))
    relation = Manifold(X, 0.7, n_neighbors=3, normalized=normalized)
    expected = by_hand(X, W, 3, 0.7, normalized=normalized)
    assert relation(W) == pytest.approx(expected, rel=1e-7)
    thin = Manifold(sparse.csr_array(X), 0.7, n_neighbors=3, normalized=normalized)
    assert thin(W) == pytest.approx(expected, rel=1e-7)


def test_landmarks_tie_rows_through_the_anchors_nearest_to_them() -> None:
    X, W = rows(30, 3, seed=4), np.random.default_rng(1).normal(size=(2, 3))
    relation = Manifold(X, 0.7, n_neighbors=2, landmarks=6, seed=3)
    own = X[np.lexsort(X.T[::-1])]  # sorted by the first column, then the second, ...
    anchors = own[np.sort(np.random.default_rng(3).choice(30, size=6, replace=False))]
    far = np.array([[np.linalg.norm((x - a) / X.std(0)) for a in anchors] for x in own])
    kept = far <= np.sort(far, axis=1)[:, [1]]
    width = np.sort(far, axis=1)[:, 1].mean()
    Z = kept * np.exp(-((far / width) ** 2) / 2)
    Z /= Z.sum(1, keepdims=True)
    A = Z @ np.diag(1 / Z.sum(0)) @ Z.T
    np.testing.assert_allclose(A.sum(1), 1)
    F = own @ W.T
    expected = 0.7 / 2 * sum(A[i, j] / 30 * float(np.sum((F[i] - F[j]) ** 2)) for i in range(30) for j in range(30))
    assert relation(W) == pytest.approx(expected, rel=1e-9)
    thin = Manifold(sparse.csr_array(X), 0.7, n_neighbors=2, landmarks=6, seed=3)
    assert np.isfinite(thin(W))
    assert relation(W) != Manifold(X, 0.7, n_neighbors=2, landmarks=6, seed=4)(W)


@pytest.mark.parametrize("seed", range(3))
def test_a_row_far_from_every_landmark_is_tied_to_those_nearest_to_it(seed: int) -> None:
    """Its weights, all of them too small for a number, still sum to 1."""
    X = np.vstack([rows(300, 3), np.full((1, 3), 1e6)])
    form = Manifold(X, 1.0, n_neighbors=3, landmarks=20, seed=seed).form()
    assert np.isfinite(form).all()
    assert np.linalg.eigvalsh(form)[0] >= -1e-9 * np.linalg.eigvalsh(form)[-1]


def test_distances_are_never_all_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    X, W = rows(40, 12), np.ones((1, 12))
    whole = Manifold(X, 1.0, n_neighbors=3)(W)
    held = []
    real = np.argpartition
    monkeypatch.setattr(neighbours, "BLOCK", 100)
    monkeypatch.setattr(np, "argpartition", lambda a, *args, **kw: (held.append(a.size), real(a, *args, **kw))[1])
    assert Manifold(X, 1.0, n_neighbors=3)(W) == pytest.approx(whole, rel=1e-12)
    assert len(held) == 20
    assert max(held) <= 100


@examples(15, 100)
@given(SEEDS, st.booleans(), st.booleans())
def test_order_repetition_and_origin_of_the_rows_do_not_matter(seed: int, normalized: bool, landmarks: bool) -> None:
    rng = np.random.default_rng(seed)
    X, W = rows(15, 3, seed), rng.normal(size=(2, 3))
    settings: Any = {"n_neighbors": 3, "normalized": normalized, "landmarks": 7 if landmarks else None}
    value = Manifold(X, 1.3, **settings)(W)
    assert value > 0
    again = X[np.concatenate([rng.permutation(15), rng.integers(15, size=6)])]
    assert Manifold(again, 1.3, **settings)(W) == pytest.approx(value, rel=1e-9)
    assert Manifold(X + 10 * rng.normal(size=3), 1.3, **settings)(W) == pytest.approx(value, rel=1e-7)
    units = np.exp(rng.normal(size=3))
    assert Manifold(X * units, 1.3, **settings)(W / units) == pytest.approx(value, rel=1e-7)
    Q = Manifold(X, 1.3, **settings).form()
    assert np.linalg.eigvalsh(Q)[0] >= -1e-12 * np.abs(Q).max()


def test_the_number_of_rows_is_no_strength() -> None:
    few, many = rows(400, 3, seed=1), np.vstack([rows(400, 3, seed=1), rows(400, 3, seed=1) + 1e-3])
    W = np.eye(3)
    # Twice as many rows, at the same places: neighbours are nearer, but no sum of them grows.
    assert Manifold(many, 1.0)(W) < 1.05 * Manifold(few, 1.0)(W)


def test_rows_that_cannot_be_used_are_refused() -> None:
    X = rows(12, 3)
    bad = X.copy()
    bad[2, 1] = np.nan
    with pytest.raises(InputError, match=r"contains NaN or infinity \(row 2, column 1\); leave these rows out"):
        Manifold(bad)
    with pytest.raises(InputError, match="contains NaN or infinity; leave"):
        Manifold(sparse.csr_array(bad))
    with pytest.raises(InputError, match=r"has shape \(12,\); expected rows of features"):
        Manifold(X[:, 0])
    with pytest.raises(InputError, match="could not be read as rows of numbers"):
        Manifold([["a", "b"]])
    with pytest.raises(InputError, match="n_neighbors=12, but X_unlabelled has 12 rows; expected fewer"):
        Manifold(X, n_neighbors=12)
    with pytest.raises(InputError, match="n_neighbors=10, but X_unlabelled has 6 distinct rows"):
        Manifold(np.repeat(X[:6], 3, axis=0))(np.ones((1, 3)))
    with pytest.raises(InputError, match="holds numbers beyond 1e150, whose squares overflow"):
        Manifold(1e160 * X)
    with pytest.raises(InputError, match="landmarks=20, but X_unlabelled has 12 rows; give fewer"):
        Manifold(X, landmarks=20, n_neighbors=2)
    with pytest.raises(InputError, match="n_neighbors=3, but landmarks=3"):
        Manifold(X, landmarks=3, n_neighbors=3)
    with pytest.raises(InputError, match=r"has 10001 features.*TruncatedSVD"):
        Manifold(sparse.csr_array((12, 10001)))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"strength": -1.0}, "strength=-1.0 is not usable; expected a finite number >= 0"),
        ({"strength": np.nan}, "strength=nan is not usable"),
        ({"n_neighbors": 0}, "n_neighbors=0 is not usable; expected a whole number >= 1"),
        ({"n_neighbors": 2.0}, "n_neighbors=2.0 is not usable"),
        ({"normalized": "yes"}, "normalized='yes' is not usable; expected True or False"),
        ({"landmarks": 1}, "landmarks=1 is not usable; expected a whole number >= 2"),
        ({"seed": -1}, "seed=-1 is not usable"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Manifold(rows(12, 3), **settings)


def test_a_configuration_that_names_it_is_told_to_use_python(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"Manifold is not for configurations.*Use it from Python"):
        check_relation_options(RelationConfig(name="Manifold"), "model.relation")
    assert methods("Manifold", as_json=False) == 0
    told = capsys.readouterr().out
    assert "direct, exact" in told
    assert "Not for configurations" in told


def test_other_features_than_those_of_x_are_refused() -> None:
    data = case("groups", 4)
    told = "Manifold was given rows of 3 features, but X has 4; give it rows with the columns of X, in the same order"
    for loss in ("squared", "huber"):
        with pytest.raises(InputError, match=told):
            MultiTaskRegressor(Pairwise(0.1) + Manifold(rows(15, 3)), loss=loss).fit(**data.arguments)
    with pytest.raises(InputError, match="W has 4 columns, but the relation was made for 3 features"):
        Manifold(rows(15, 3))(np.ones((2, 4)))
    with pytest.raises(InputError, match="HierarchicalPrior is a whole model and cannot be combined"):
        HierarchicalPrior() + Manifold(rows(15, 3))


def test_the_columns_of_a_frame_are_those_of_x_in_order() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=["a", "b", "c"])
    y, tasks = rng.normal(size=40), np.arange(40) % 2
    model = MultiTaskRegressor(Pairwise(1.0) + Manifold(frame[["b", "a", "c"]], 1.0))
    with pytest.raises(InputError, match="the columns of X in another order"):
        model.fit(frame, y, tasks)
    with pytest.raises(InputError, match=r"columns that X does not have: 'z'"):
        model.set_params(relation=Manifold(frame.rename(columns={"a": "z"}), 1.0)).fit(frame, y, tasks)
    named = model.set_params(relation=Manifold(frame, 1.0)).fit(frame, y, tasks)
    assert "40 rows of 3 features" in repr(named.relation_)
    plain = MultiTaskRegressor(Manifold(frame.to_numpy(), 1.0)).fit(frame, y, tasks)
    assert (plain.coef_ == named.coef_).all()
