"""Laws of the words over all tasks: what rounding hides is not told as a change, nor a bad score as a good one."""

import numpy as np

from relatask.measure import ALL, Scores, differences, verdict_words


def overall_words(baseline, method, metric="explained_variance_within", spread=1e-5):
    """The verdict of scores over all tasks that are about these."""
    noise = np.random.default_rng(0).normal(size=5) * spread
    noise -= noise.mean()
    rows = [
        {"method": name, "task": task, "metric": metric if task == ALL else "rmse", "split": str(s), "n": 9}
        | {"value": value + (noise[s] if name == "joint" else 0), "better": "higher", "n_train": 30}
        for name, value in (("single", baseline), ("joint", method))
        for task in ("a", ALL)
        for s in range(5)
    ]
    return verdict_words(differences(Scores.of(rows), "joint", "single", overall=metric))


def test_what_rounding_makes_equal_stayed():
    words = overall_words(0.70102, 0.70098)
    assert "stayed at 70.1% (difference 0.0 points, 95% interval 0.0 to 0.0)" in words
    assert "worse by 0.0" not in words
    assert "stayed at 70.1% (worse by 0.1 points" in overall_words(0.70139, 0.70061)
    assert "fell from 70.1% to 70.0% (difference 0.0 points" in overall_words(0.70051, 0.70049)
    assert "rose from 70.1% to 75.0% (better by 4.9 points" in overall_words(0.701, 0.75)


def test_a_gain_below_zero_is_told_as_what_it_is():
    words = overall_words(-0.61, -0.15)
    assert "sharing helped: explained variance within tasks rose from -61.0% to -15.0%" in words
    assert "Below 0% both are worse than predicting each task's own test mean." in words
    assert "the mean of all test rows" in overall_words(-0.61, -0.15, "explained_variance_global")
    assert "in the mean of the tasks" in overall_words(-0.2, -0.2, "r2_mean_of_tasks", 0.0)
    assert "Below 0%" not in overall_words(-0.61, 0.15)
