"""Metrics of several classes: against scikit-learn, beside other kinds, under resampling, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import d2_log_loss_score, log_loss

from relatask.measure import ALL, bootstrap_differences, bootstrap_scores, evaluate
from relatask.measure.catalogue import metrics_of
from relatask.measure.several import plain
from relatask.notices import InputError

seeds = st.integers(0, 10_000)


def problem(seed, n=80, sizes=(3, 5), missing=0.2):
    """y (n, t) of positions, chances (n, t, C) with NaN behind a task's last class."""
    rng = np.random.default_rng(seed)
    y = np.column_stack([rng.integers(size, size=n).astype(float) for size in sizes])
    y[rng.random(y.shape) < missing] = np.nan
    chances = np.full((n, len(sizes), max(sizes)), np.nan)
    for k, size in enumerate(sizes):
        chances[:, k, :size] = rng.dirichlet(np.ones(size), size=n)
    return y, chances


def table(rows):
    return {(row["task"], row["metric"]): row["value"] for row in rows}


@given(seeds)
def test_every_metric_is_scikit_learns(seed):
    y, chances = problem(seed)
    found = table(evaluate(y, chances, None, ["a", "b"], kinds="multiclass"))
    for k, (task, size) in enumerate((("a", 3), ("b", 5))):
        seen = ~np.isnan(y[:, k])
        label, own = y[seen, k].astype(int), chances[seen, k, :size]
        assert found[task, "log_loss"] == pytest.approx(log_loss(label, own, labels=range(size)))
        assert found[task, "d2"] == pytest.approx(d2_log_loss_score(label, own, labels=range(size)))
        assert found[task, "error_rate"] == pytest.approx(np.mean(own.argmax(1) != label))
        assert found[task, "brier"] == pytest.approx(np.mean(((own - np.eye(size)[label]) ** 2).sum(1)))
    both = np.mean([found["a", "log_loss"], found["b", "log_loss"]])
    assert found[ALL, "log_loss_mean_of_tasks"] == pytest.approx(both)
    assert not {"auc", "rmse", "r2"} & {metric for _, metric in found}


@given(seeds)
def test_two_classes_said_as_several_score_alike(seed):
    y, chances = problem(seed, sizes=(2,))
    y, chance = y[:, 0], chances[:, 0, 1]
    codes = np.zeros(len(y), dtype=int)
    as_two = table(evaluate(y, chance, codes, ["a"], kinds="binary"))
    as_several = table(evaluate(y, chances[:, 0], codes, ["a"], kinds="multiclass"))
    for metric in ("log_loss", "error_rate", "d2"):
        assert as_several["a", metric] == pytest.approx(as_two["a", metric], rel=1e-12, abs=1e-12)
    assert as_several["a", "brier"] == pytest.approx(2 * as_two["a", "brier"])  # of both classes


@given(seeds)
def test_beside_other_kinds_each_scores_as_alone(seed):
    y, chances = problem(seed)
    rng = np.random.default_rng(seed)
    number, guess = rng.normal(size=(2, len(y)))
    whole = np.concatenate([chances, np.full((len(y), 1, 5), np.nan)], axis=1)
    whole[:, 2, 0] = guess
    kinds = ["multiclass", "multiclass", "regression"]
    mixed = table(evaluate(np.column_stack([y, number]), whole, None, ["a", "b", "c"], kinds=kinds))
    alone = table(evaluate(y, chances, None, ["a", "b"], kinds="multiclass"))
    numbers = table(evaluate(number[:, None], guess[:, None], None, ["c"]))
    for key in (("a", "log_loss"), ("b", "d2"), ("b", "error_rate")):
        assert mixed[key] == alone[key]
    assert mixed["c", "rmse"] == numbers["c", "rmse"]
    assert ("c", "log_loss") not in mixed
    d2 = [mixed["a", "d2"], mixed["b", "d2"], mixed["c", "d2"]]
    assert mixed[ALL, "d2_mean_of_tasks"] == pytest.approx(np.mean(d2))


def test_bootstrap_of_chances_is_that_of_their_row_wise_losses():
    y, chances = problem(3, n=200, sizes=(4,), missing=0)
    better = 0.7 * chances
    better[np.arange(200), 0, y[:, 0].astype(int)] += 0.3
    found = bootstrap_differences(
        y[:, 0], better[:, 0], chances[:, 0], np.zeros(200, int), ["a"], "log_loss", kinds="multiclass", repeats=4000
    )
    own = np.arange(200), 0, y[:, 0].astype(int)
    gain = np.log(better[own]) - np.log(chances[own])
    (row,) = found.tasks
    assert row.difference == pytest.approx(gain.mean())
    error = gain.std(ddof=1) / np.sqrt(200)
    assert (row.high - row.low) / (2 * 1.972) == pytest.approx(error, rel=0.05)
    scored = bootstrap_scores(y, chances, metrics=["d2", "error_rate"], kinds="multiclass", repeats=50)
    assert all(one["low"] < one["value"] < one["high"] for one in scored)


def test_what_is_predicted_perfectly_and_what_says_nothing():
    y = np.array([0.0, 1, 2, 1])
    sure = np.eye(3)[y.astype(int)]
    found = table(evaluate(y, sure, np.zeros(4, int), ["a"], kinds="multiclass"))
    assert (found["a", "log_loss"], found["a", "error_rate"], found["a", "d2"], found["a", "brier"]) == (0, 0, 1, 0)
    shares = np.tile([0.25, 0.5, 0.25], (4, 1))
    assert table(evaluate(y, shares, np.zeros(4, int), ["a"], ["d2"], kinds="multiclass"))["a", "d2"] == 0
    one = table(evaluate(np.ones(4), shares, np.zeros(4, int), ["a"], ["d2"], kinds="multiclass"))
    assert np.isnan(one["a", "d2"])  # one class only: nothing to explain


def test_plain_leaves_other_kinds_as_they_are():
    guess = np.array([[3.0, np.nan], [0.2, 0.8]])
    found = plain(np.array([1.0, 1.0]), guess, np.array([0, 1]), ["regression", "multiclass"])
    np.testing.assert_allclose(found, [3.0, 1 + np.sqrt(0.08)])


def test_metrics_of_several_classes():
    assert metrics_of(["multiclass"]) == [
        "log_loss",
        "error_rate",
        "brier",
        "log_loss_mean_of_tasks",
        "error_rate_mean_of_tasks",
        "brier_mean_of_tasks",
        "d2",
        "d2_within",
        "d2_mean_of_tasks",
    ]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"y": [3.0, 1.0]}, r"whole numbers from 0 .*; 1 are not, such as 3 beside 3 chances"),
        ({"y": [0.5, 1.0]}, "1 are not, such as 0.5"),
        ({"prediction": [[0.5, 0.2, 0.2], [0, 1, 0]]}, r"sum to 1; 1 rows do not, such as \[0.5, 0.2, 0.2\]"),
        ({"prediction": [[1.5, -0.5, 0], [0, 1, 0]]}, "must be >= 0"),
        ({"prediction": [0.5, 0.5]}, "and one more axis: the chance of each class"),
        ({"metrics": ["auc"]}, "'auc' is not one of tasks of kind multiclass"),
    ],
)
def test_bad_input(change, match):
    good = {"y": [0.0, 2.0], "prediction": [[0.2, 0.3, 0.5], [0, 0, 1]], "codes": [0, 1], "tasks": ["a", "b"]}
    with pytest.raises(InputError, match=match):
        evaluate(**(good | {"kinds": "multiclass"} | change))
