"""Laws of metrics of classes and counts: order only, missing labels, one class, what is at its best when, bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relatask.measure import ALL, METRICS, bootstrap_scores, evaluate
from relatask.measure.catalogue import KINDS, KINDS_OF, WORDS, is_overall_only, metrics_of, overall_metric, task_metric
from relatask.measure.formulas import OVERALL, PER_TASK
from relatask.notices import InputError

seeds = st.integers(0, 10_000)
AREAS = ["auc", "auc_within", "auc_mean_of_tasks"]


def problem(seed, kind="binary", n=60, t=4, missing=0.2):
    rng = np.random.default_rng(seed)
    codes = rng.integers(t, size=n)
    eta = rng.normal(size=n) + 0.3 * codes
    if kind == "binary":
        y, guess = (eta + rng.logistic(size=n) > 0).astype(float), np.round(1 / (1 + np.exp(-eta)), 2)
    else:
        y, guess = rng.poisson(np.exp(eta)).astype(float), np.exp(eta + 0.2 * rng.normal(size=n))
    y[rng.random(n) < missing] = np.nan
    return y, guess, codes, [f"task {k}" for k in range(t)]


def table(rows):
    return {(row["task"], row["metric"]): (row["value"], row["n"]) for row in rows}


def same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        assert a[key] == pytest.approx(b[key], rel=1e-9, abs=1e-12, nan_ok=True)


@given(seeds, st.sampled_from(["binary", "count"]))
def test_missing_labels_and_the_order_of_rows_and_tasks_change_nothing(seed, kind):
    y, guess, codes, tasks = problem(seed, kind)
    found = table(evaluate(y, guess, codes, tasks, kinds=kind))
    seen, order = ~np.isnan(y), np.random.default_rng(seed + 1).permutation(len(y))
    same(found, table(evaluate(y[seen], guess[seen], codes[seen], tasks, kinds=kind)))
    same(found, table(evaluate(y[order], guess[order], codes[order], tasks, kinds=kind)))
    turn = np.random.default_rng(seed + 2).permutation(len(tasks))
    same(found, table(evaluate(y, guess, np.argsort(turn)[codes], [tasks[k] for k in turn], kinds=kind)))


@given(seeds)
def test_the_area_sees_the_order_within_tasks_only(seed):
    y, chance, codes, tasks = problem(seed)
    found = table(evaluate(y, chance, codes, tasks, AREAS, kinds="binary"))
    # Another increasing map in each task.
    power = np.array([0.2, 0.5, 2.0, 3.0])[codes]
    mapped = np.round(chance, 2) ** power * 0.9
    same(found, table(evaluate(y, mapped, codes, tasks, AREAS, kinds="binary")))
    turned = table(evaluate(1 - y, 1 - chance, codes, tasks, AREAS, kinds="binary"))
    same(found, turned)
    against = table(evaluate(1 - y, chance, codes, tasks, AREAS, kinds="binary"))
    for key, (value, _) in found.items():
        assert value == pytest.approx(1 - against[key][0], nan_ok=True)


@given(seeds)
def test_log_loss_and_explained_deviance_are_best_at_the_task_s_own_share(seed):
    y, _, codes, tasks = problem(seed, missing=0)
    share = np.array([y[codes == k].mean() if (codes == k).any() else 0.5 for k in range(4)])
    at = table(evaluate(y, share[codes], codes, tasks, kinds="binary"))
    for k, task in enumerate(tasks):
        if (task, "d2") in at and 0 < share[k] < 1:
            assert at[task, "d2"][0] == pytest.approx(0, abs=1e-12)
            assert at[task, "auc"][0] == 0.5
    off = table(evaluate(y, (0.9 * share + 0.05)[codes], codes, tasks, kinds="binary"))
    assert off[ALL, "log_loss"][0] >= at[ALL, "log_loss"][0]
    assert off[ALL, "d2_within"][0] <= 1e-12


@given(seeds, st.sampled_from(["binary", "count"]))
def test_what_is_predicted_perfectly_is_at_its_best(seed, kind):
    y, _, codes, tasks = problem(seed, kind)
    for (_, name), (value, _) in table(evaluate(y, y, codes, tasks, kinds=kind)).items():
        assert np.isnan(value) or value == pytest.approx(0 if METRICS[name].error else 1, abs=1e-9)


def test_a_task_of_one_class_has_a_log_loss_and_no_area():
    y, chance = np.array([0.0, 1, 1, 1, 1]), np.array([0.2, 0.8, 0.9, 0.9, 0.4])
    rows = table(evaluate(y, chance, [0, 0, 1, 1, 1], ["both", "one"], kinds="binary"))
    assert np.isnan([rows["one", "auc"][0], rows["one", "d2"][0]]).all()
    assert rows["one", "log_loss"][0] == pytest.approx(-np.log([0.9, 0.9, 0.4]).mean())
    assert rows[ALL, "auc_mean_of_tasks"][0] == rows[ALL, "auc_within"][0] == 1.0
    alone = table(evaluate(y[2:], chance[2:], [0, 0, 0], ["one"], kinds="binary"))
    assert np.isnan([alone[ALL, "auc_within"][0], alone[ALL, "d2_within"][0]]).all()


def test_a_sure_miss_costs_a_finite_number():
    rows = table(evaluate([1.0, 0.0], [0.0, 1.0], [0, 0], ["a"], kinds="binary"))
    assert rows["a", "log_loss"][0] == pytest.approx(36.04, abs=0.01)
    rows = table(evaluate([3.0, 0.0], [0.0, 1.0], [0, 0], ["a"], kinds="count"))
    assert np.isfinite(rows["a", "poisson_deviance"][0])


def test_draws_in_which_one_class_is_absent_do_not_count():
    y, chance = np.array([1.0, 0, 0, 0, 0, 0]), np.linspace(0.6, 0.1, 6)
    row = bootstrap_scores(y, chance, np.zeros(6, int), ["a"], ["auc"], kinds="binary", repeats=200)[0]
    assert row["value"] == 1.0
    assert np.isnan(row["low"])  # the same in every draw that has both
    again = bootstrap_scores(y, chance[::-1], np.zeros(6, int), ["a"], ["d2"], kinds="binary", repeats=200)[0]
    assert np.isfinite(again["low"])


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_has_a_formula_words_kinds_and_a_counterpart(name):
    assert WORDS[name]
    assert KINDS_OF[name] <= set(KINDS)
    assert name in PER_TASK or name in OVERALL
    assert is_overall_only(name) == (name not in PER_TASK)
    assert task_metric(name) in PER_TASK
    assert overall_metric(task_metric(name)) in OVERALL


def test_the_metrics_of_numbers_are_what_they_were():
    assert metrics_of(["regression"]) == list(METRICS)[:8]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"y": [2.0, 1.0]}, "labels of kind binary must be 0 or 1; 1 are not, such as 2"),
        ({"prediction": [1.5, 0.5]}, "predicted chances must lie between 0 and 1; 1 are not, such as 1.5"),
        ({"kinds": "count", "y": [-1.0, 2.0]}, "labels of kind count must be >= 0"),
        ({"kinds": "count", "prediction": [-1.0, 2.0]}, "mean counts must be >= 0"),
        ({"kinds": "ordinal"}, "kind 'ordinal' has no metrics; expected one of regression, binary, count, multiclass"),
        ({"kinds": ["binary"]}, "1 kinds for 2 tasks"),
        ({"metrics": ["rmse"]}, "'rmse' is not one of tasks of kind binary; expected some of log_loss"),
        ({"kinds": ["binary", "count"], "metrics": ["d2_within"]}, "not one of tasks of kind binary and count"),
    ],
)
def test_bad_input(change, match):
    good = {"y": [0.0, 1.0], "prediction": [0.2, 0.9], "codes": [0, 1], "tasks": ["a", "b"], "kinds": "binary"}
    with pytest.raises(InputError, match=match):
        evaluate(**(good | change))
