"""Laws of differences, delta-m and checks: symmetry, independence of other methods, and what the words say."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relatask.measure import (
    ALL,
    Note,
    Scores,
    Support,
    benjamini_hochberg,
    best_single,
    bootstrap_differences,
    check_convergence,
    check_negative_transfer,
    check_repeats,
    check_support,
    check_task_matrix,
    delta_m,
    differences,
    verdict_words,
)
from relatask.notices import InputError

seeds = st.integers(0, 10_000)


def scores(seed=0, gain=0.0, splits=6, tasks=5, methods=("single", "joint"), metric="rmse"):
    """`joint` is better by `gain` on average; each split has its own level."""
    rng = np.random.default_rng(seed)
    better = "lower" if metric == "rmse" else "higher"
    sign = -1 if metric == "rmse" else 1
    rows = []
    for s in range(splits):
        level = 5 + rng.normal()
        for name in [*(f"t{k}" for k in range(tasks)), ALL]:
            for method in methods:
                value = level + rng.normal() * 0.02 + (sign * gain if method == "joint" else 0.0)
                rows.append(
                    {"method": method, "task": name, "metric": metric, "split": f"s{s}", "better": better}
                    | {"value": value, "n": 10, "n_train": 30}
                )
    return Scores.of(rows)


@given(seeds)
def test_swapping_the_methods_turns_the_sign(seed):
    table = scores(seed, gain=0.2)
    there, back = differences(table, "joint", "single"), differences(table, "single", "joint")
    for a, b in zip(there, back, strict=True):
        assert (a.difference, a.low, a.high, a.p, a.q) == pytest.approx((-b.difference, -b.high, -b.low, b.p, b.q))
        assert {a.verdict, b.verdict} in ({"helped", "hurt"}, {"no difference shown"})


@given(seeds)
def test_positive_is_better_whichever_way_the_metric_points(seed):
    lower, higher = scores(seed, gain=0.5), scores(seed, gain=0.5, metric="r2")
    higher = replace(higher, metric=np.where(higher.task == ALL, "explained_variance_within", higher.metric))
    for table, metric in ((lower, "rmse"), (higher, "r2")):
        found = differences(table, "joint", "single", metric)
        assert all(row.difference > 0 and row.verdict == "helped" for row in found)
        assert found.count("helped") == 5


@given(seeds)
def test_adding_a_method_changes_no_other_comparison(seed):
    table = scores(seed)
    more = Scores.concat([scores(seed + 1, methods=("other",)), table])
    assert differences(table, "joint", "single") == differences(more, "joint", "single")
    assert delta_m(table, "joint", "single") == delta_m(more, "joint", "single")


@given(seeds)
def test_permuting_rows_of_the_table_changes_only_the_order(seed):
    table = scores(seed)
    order = np.random.default_rng(seed).permutation(len(table))
    shuffled = Scores(**{name: getattr(table, name)[order] for name in table.__dataclass_fields__})
    ours, theirs = differences(table, "joint", "single"), differences(shuffled, "joint", "single")
    by_name = {row.task: row for row in theirs}
    for row in ours:
        assert row.difference == pytest.approx(by_name[row.task].difference)
        assert row.q == pytest.approx(by_name[row.task].q)


def test_a_method_against_itself_shows_nothing():
    table = scores()
    twin = replace(table.where(method="single"), method=np.full(len(table) // 2, "twin", dtype=object))
    twin = replace(twin, value=twin.value * (1 + 1e-15))
    found = differences(Scores.concat([table, twin]), "twin", "single")
    assert all(row.difference == 0 and row.p == 1 and row.verdict == "no difference shown" for row in found)


def test_seeds_of_one_split_are_not_independent_splits():
    table = scores(gain=0.05)
    again = [replace(table, seed=np.full(len(table), seed)) for seed in range(5)]
    assert differences(Scores.concat(again), "joint", "single").rows() == [
        pytest.approx(row) for row in differences(table, "joint", "single").rows()
    ]


def test_splits_where_one_score_is_absent_are_left_out():
    table = scores()
    gone = (table.method == "joint") & (table.task == "t0") & (table.split == "s0")
    value = np.where((table.method == "single") & (table.task == "t1") & (table.split == "s1"), np.nan, table.value)
    table = replace(table, value=value)
    table = Scores(**{name: getattr(table, name)[~gone] for name in table.__dataclass_fields__})
    assert [row.n for row in differences(table, "joint", "single")] == [5, 5, 6, 6, 6, 6]
    assert delta_m(table, "joint", "single").left_out == 2


def test_one_split_shows_nothing_without_predictions():
    found = differences(scores(splits=1, gain=3.0), "joint", "single")
    assert all(np.isnan(row.low) and row.verdict == "no difference shown" for row in found)
    assert "without an interval" in verdict_words(found)


def test_two_equal_splits_show_nothing():
    table = scores(splits=2)
    table = replace(table, value=np.where(table.method == "joint", 2.0, 3.0))
    found = differences(table, "joint", "single")
    assert all(row.difference == 1 and np.isnan(row.low) and row.verdict == "no difference shown" for row in found)
    assert "that alone shows nothing" in verdict_words(found)
    assert "noise can make" not in verdict_words(found)


@given(st.lists(st.floats(0, 1), max_size=30))
def test_corrected_p_values_keep_order_and_never_shrink(p):
    q = benjamini_hochberg(p)
    assert (q >= np.array(p) - 1e-15).all()
    assert (q <= 1).all()
    assert (np.diff(q[np.argsort(p, kind="stable")]) >= 0).all()
    gaps = benjamini_hochberg([*p, np.nan])
    assert np.isnan(gaps[-1])
    np.testing.assert_array_equal(gaps[:-1], q)


@given(seeds)
def test_the_bootstrap_pairs_rows_and_ignores_missing_labels(seed):
    rng = np.random.default_rng(seed)
    y, codes = rng.normal(size=60), np.repeat([0, 1], 30)
    ours, theirs = y + rng.normal(size=60) * 0.3, y + rng.normal(size=60)
    found = bootstrap_differences(y, ours, theirs, codes, ["a", "b"], repeats=50)
    hole = np.append(y, np.nan)
    more = bootstrap_differences(hole, [*ours, 0.0], [*theirs, 9.0], [*codes, 1], ["a", "b"], repeats=50)
    assert found == more
    back = bootstrap_differences(y, theirs, ours, codes, ["a", "b"], repeats=50)
    assert [row.difference for row in found] == pytest.approx([-row.difference for row in back])
    assert [row.p for row in found] == pytest.approx([row.p for row in back])
    same = bootstrap_differences(y, ours, ours, codes, ["a", "b"], repeats=50)
    assert all(row.difference == 0 and row.p == 1 for row in same)


def test_the_bootstrap_of_tasks_too_small_for_it():
    found = bootstrap_differences([1.0, 2.0, 3.0, 3.0], [1.0] * 4, [2.0] * 4, [0, 1, 1, 1], ["one", "three"], "r2")
    assert np.isnan(found.tasks[0].p)  # one row: neither r2 nor an interval
    assert found.tasks[0].verdict == "no difference shown"
    assert found.tasks[1].n == 3


def test_bad_comparisons():
    table = scores()
    with pytest.raises(InputError, match="no scores of the method 'jiont'; the table has single, joint"):
        differences(table, "jiont", "single")
    with pytest.raises(InputError, match="unknown metric"):
        differences(table, "joint", "single", "acuracy")
    blind = replace(table, n_train=np.zeros(len(table)))
    for ask in (differences, delta_m):
        with pytest.raises(InputError, match="n_train"):
            ask(blind, "joint", "single")
    assert differences(blind, "joint", "single", ratio=1 / 3) == differences(table, "joint", "single")
    with pytest.raises(InputError, match="'r2' is not an error of one task; expected one of rmse, mae"):
        delta_m(table, "joint", "single", "r2")
    with pytest.raises(InputError, match="none of \\['lonely'\\] has a score"):
        best_single(table, ["lonely"], "rmse")


def test_words_for_help_harm_and_nothing():
    helped = differences(scores(gain=1.0), "joint", "single")
    assert "helped 5 of 5 tasks and hurt none" in verdict_words(helped)
    assert "fell from" in verdict_words(helped)
    assert re.search(r"better by (0\.9|1)", verdict_words(helped))
    hurt = differences(scores(gain=-1.0), "joint", "single")
    assert "helped 0 of 5 tasks and hurt 5 (" in verdict_words(hurt)
    assert re.search(r"worse by (0\.9|1)", verdict_words(hurt))
    nothing = verdict_words(differences(scores(), "joint", "single"))
    assert "For none of the 5 tasks by itself could a difference be shown" in nothing
    assert "no more than noise can make" in nothing


def test_the_gain_is_taken_apart_honestly():
    def with_slopes(gain, joint=1.0):
        base = scores(0, gain=joint)
        ours = base.where(method="single")
        slopes = replace(
            ours,
            method=np.full(len(ours), "slopes", dtype=object),
            value=ours.value - gain + np.random.default_rng(5).normal(size=len(ours)) * 0.02,
        )
        table = Scores.concat([base, slopes])
        found, part = differences(table, "joint", "single"), differences(table, "slopes", "single")
        return verdict_words(found, slopes=part, beyond=differences(table, "joint", "slopes"))

    assert re.search(r"Most of that gain \((79|8\d)%\)", with_slopes(0.8))
    assert "what joint adds to them is" in with_slopes(0.8)
    assert re.search(r"Part of that gain \((29|3\d)%\)", with_slopes(0.3))
    assert "None of that gain" in with_slopes(-0.5)
    assert "the relation costs more than it gives" in with_slopes(2.0)
    assert "could not be shown" in with_slopes(1.0)
    assert "gain" not in with_slopes(-1.0, joint=-1.0)
    assert "No difference to common slopes with own intercepts" in with_slopes(0.003, joint=0.005)
    assert "It does better than common slopes" in with_slopes(-1.0, joint=0.005)


def test_words_name_a_better_pooled_model_the_choice_of_baseline_and_one_split():
    found = differences(scores(gain=1.0), "joint", "single")
    pooled = differences(scores(gain=-1.0), "joint", "single")
    text = verdict_words(found, singles=("single", "single_raw"), pooled=pooled)
    assert "One pooled model (single, " in text
    assert "2 single-task baselines ran; the better one overall, single, is used here." in text
    y = np.arange(20.0)
    once = bootstrap_differences(y, y + 1, y - 1, np.zeros(20, int), ["a"])
    assert "One split only" in verdict_words(once)


def test_checks_have_codes_tasks_and_remedies():
    worse = check_negative_transfer(differences(scores(gain=-1.0), "joint", "single"))
    assert [check.code for check in worse] == ["RT001"] * 5
    assert re.search(r"joint is worse than single by (0\.9|1)", worse[0].message)
    assert not check_negative_transfer(differences(scores(gain=1.0), "joint", "single"))

    few = [
        Support("fine", 40, 30, 10),
        Support("small", 6, 4, 2),
        Support("one", 1, 1, 0, absent=0, untested=3, constant=True),
        Support("flat", 40, 30, 10, constant=True),
        Support("gone", 40, 30, 10, absent=2),
    ]
    said = {check.task: check.message for check in check_support(few)}
    assert set(said) == {"small", "one", "flat", "gone"}
    assert "as few as 4 training" in said["small"]
    assert "1 observed label;" in said["one"]
    assert "all equal" in said["flat"]
    assert "absent from the training rows of 2 splits" in said["gone"]

    assert [check.code for check in check_repeats(scores(splits=1))] == ["RT014"]
    assert not check_repeats(scores())

    notes = [Note("RT015", "joint", f"s{s}", 0, "gap 1e-3 > 1e-6") for s in range(3)] + [Note("RT017", "x", "s", 0, "")]
    assert [(check.code, "3 cells (gap" in check.message) for check in check_convergence(notes)] == [("RT015", True)]


def test_a_task_matrix_that_pushes_related_tasks_apart():
    alike = np.array([[1.0, 0.6, 0.2], [0.6, 1.0, 0.6], [0.2, 0.6, 1.0]])
    for kind in ("precision", "trace form"):
        assert "pushes those tasks apart" in check_task_matrix(alike, kind)[0].message
    assert not check_task_matrix(alike, "kernel")
    laplacian = np.diag([1.0, 2.0, 1.0]) - np.eye(3, k=1) - np.eye(3, k=-1)
    assert not check_task_matrix(laplacian, "precision")
    bad = check_task_matrix(np.array([[1.0, -2.0], [-2.0, 1.0]]), "precision")
    assert "smallest eigenvalue -1" in bad[0].message


def test_differences_are_told_shortly_and_found_by_position_and_name():
    found = differences(scores(gain=1.0, tasks=40), "joint", "single")
    assert len(repr(found)) < 250
    assert "'joint' against 'single', 40 tasks by rmse: 40 helped, 0 no difference shown, 0 hurt" in repr(found)
    assert found[0] is found["t0"] is found.tasks[0]
    assert found[-1] is found[ALL] is found.overall
    with pytest.raises(InputError, match=r"no task 'x'; expected one of 't0', .*40 tasks"):
        found["x"]
    with pytest.raises(IndexError):
        found[41]


@pytest.mark.parametrize("ask", [differences, delta_m])
def test_the_work_grows_with_the_tasks_and_no_faster(ask, monkeypatch):
    table, calls = scores(tasks=60), []

    def counted(values):
        calls.append(1)
        return list(dict.fromkeys(values.tolist()))

    monkeypatch.setattr("relatask.measure.scores.distinct", counted)
    ask(table, "joint", "single")
    assert len(calls) < 20
