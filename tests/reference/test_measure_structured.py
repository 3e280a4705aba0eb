"""Metrics of every kind against scikit-learn, seqeval, pycocotools' twin and torchmetrics; and intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchmetrics.functional.classification as by_torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from seqeval.metrics import f1_score as entity_f1
from sklearn import metrics as sk

from relatask.kinds import registry
from relatask.measure import (
    METRICS,
    Scores,
    compare_task,
    differences,
    evaluate,
    evaluate_task,
    paired_bootstrap,
    paired_bootstrap_seeds,
    score_of,
    verdict_words,
)
from relatask.measure.catalogue import FURTHER, FURTHER_WORDS, metric_named
from relatask.measure.structured import METRICS_OF
from relatask.notices import InputError

SEEDS = st.integers(0, 10**6)


def values(kind, y, answers, **options):
    return {row["metric"]: row["value"] for row in evaluate_task(kind, y, answers, **options)}


def chances(rng, n, classes):
    """Chances, some of them equal, and labels that have something to do with them."""
    p = rng.dirichlet(np.ones(classes), n).round(2) + 0.01
    p /= p.sum(1, keepdims=True)
    return p, (p.cumsum(1) < rng.random((n, 1))).sum(1).clip(max=classes - 1)


@pytest.mark.parametrize("kind", list(METRICS_OF))
def test_every_kind_has_the_metrics_it_says_with_their_directions(kind):
    told = registry()[kind].metrics
    assert dict(told) == {name: metric_named(name).better for name in METRICS_OF[kind]}


def test_every_further_metric_has_words_and_a_kind():
    assert set(FURTHER) == set(FURTHER_WORDS)
    assert set(FURTHER) <= {name for of_kind in METRICS_OF.values() for name in of_kind}


@given(SEEDS)
def test_classes_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    p, y = chances(rng, 40, 4)
    found, guess = values("multiclass", y, p), p.argmax(1)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, guess))
    assert found["error_rate"] == pytest.approx(1 - sk.accuracy_score(y, guess))
    assert found["balanced_accuracy"] == pytest.approx(sk.recall_score(y, guess, average="macro", labels=np.unique(y)))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(y, guess, average="macro"))
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, p, labels=range(4)))


@given(SEEDS)
def test_calibration_errors_are_those_of_torchmetrics(seed):
    rng = np.random.default_rng(seed)  # chances at the edge of a bin may fall on either side of it: none is there
    p, y = rng.dirichlet(np.ones(4), 40), rng.integers(0, 4, 40)
    ece = by_torch.multiclass_calibration_error(torch.tensor(p), torch.tensor(y), 4, n_bins=15)
    assert values("multiclass", y, p, metrics=["ece"])["ece"] == pytest.approx(float(ece), abs=1e-6)
    ece = by_torch.binary_calibration_error(torch.tensor(p[:, 0]), torch.tensor(y == 0).long(), n_bins=15)
    assert values("binary", y == 0, p[:, 0], metrics=["ece"])["ece"] == pytest.approx(float(ece), abs=1e-6)


@given(SEEDS)
def test_two_classes_are_those_of_scikit_learn_and_of_studies(seed):
    rng = np.random.default_rng(seed)
    p = rng.random(50).round(1) * 0.98 + 0.01
    y = np.append(rng.random(48) < p[:48], [0, 1]).astype(float)
    found = values("binary", y, p)
    assert found["auc"] == pytest.approx(sk.roc_auc_score(y, p))
    assert found["average_precision"] == pytest.approx(sk.average_precision_score(y, p))
    shared = {row["metric"]: row["value"] for row in evaluate(y, p, np.zeros(50, int), ["a"], kinds="binary")[::-1]}
    for name in ("log_loss", "auc", "error_rate", "brier"):
        assert found[name] == pytest.approx(shared[name], abs=1e-12)


@given(SEEDS)
def test_numbers_and_counts_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    y, guess = rng.normal(5, 1, (2, 30))
    found = values("regression", np.append(y, np.nan), np.append(guess, 7.0))
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(y, guess))
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(y, guess))
    assert found["r2"] == pytest.approx(sk.r2_score(y, guess))
    mean = rng.uniform(0.1, 4, 30)
    count = rng.poisson(mean).astype(float)
    found = values("count", count, mean)
    assert found["poisson_deviance"] == pytest.approx(sk.mean_poisson_deviance(count, mean))
    assert found["d2"] == pytest.approx(sk.d2_tweedie_score(count, mean, power=1))


@given(SEEDS)
def test_correlations_are_those_of_scipy(seed):
    rng = np.random.default_rng(seed)
    y, cosine = rng.normal(size=(2, 30)).round(1)
    found = values("similarity", np.append(y, np.nan), np.append(cosine, 0))
    assert found["spearman"] == pytest.approx(stats.spearmanr(y, cosine).statistic)
    assert found["pearson"] == pytest.approx(stats.pearsonr(y, cosine).statistic)


@given(SEEDS)
def test_subsets_are_those_of_scikit_learn_entry_by_entry(seed):
    rng = np.random.default_rng(seed)
    p = rng.random((40, 3)).round(1) * 0.98 + 0.01
    y = (rng.random((40, 3)) < p).astype(float)
    y[:2] = [[0] * 3, [1] * 3]
    whole = values("multilabel", y, p)
    assert whole["macro_auc"] == pytest.approx(sk.roc_auc_score(y, p, average="macro"))
    assert whole["macro_average_precision"] == pytest.approx(sk.average_precision_score(y, p, average="macro"))
    y[rng.random((40, 3)) < 0.2] = np.nan
    y[:2] = [[0] * 3, [1] * 3]
    seen, found = ~np.isnan(y), values("multilabel", y, p)
    assert found["micro_f1"] == pytest.approx(sk.f1_score(y[seen], p[seen] > 0.5))
    assert found["log_loss"] == pytest.approx(sk.log_loss(y[seen], p[seen]))
    by_column = [sk.roc_auc_score(y[s, k], p[s, k]) for k, s in enumerate(seen.T)]
    assert found["macro_auc"] == pytest.approx(np.mean(by_column))


@given(SEEDS)
def test_classes_in_order_are_those_of_scikit_learn(seed):
    p, y = chances(np.random.default_rng(seed), 40, 5)
    median = np.array([np.flatnonzero(row.cumsum() >= 0.5)[0] for row in p])
    found = values("ordinal", y, p)
    assert found["mae"] == pytest.approx(np.abs(y - median).mean())
    assert found["quadratic_kappa"] == pytest.approx(sk.cohen_kappa_score(y, median, weights="quadratic"))


def test_entities_and_tokens_with_numbers_names_and_padding():
    names = ("O", "B-a", "I-a", "B-b")
    y = np.array([[1, 2, 0, 3], [0, 1, -100, -100], [-100] * 4])
    told = [[1, 2, 0, 1], [0, 1, 2, 2], [3, 3, 3, 3]]
    plain = [[[names[t] for t in row[:n]] for row, n in zip(side, (4, 2), strict=False)] for side in (y, told)]
    found = values("tagging", y, told, class_names=names)
    assert found == {"entity_f1": pytest.approx(entity_f1(*plain)), "accuracy": pytest.approx(5 / 6)}
    assert values("tagging", *plain) == found
    assert list(values("tagging", y, told)) == ["accuracy"]
    rows = evaluate_task("tagging", y, told, class_names=names)
    assert [row["n"] for row in rows] == [6, 6]


@given(SEEDS)
def test_pixels_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    y, told = rng.integers(0, 4, (2, 3, 5, 6))
    y[rng.random(y.shape) < 0.2] = -100
    seen = y != -100
    found = values("segmentation", y, list(told))
    assert found["miou"] == pytest.approx(sk.jaccard_score(y[seen], told[seen], average="macro"))
    assert found["accuracy"] == pytest.approx((y == told)[seen].mean())


def example(kind, rng, n=30):
    """Labels, some missing, and answers of two methods."""
    if kind in ("multiclass", "ordinal"):
        (p, y), (q, _) = chances(rng, n, 3), chances(rng, n, 3)
        return np.where(rng.random(n) < 0.2, -100, y), p, q
    if kind == "multilabel":
        y = rng.integers(0, 2, (n, 3)).astype(float)
        return np.where(rng.random((n, 3)) < 0.2, np.nan, y), rng.random((n, 3)), rng.random((n, 3))
    if kind == "tagging":
        y = np.where(rng.random((n, 6)) < 0.2, -100, rng.integers(0, 3, (n, 6)))
        return y, rng.integers(0, 3, (n, 6)).tolist(), rng.integers(0, 3, (n, 6)).tolist()
    if kind == "segmentation":
        y = np.where(rng.random((n, 4, 4)) < 0.2, -100, rng.integers(0, 3, (n, 4, 4)))
        return y, list(rng.integers(0, 3, (n, 4, 4))), list(rng.integers(0, 3, (n, 4, 4)))
    if kind == "detection":
        corner = rng.uniform(0, 50, (n, 2, 2))
        truth = [{"boxes": np.concatenate([c, c + 20], 1), "labels": np.array([0, 1])} for c in corner]
        shaken = [
            [{**one, "boxes": one["boxes"] + rng.normal(0, size, (2, 4)), "scores": rng.random(2)} for one in truth]
            for size in (1, 3)
        ]
        return [None, *truth[1:]], *shaken
    y = rng.integers(0, 2, n).astype(float)
    return np.where(rng.random(n) < 0.2, np.nan, y), rng.random(n), rng.random(n)


CASES = [(kind, name) for kind, of_kind in METRICS_OF.items() for name in of_kind]


@pytest.mark.parametrize(("kind", "metric"), CASES)
def test_a_metric_on_drawn_rows_is_that_of_the_rows_given_again(kind, metric):
    rng = np.random.default_rng(3)
    y, answers, _ = example(kind, rng)
    names = ("O", "B-a", "I-a") if kind == "tagging" else None
    rows = rng.integers(0, len(y), 40)
    score = score_of(kind, metric, y, class_names=names)
    again = [[side[i] for i in rows] for side in (y, answers)]
    if kind != "detection" and kind != "segmentation" and kind != "tagging":
        again = [np.array(side) for side in again]
    told = evaluate_task(kind, *again, [metric], class_names=names)[0]
    assert score(rows, score.prepare(answers)) == pytest.approx(told["value"], abs=1e-9)


@pytest.mark.parametrize(("kind", "metric"), CASES)
def test_what_stands_where_a_label_is_missing_does_not_matter(kind, metric):
    rng = np.random.default_rng(4)
    y, answers, other = example(kind, rng)
    names = ("O", "B-a", "I-a") if kind == "tagging" else None
    if kind == "detection":
        changed = [new if label is None else old for label, old, new in zip(y, answers, other, strict=True)]
    else:
        missing = np.isnan(y) if np.asarray(y).dtype.kind == "f" else y == -100
        told, new = np.asarray(answers), np.asarray(other)
        changed = np.where(missing.reshape(missing.shape + (1,) * (told.ndim - missing.ndim)), new, told)
        assert (changed != told).any()
    options = {"metrics": [metric], "class_names": names}
    assert evaluate_task(kind, y, changed, **options) == evaluate_task(kind, y, answers, **options)


@pytest.mark.parametrize(
    ("kind", "y", "answers", "metrics", "match"),
    [
        ("colour", [1], [1], None, r"kind 'colour' is unknown; expected one of regression"),
        ("binary", [1], [0.5], ["rmse"], r"'rmse' is not one of kind binary; expected some of log_loss"),
        ("regression", [1.0, 2], [1.0], None, r"there are 2 labels and 1 answers"),
        ("multiclass", [0, 1], [0, 1], None, r"answers of kind multiclass have shape \(2,\); expected \(n, classes\)"),
        ("multiclass", [0, 2], [[0.5, 0.5]] * 2, None, r"a label is 2, and answers are of 2 classes; expected 0 to 1"),
        ("tagging", [["O", "O"]], [["O"]], None, r"sentence 0 has 2 tokens and 1 tags told"),
        ("tagging", [[0, 1]], [[0, 1]], ["entity_f1"], r"entity_f1 reads the tags' names"),
        ("segmentation", np.zeros((1, 2, 2), int), np.zeros((1, 2, 3), int), None, r"picture 0: labels \(2, 2\)"),
    ],
)
def test_what_does_not_fit_is_refused(kind, y, answers, metrics, match):
    with pytest.raises(InputError, match=match):
        evaluate_task(kind, y, answers, metrics)


def test_one_row_has_no_interval():
    with pytest.raises(InputError, match="1 rows and 1000 draws"):
        paired_bootstrap(lambda rows, p: float(p[rows].mean()), 1, np.ones(1), np.ones(1))


def accuracy(rows, right):
    return float(right[rows].mean())


def test_the_standard_error_of_a_mean_is_the_one_of_the_book():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 300))
    found = paired_bootstrap(accuracy, 300, a, b, draws=4000)
    test = stats.ttest_rel(a, b)
    low, high = test.confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)
    assert found.p == pytest.approx(test.pvalue, abs=0.02)


@pytest.mark.parametrize("gain", [0.0, 0.06])
def test_intervals_of_one_test_set_cover(gain):
    rng = np.random.default_rng(1)
    n, times, inside, helped, hurt = 150, 300, 0, 0, 0
    for k in range(times):
        hard = rng.random(n)  # rows are hard for both
        a, b = ((hard + 0.3 * rng.random(n) > level).astype(float) for level in (0.5 - gain, 0.5))
        found = paired_bootstrap(accuracy, n, a, b, draws=200, seed=k)
        inside += found.low <= gain <= found.high
        helped, hurt = helped + (found.verdict == "helped"), hurt + (found.verdict == "hurt")
    assert 0.92 <= inside / times <= 0.98
    assert (helped + hurt if gain == 0 else hurt) / times <= 0.08
    assert gain == 0 or helped / times > 0.5


def test_intervals_over_seeds_cover_what_another_training_would_give():
    rng = np.random.default_rng(2)
    n, times, both, rows_only = 200, 300, 0, 0
    for k in range(times):
        row = rng.normal(size=n)
        a, b = ([row + rng.normal() * 0.15 + rng.normal(size=n) for _ in range(4)] for _ in range(2))
        both += (
            abs((found := paired_bootstrap_seeds(accuracy, n, a, b, draws=100, seed=k)).difference)
            <= found.high - found.difference
        )
        alone = paired_bootstrap(accuracy, n, np.mean(a, 0), np.mean(b, 0), draws=100, seed=k)
        rows_only += alone.low <= 0 <= alone.high
    assert 0.92 <= both / times <= 0.985
    assert rows_only / times < 0.9  # which is why the seeds' own variance is added


def test_methods_that_tell_the_same_show_no_difference():
    rng = np.random.default_rng(0)
    y, answers, _ = example("detection", rng)
    found = compare_task("detection", y, [answers], [answers], draws=20)
    assert (found.name, found.difference, found.p, found.verdict, found.n) == ("map", 0, 1, "no difference shown", 29)


def test_the_direction_of_the_metric_is_heeded_and_draws_are_of_their_seed():
    rng = np.random.default_rng(0)
    y = rng.normal(size=100)
    near, far = ([y + size * rng.normal(size=100) for _ in range(2)] for size in (0.3, 1))
    better = compare_task("regression", y, near, far, draws=200)
    worse = compare_task("regression", y, far, near, draws=200)
    assert (better.verdict, worse.verdict, better.name) == ("helped", "hurt", "rmse")
    assert better.difference == -worse.difference > 0
    assert better == compare_task("regression", y, near, far, draws=200)
    assert better != compare_task("regression", y, near, far, draws=200, seed=1)
    assert better.seeds == (2, 2)


def test_scores_of_a_net_are_compared_over_splits_as_any_others():
    rows = [
        {"method": m, "task": task, "metric": "entity_f1", "split": str(k), "value": v + 0.01 * k, "better": "higher"}
        | {"n": 10, "n_train": 40}
        for m, v in (("joint", 0.9), ("single", 0.8))
        for task in ("slots", "(all tasks)")
        for k in (0, 1, 3 if m == "joint" else 2)
    ]
    for row in rows:
        row["split"] = {"3": "2"}.get(row["split"], row["split"])
    found = differences(Scores.of(rows), "joint", "single", "entity_f1")
    assert found["slots"].verdict == "helped"
    assert "F1 of the entities" in verdict_words(found)
    assert not set(FURTHER) & set(METRICS)
    with pytest.raises(InputError, match="'entity_f1' is not one of tasks of kind regression"):
        evaluate([1.0], [1.0], [0], metrics=["entity_f1"])
