"""Metrics of classes and counts against scikit-learn's, and their bootstrap against drawing rows by hand."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import (
    brier_score_loss,
    d2_log_loss_score,
    d2_tweedie_score,
    log_loss,
    mean_poisson_deviance,
    mean_squared_error,
    r2_score,
    roc_auc_score,
    zero_one_loss,
)

from relatask.measure import ALL, bootstrap_differences, bootstrap_scores, evaluate

TASKS = "abc"


def classes(n=150, seed=0):
    """Labels 0 and 1 in three tasks of different shares, chances on a coarse grid, so that there are ties."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(3, size=n)
    eta = rng.normal(size=n) + codes - 1
    y = (eta + rng.logistic(size=n) > 0).astype(float)
    return y, np.round(1 / (1 + np.exp(-eta)), 1).clip(0.05, 0.95), codes


def counts(n=150, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(3, size=n)
    mean = np.exp(0.5 * rng.normal(size=n) + codes)
    return rng.poisson(mean).astype(float), mean * np.exp(0.2 * rng.normal(size=n)), codes


def table(rows):
    return {(row["task"], row["metric"]): row["value"] for row in rows}


def test_metrics_of_classes_are_scikit_learns():
    y, chance, codes = classes()
    found = table(evaluate(y, chance, codes, TASKS, kinds="binary"))
    peers = {
        "log_loss": lambda y, p: log_loss(y, p, labels=[0, 1]),
        "error_rate": lambda y, p: zero_one_loss(y, p > 0.5),
        "brier": brier_score_loss,
        "auc": roc_auc_score,
        "d2": d2_log_loss_score,
    }
    parts = [(y[codes == k], chance[codes == k]) for k in range(3)]
    for name, peer in peers.items():
        each = [peer(*part) for part in parts]
        assert [found[task, name] for task in TASKS] == pytest.approx(each)
        assert found[ALL, f"{name}_mean_of_tasks"] == pytest.approx(np.mean(each))
    for name in ("log_loss", "error_rate", "brier"):
        assert found[ALL, name] == pytest.approx(peers[name](y, chance))
    pairs = [(part[0] == 1).sum() * (part[0] == 0).sum() for part in parts]
    assert found[ALL, "auc_within"] == pytest.approx(
        np.average([roc_auc_score(*part) for part in parts], weights=pairs)
    )
    loss, null = (
        sum(log_loss(part[0], chance, normalize=False) for part, chance in zip(parts, guess, strict=True))
        for guess in ([part[1] for part in parts], [np.full(len(part[0]), part[0].mean()) for part in parts])
    )
    assert found[ALL, "d2_within"] == pytest.approx(1 - loss / null)
    assert {name for _, name in found} == {
        *peers,
        *(f"{name}_mean_of_tasks" for name in peers),
        "auc_within",
        "d2_within",
    }


def test_metrics_of_counts_are_scikit_learns():
    y, mean, codes = counts()
    found = table(evaluate(y, mean, codes, TASKS, kinds="count"))
    parts = [(y[codes == k], mean[codes == k]) for k in range(3)]
    each = [mean_poisson_deviance(*part) for part in parts]
    shares = [d2_tweedie_score(*part, power=1) for part in parts]
    assert [found[task, "poisson_deviance"] for task in TASKS] == pytest.approx(each)
    assert [found[task, "d2"] for task in TASKS] == pytest.approx(shares)
    assert found[ALL, "poisson_deviance"] == pytest.approx(mean_poisson_deviance(y, mean))
    assert found[ALL, "poisson_deviance_mean_of_tasks"] == pytest.approx(np.mean(each))
    assert found[ALL, "d2_mean_of_tasks"] == pytest.approx(np.mean(shares))
    null = sum(mean_poisson_deviance(part[0], np.full(len(part[0]), part[0].mean())) * len(part[0]) for part in parts)
    assert found[ALL, "d2_within"] == pytest.approx(1 - mean_poisson_deviance(y, mean) * len(y) / null)


def test_tasks_of_several_kinds_have_their_own_metrics_and_one_mean():
    rng = np.random.default_rng(1)
    Y = np.column_stack([rng.normal(size=60), rng.random(60) < 0.4, rng.poisson(3.0, size=60)])
    guess = np.column_stack([Y[:, 0] + rng.normal(size=60), rng.random((60, 1)), rng.uniform(1, 5, size=(60, 1))])
    Y[:7, 1] = np.nan
    rows = evaluate(Y, guess, None, TASKS, kinds=["regression", "binary", "count"])
    found, seen = table(rows), np.arange(60) >= 7
    shares = [
        r2_score(Y[:, 0], guess[:, 0]),
        d2_log_loss_score(Y[seen, 1], guess[seen, 1]),
        d2_tweedie_score(Y[:, 2], guess[:, 2], power=1),
    ]
    assert [found[task, "d2"] for task in TASKS] == pytest.approx(shares)
    assert [row["metric"] for row in rows if row["task"] == ALL] == ["d2_mean_of_tasks"]
    assert found[ALL, "d2_mean_of_tasks"] == pytest.approx(np.mean(shares))
    assert found["a", "rmse"] == pytest.approx(np.sqrt(mean_squared_error(Y[:, 0], guess[:, 0])))
    assert found["b", "auc"] == pytest.approx(roc_auc_score(Y[seen, 1], guess[seen, 1]))
    assert ("a", "log_loss") not in found
    assert ("b", "rmse") not in found
    assert ("c", "auc") not in found


def by_hand(y, guess, codes, metric, repeats=600, seed=5):
    """Standard error of a metric over rows drawn again within tasks, one draw at a time."""
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(repeats):
        rows = np.concatenate([rng.choice(own := np.flatnonzero(codes == k), len(own)) for k in range(3)])
        drawn.append(metric(y[rows], guess[rows], codes[rows]))
    return np.nanstd(drawn, ddof=1)


@pytest.mark.parametrize("name", ["auc", "log_loss", "d2", "error_rate"])
def test_the_bootstrap_of_classes_is_that_of_rows_drawn_by_hand(name):
    y, chance, codes = classes(240, seed=2)
    whole = {"auc": "auc_within", "d2": "d2_within"}.get(name, name)

    def of_task(y, p, c):
        return table(evaluate(y, p, c, TASKS, [name], kinds="binary"))["b", name]

    def of_all(y, p, c):
        return table(evaluate(y, p, c, TASKS, [whole], kinds="binary"))[ALL, whole]

    rows = bootstrap_scores(y, chance, codes, TASKS, [name, whole], kinds="binary", repeats=600)
    for task, metric, peer in (("b", name, of_task), (ALL, whole, of_all)):
        row = next(row for row in rows if (row["task"], row["metric"]) == (task, metric))
        n = row["n"]
        error = (row["high"] - row["low"]) / 2 / stats.t.ppf(0.975, n - 1) / np.sqrt(n / (n - 1))
        assert error == pytest.approx(by_hand(y, chance, codes, peer), rel=0.12)


def test_the_bootstrap_of_the_curve_s_area_is_hanley_and_mcneil_s():
    """One task, two normal populations: the error that DeLong's formula gives for these very rows."""
    rng = np.random.default_rng(3)
    y = (np.arange(300) < 120).astype(float)
    score = 1 / (1 + np.exp(-rng.normal(size=300) - y))
    row = bootstrap_scores(y, score, np.zeros(300, int), ["a"], ["auc"], kinds="binary", repeats=3000)[0]
    one, zero = score[y == 1], score[y == 0]
    right = (one[:, None] > zero) + 0.5 * (one[:, None] == zero)
    error = np.sqrt(right.mean(1).var(ddof=1) / 120 + right.mean(0).var(ddof=1) / 180)
    assert row["value"] == pytest.approx(right.mean())
    assert (row["high"] - row["low"]) / 2 == pytest.approx(stats.t.ppf(0.975, 299) * error, rel=0.06)


def test_paired_differences_of_counts_have_the_error_of_mean_differences():
    y, mean, _ = counts(200, seed=4)
    ours, theirs = mean, mean * np.exp(0.3 * np.random.default_rng(0).normal(size=200))
    found = bootstrap_differences(
        y, ours, theirs, np.zeros(200, int), ["a"], "poisson_deviance", kinds="count", repeats=3000
    )
    each = [
        [mean_poisson_deviance([label], [guess]) for label, guess in zip(y, g, strict=True)] for g in (ours, theirs)
    ]
    d = np.subtract(each[1], each[0])
    (row,) = found.tasks
    assert row.difference == pytest.approx(d.mean())
    assert (row.high - row.low) / 2 == pytest.approx(stats.t.ppf(0.975, 199) * d.std(ddof=1) / np.sqrt(200), rel=0.06)


def test_rows_with_labels_of_several_kinds_are_drawn_whole():
    rng = np.random.default_rng(6)
    Y = np.column_stack([rng.normal(size=80), rng.random(80) < 0.4])
    guess = np.column_stack([Y[:, 0] + rng.normal(size=80), rng.random(80)])
    kinds = ["regression", "binary"]
    wide = bootstrap_scores(Y, guess, None, "ab", kinds=kinds, repeats=50)
    row, code = np.nonzero(np.ones(Y.shape))
    long = bootstrap_scores(Y.ravel(), guess.ravel(), code, "ab", kinds=kinds, rows=row, repeats=50)
    assert wide == long
    found = bootstrap_differences(
        Y, guess, 0.5 * guess, None, "ab", "d2", kinds=kinds, overall="d2_mean_of_tasks", repeats=50
    )
    assert [r.metric for r in found] == ["d2", "d2", "d2_mean_of_tasks"]
    assert found.overall.difference == pytest.approx(np.mean([r.difference for r in found.tasks]))
