"""Measures against independent computations: scikit-learn's, scipy's, formulas by hand, simulation."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from relatask.measure import (
    ALL,
    Scores,
    Support,
    benjamini_hochberg,
    bootstrap_differences,
    bootstrap_scores,
    corrected_interval,
    delta_m,
    differences,
    evaluate,
)

RNG = np.random.default_rng(0)


def test_metrics_are_scikit_learns():
    codes = RNG.integers(3, size=90)
    y = RNG.normal(size=90) + 4 * codes
    prediction = y + RNG.normal(size=90)
    found = {(row["task"], row["metric"]): row["value"] for row in evaluate(y, prediction, codes, "abc")}
    parts = [(y[codes == k], prediction[codes == k]) for k in range(3)]
    peers = {"rmse": root_mean_squared_error, "mae": mean_absolute_error, "r2": r2_score}
    for name, peer in peers.items():
        for k, part in enumerate(parts):
            assert found["abc"[k], name] == pytest.approx(peer(*part))
        assert found[ALL, f"{name}_mean_of_tasks"] == pytest.approx(np.mean([peer(*part) for part in parts]))
    assert found[ALL, "rmse"] == pytest.approx(root_mean_squared_error(y, prediction))
    assert found[ALL, "mae"] == pytest.approx(mean_absolute_error(y, prediction))
    assert found[ALL, "explained_variance_global"] == pytest.approx(r2_score(y, prediction))
    within = 1 - ((y - prediction) ** 2).sum() / sum(((part - part.mean()) ** 2).sum() for part, _ in parts)
    assert found[ALL, "explained_variance_within"] == pytest.approx(within)


def test_correction_for_many_tasks_is_scipys():
    for size in (1, 2, 50):
        p = RNG.random(size)
        np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p))


def test_interval_over_splits_is_nadeau_and_bengios():
    d = RNG.normal(0.3, size=10)
    mean, low, high, p = corrected_interval(d, 1 / 3)
    sigma = np.sqrt((1 / 10 + 1 / 3) * d.var(ddof=1))
    law = stats.t(df=9, loc=mean, scale=sigma)
    assert (low, high) == pytest.approx(law.interval(0.95))
    assert p == pytest.approx(2 * stats.t.sf(abs(mean / sigma), 9))
    # Without overlap it is the t test.
    assert corrected_interval(d, 0.0)[3] == pytest.approx(stats.ttest_1samp(d, 0).pvalue)


def test_differences_take_each_task_s_own_ratio_from_the_table():
    d = RNG.normal(size=(2, 6))
    rows = [
        {"method": m, "task": f"t{k}", "metric": "rmse", "split": str(s), "better": "lower", "n": 5 + k, "n_train": 20}
        | {"value": 10.0 - (d[k, s] if m == "joint" else 0.0)}
        for m in ("joint", "single")
        for k in range(2)
        for s in range(6)
    ]
    found = differences(Scores.of(rows), "joint", "single")
    for k in range(2):
        mean, low, high, p = corrected_interval(d[k], (5 + k) / 20)
        row = found.tasks[k]
        assert (row.difference, row.low, row.high, row.p) == pytest.approx((mean, low, high, p))
    q = stats.false_discovery_control([row.p for row in found.tasks])
    assert [row.q for row in found.tasks] == pytest.approx(q)


def test_equal_methods_are_told_apart_about_as_rarely_as_promised():
    """Two models of equal worth (the same kind of feature), 1000 data sets, 10 splits of 75/25 each."""
    sets, n, splits = 1000, 48, 10
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, sets, n))
    y = x.sum(0) + rng.normal(size=(sets, n))
    gaps = np.empty((sets, splits))
    for s in range(splits):
        order = rng.permutation(n)
        train, test = order[:36], order[36:]
        slope = (x[:, :, train] * y[:, train]).sum(-1) / (x[:, :, train] ** 2).sum(-1)
        error = ((y[:, test] - slope[..., None] * x[:, :, test]) ** 2).mean(-1)
        gaps[:, s] = error[0] - error[1]
    corrected = np.mean([corrected_interval(d, 12 / 36)[3] <= 0.05 for d in gaps])
    plain = np.mean([corrected_interval(d, 0.0)[3] <= 0.05 for d in gaps])
    assert corrected < 0.09  # the correction is not exact, but near
    assert plain > 3 * corrected  # the plain t test is far too sure


def test_the_bootstrap_s_error_is_that_of_the_paired_differences():
    """For the mean absolute error the standard error is known: that of the mean of paired differences."""
    n = 200
    y = RNG.normal(size=n)
    ours, theirs = y + RNG.normal(size=n), y + 1.5 * RNG.normal(size=n)
    row = bootstrap_differences(y, ours, theirs, np.zeros(n, int), ["a"], "mae", repeats=4000).tasks[0]
    d = np.abs(theirs - y) - np.abs(ours - y)
    assert row.difference == pytest.approx(d.mean())
    half = stats.t.ppf(0.975, n - 1) * d.std(ddof=1) / np.sqrt(n)
    assert (row.high - row.low) / 2 == pytest.approx(half, rel=0.06)
    assert row.p == pytest.approx(stats.ttest_1samp(d, 0).pvalue, rel=0.5)


def test_the_bootstrap_covers_what_it_says():
    """Fixed predictors, 300 sets of 25 test rows in each of two tasks: the interval holds the true difference."""
    rng, truth, hits = np.random.default_rng(3), np.sqrt(1.44) - 1.0, np.zeros(2)
    for seed in range(300):
        y = rng.normal(size=50)
        found = bootstrap_differences(
            y,
            y + rng.normal(size=50),
            y + 1.2 * rng.normal(size=50),
            np.repeat([0, 1], 25),
            "ab",
            repeats=150,
            seed=seed,
        )
        hits += [found.tasks[0].low <= truth <= found.tasks[0].high, found.overall.low <= truth <= found.overall.high]
    assert (hits / 300 > 0.9).all()


def test_the_bootstrap_knows_that_the_labels_of_one_row_share_its_error():
    """Twelve columns, two equally good models, errors of a row alike: a verdict about as rarely as promised."""
    rng, verdicts, sets = np.random.default_rng(0), 0, 200
    for seed in range(sets):
        y = rng.normal(size=(60, 12))
        ours, theirs = (y + rng.normal(size=(60, 1)) + 0.3 * rng.normal(size=y.shape) for _ in range(2))
        found = bootstrap_differences(y, ours, theirs, None, range(12), repeats=100, seed=seed)
        verdicts += found.overall.verdict != "no difference shown"
    assert verdicts / sets < 0.09


def test_the_bootstrap_of_whole_rows_has_the_error_of_row_means():
    """The mean absolute error over columns is a mean over rows, of which the standard error is known."""
    y = RNG.normal(size=(80, 5))
    guess = y + RNG.normal(size=(80, 1)) + 0.5 * RNG.normal(size=y.shape)
    rows = bootstrap_scores(y, guess, None, "abcde", ["mae"], repeats=4000)
    means = np.abs(guess - y).mean(1)
    half = stats.t.ppf(0.975, 79) * means.std(ddof=1) / np.sqrt(80)
    (whole,) = [row for row in rows if row["task"] == ALL]
    assert (whole["value"], whole["n"]) == (pytest.approx(means.mean()), 400)
    assert (whole["high"] - whole["low"]) / 2 == pytest.approx(half, rel=0.06)
    # The same labels one under the other, with holes: `rows` says which belong together.
    hole = RNG.random(y.shape) < 0.2
    row, code = np.nonzero(~hole)
    long = bootstrap_scores(y[~hole], guess[~hole], code, "abcde", ["mae", "r2"], rows=row, repeats=50)
    wide = bootstrap_scores(np.where(hole, np.nan, y), guess, None, "abcde", ["mae", "r2"], repeats=50)
    assert long == wide
    assert bootstrap_scores(y[~hole], guess[~hole], code, "abcde", ["mae"], repeats=50) != long[:6]


def test_equal_differences_are_no_evidence():
    """That two splits agree to the last digit is luck: it gives neither an interval nor a verdict."""
    for d in ([0.3, 0.3], [0.1 + 0.2, 0.3, 0.3]):
        mean, low, high, p = corrected_interval(d, 1 / 3)
        assert mean == pytest.approx(0.3)
        assert np.isnan([low, high, p]).all()
    assert corrected_interval([0.0, 0.0], 1 / 3) == (0.0, 0.0, 0.0, 1.0)


def test_overall_rows_of_the_bootstrap_are_the_table_s():
    codes = RNG.integers(3, size=60)
    y = RNG.normal(size=60) + codes
    ours, theirs = y + RNG.normal(size=60), y + RNG.normal(size=60)
    for metric, whole in (("r2", "explained_variance_within"), ("rmse", "explained_variance_global")):
        found = bootstrap_differences(y, ours, theirs, codes, "abc", metric, overall=whole, repeats=20)
        a, b = ({(r["task"], r["metric"]): r["value"] for r in evaluate(y, p, codes, "abc")} for p in (ours, theirs))
        assert found.overall.difference == pytest.approx(a[ALL, whole] - b[ALL, whole])
        assert found.tasks[1].value == pytest.approx(a["b", metric])


def test_delta_m_by_hand():
    value = {"single": [[2.0, 4.0], [1.0, 0.0]], "joint": [[1.0, 4.0], [1.5, 3.0]]}
    rows = [
        {"method": m, "task": t, "metric": "rmse", "split": str(s), "better": "lower", "value": value[m][s][k]}
        | {"n": 5, "n_train": 15}
        for m in value
        for s in range(2)
        for k, t in enumerate("ab")
    ] + [
        {"method": "joint", "task": ALL, "metric": "rmse", "split": str(s), "better": "lower", "value": 0.0}
        | {"n": 10, "n_train": 30}
        for s in range(2)
    ]
    found = delta_m(Scores.of(rows), "joint", "single")
    # Second split: the baseline of b makes no error, so that its relative change is not defined.
    assert found.per_split == {"0": 0.25, "1": -0.5}
    assert found.left_out == 1
    assert (found.value, found.low, found.high, found.p) == pytest.approx(corrected_interval([0.25, -0.5], 1 / 3))


def test_delta_m_leaves_out_constant_targets_and_errors_that_are_rounding():
    value = {"single": [2.0, 1e-16, 1e-13], "joint": [1.0, 0.5, 0.5]}
    rows = [
        {"method": m, "task": t, "metric": "rmse", "split": "0", "better": "lower", "value": value[m][k]}
        for m in value
        for k, t in enumerate("abc")
    ]
    support = [Support("a", 9, 6, 3, size=3.0), Support("b", 9, 6, 3, constant=True, size=0.1)]
    support += [Support("c", 9, 6, 3, size=100.0)]
    found = delta_m(Scores.of(rows), "joint", "single", support=support)
    assert (found.value, found.left_out, found.tasks_left_out) == (0.5, 2, ("b", "c"))
