"""Losses of kinds against torch's own, scipy's distributions and formulas by hand; and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cosine_embedding_loss, cross_entropy

from relatask.kinds import (
    PixelHead,
    ProportionalOdds,
    check_target,
    check_tasks,
    contrastive,
    labelled,
    registry,
    resolved,
    row_losses,
)
from relatask.notices import InputError
from relatask.tasks import Task

NAN = float("nan")
SEEDS = st.integers(0, 10**6)
Z = torch.tensor([[-2.0], [0.3], [4.0]], dtype=torch.double)


def test_regression_is_the_square():
    assert row_losses(Task("t"), torch.tensor([[1.0], [3.0]]), torch.tensor([2.0, 0.5])).tolist() == [1.0, 6.25]


def test_two_classes_are_the_cross_entropy_of_two_logits():
    y = torch.tensor([0.0, 1.0, 1.0]).double()
    plain = row_losses(Task("t", "binary"), Z, y)
    torch.testing.assert_close(plain, binary_cross_entropy_with_logits(Z[:, 0], y, reduction="none"))
    weight, smooth = (0.3, 2.0), 0.2
    found = row_losses(Task("t", "binary", class_weight=weight, label_smoothing=smooth), Z, y)
    logits = torch.cat([torch.zeros_like(Z), Z], 1)
    expected = cross_entropy(logits, y.long(), torch.tensor(weight).double(), reduction="none", label_smoothing=smooth)
    torch.testing.assert_close(found, expected)


def test_subsets_are_torchs_loss_with_weights_of_ones():
    rng = np.random.default_rng(0)
    z, y = torch.tensor(rng.normal(size=(5, 3))), torch.tensor(rng.integers(0, 2, (5, 3))).double()
    weight = torch.tensor([0.5, 1, 4]).double()
    found = row_losses(Task("t", "multilabel", classes=3, class_weight=(0.5, 1, 4)), z, y)
    expected = binary_cross_entropy_with_logits(z, y, pos_weight=weight, reduction="none").sum(1)
    torch.testing.assert_close(found, expected)


def test_pixels_are_torchs_loss():
    rng = np.random.default_rng(0)
    z, y = torch.tensor(rng.normal(size=(2, 3, 4, 5))), torch.tensor(rng.integers(0, 3, (2, 4, 5)))
    y[0, :2] = -100
    weight = (0.5, 1.0, 4.0)
    task = Task("t", "segmentation", classes=3, class_weight=weight, label_smoothing=0.1)
    expected = cross_entropy(z, y, torch.tensor(weight).double(), reduction="none", label_smoothing=0.1)
    torch.testing.assert_close(row_losses(task, z, y), expected.sum((1, 2)))
    assert registry()["segmentation"].counts(y).tolist() == [10, 20]
    assert PixelHead(4, 3, scale=1)(torch.zeros(1, 4, 2, 2)).shape == (1, 3, 2, 2)


@given(SEEDS)
def test_classes_in_order_have_the_chances_of_cumulative_logits(seed):
    rng = np.random.default_rng(seed)
    o = rng.normal(0, 3, (6, 3))
    y = torch.tensor(rng.integers(0, 4, 6))
    border = o[:, :1] - np.concatenate([np.zeros((6, 1)), np.cumsum(np.log1p(np.exp(o[:, 1:])) + 1e-6, 1)], 1)
    above = np.concatenate([np.ones((6, 1)), 1 / (1 + np.exp(-border)), np.zeros((6, 1))], 1)
    chance = above[:, :-1] - above[:, 1:]
    task, kind = Task("t", "ordinal", classes=4), registry()["ordinal"]
    np.testing.assert_allclose(kind.answer(torch.tensor(o), task), chance, atol=1e-12)
    found = kind.losses(torch.tensor(o), y, task)
    np.testing.assert_allclose(found, -np.log(chance[np.arange(6), y]), rtol=1e-7, atol=1e-9)


def test_classes_in_order_have_finite_losses_far_out():
    o = torch.tensor([[80.0, 1, 1], [-80.0, 1, 1], [0.0, -200, 200]], requires_grad=True)
    losses = registry()["ordinal"].losses(o, torch.tensor([0, 3, 1]), Task("t", "ordinal", classes=4))
    losses.sum().backward()
    assert losses.isfinite().all()
    assert o.grad.isfinite().all()


def test_the_head_of_proportional_odds_finds_the_model_that_made_the_labels():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 1))
    border = np.array([-1.0, 0.5, 2.0])  # P(y > k) = sigmoid(1.5 x - border_k)
    y = (rng.logistic(size=(4000, 1)) + 1.5 * x > border).sum(1)
    head, task = ProportionalOdds(1, 4).double(), Task("t", "ordinal", classes=4)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def step():
        optimizer.zero_grad()
        value = row_losses(task, head(torch.tensor(x)), torch.tensor(y)).mean()
        value.backward()
        return value

    optimizer.step(step)
    assert head.linear.weight.item() == pytest.approx(1.5, abs=0.15)
    assert -head.linear.bias.item() == pytest.approx(-1, abs=0.15)
    gaps = nn.functional.softplus(head.gaps).detach().numpy()
    np.testing.assert_allclose(gaps, np.diff(border), atol=0.15)


@given(SEEDS)
def test_counts_have_the_likelihood_of_the_poisson(seed):
    rng = np.random.default_rng(seed)
    y, o = rng.poisson(4, 10), rng.normal(1, 1, (10, 1))
    found = row_losses(Task("t", "count"), torch.tensor(o), torch.tensor(y))
    expected = stats.poisson.logpmf(y, np.maximum(y, 1e-300)) - stats.poisson.logpmf(y, np.exp(o[:, 0]))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(registry()["count"].answer(torch.tensor(o), Task("t", "count")), np.exp(o[:, 0]))


def test_pairs_have_the_cosine_of_their_halves():
    rng = np.random.default_rng(0)
    o = rng.normal(size=(4, 2, 3))
    cosine = (o[:, 0] * o[:, 1]).sum(1) / np.linalg.norm(o, axis=2).prod(1)
    task, y = Task("t", "similarity"), torch.tensor([0.5, -1, 1, 0]).double()
    np.testing.assert_allclose(registry()["similarity"].answer(torch.tensor(o), task), cosine)
    np.testing.assert_allclose(row_losses(task, torch.tensor(o), y), (cosine - y.numpy()) ** 2)
    alike = torch.tensor([1.0, 0, 0, 1]).double()
    found = row_losses(Task("t", "similarity", loss=contrastive(0.2)), torch.tensor(o), alike)
    halves = (torch.tensor(o[:, 0]), torch.tensor(o[:, 1]))
    expected = cosine_embedding_loss(*halves, 2 * alike - 1, margin=0.2, reduction="none")
    torch.testing.assert_close(found, expected)


def test_null_losses_by_hand():
    kinds, missing = registry(), NAN
    y = torch.tensor([1.0, 1, 1, 0, missing])
    h = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert kinds["binary"].null_loss(y, Task("t", "binary")) == pytest.approx(h)
    assert kinds["multiclass"].null_loss(torch.tensor([0, 0, 1, 2, -100]), Task("t", "multiclass", classes=5)) == (
        pytest.approx(1.5 * math.log(2))
    )
    assert kinds["regression"].null_loss(torch.tensor([1.0, 3, missing]), Task("t")) == 1.0
    count = torch.tensor([0.0, 4, missing])
    assert kinds["count"].null_loss(count, Task("t", "count")) == pytest.approx(2 * math.log(2))
    assert kinds["tagging"].null_loss(
        torch.tensor([[0, 1], [1, -100], [0, -100]]), Task("t", "tagging", classes=2)
    ) == (pytest.approx(math.log(2)))


def test_a_loss_of_ones_own_decides_for_itself():
    task = Task("t", loss=lambda output, target: (output - target).abs().sum(1))
    check_target(task, torch.zeros(3, 2))
    assert row_losses(task, torch.ones(3, 2), torch.zeros(3, 2)).tolist() == [2, 2, 2]


INF = float("inf")


@pytest.mark.parametrize(
    ("task", "target", "match"),
    [
        (Task("a"), [1.0], r"task 'a' \(regression\): labels are a list; expected a tensor \(n,\)"),
        (Task("a"), torch.zeros(3, 1), r"labels \(3, 1\); expected \(n,\): .*Take the column: y\[:, 0\]"),
        (Task("a"), torch.tensor([1.0, INF]), r"the label of row 1 is infinite"),
        (Task("a"), torch.zeros(2, dtype=torch.complex64), r"labels are complex"),
        (
            Task("a", "binary"),
            torch.tensor([0.0, 0.5]),
            r"a label is 0.5; expected 0 to 1, and NaN where it is missing",
        ),
        (Task("a", "binary"), torch.tensor([0, -1]), r"a label is -1; expected 0 to 1, and -100 where"),
        (Task("a", "multiclass", classes=3), torch.tensor([0, 3]), r"a label is 3; expected 0 to 2"),
        (Task("a", "multiclass"), torch.tensor([0, -1]), r"a label is -1; expected 0, 1, \.\.\."),
        (Task("a", "ordinal", classes=3), torch.tensor([[0, 1]]), r"\(ordinal\): labels \(1, 2\); expected \(n,\)"),
        (Task("a", "count"), torch.tensor([2.0, -1.0]), r"a label is -1; expected 0, 1, \.\.\."),
        (Task("a", "count"), torch.tensor([2.5]), r"a label is 2.5"),
        (Task("a", "multilabel", classes=3), torch.zeros(2, 2), r"labels \(2, 2\); expected \(n, 3\)"),
        (Task("a", "multilabel", classes=2), torch.full((1, 2), 2.0), r"a label is 2; expected 0 to 1"),
        (Task("a", "tagging", classes=2), torch.tensor([[0, 2]]), r"a label is 2; expected 0 to 1"),
        (Task("a", "segmentation", classes=2), torch.zeros(4, 4).long(), r"labels \(4, 4\); expected \(n, H, W\)"),
        (Task("a", "similarity"), torch.tensor([4.0, -5.0]), r"a label is -5; a cosine lies from -1 to 1"),
    ],
)
def test_labels_that_cannot_be_are_refused(task, target, match):
    with pytest.raises(InputError, match=match):
        check_target(task, target)


def test_what_is_missing_is_no_label_that_cannot_be():
    check_target(Task("a"), torch.tensor([NAN, 1.0]))
    check_target(Task("a", "binary"), torch.tensor([True, False]))
    check_target(Task("a", "multiclass", classes=2), torch.tensor([-100, 1]))
    check_target(Task("a", "multilabel", classes=2), torch.tensor([[NAN, 1.0]]))
    assert resolved(Task("a", "multiclass"), torch.tensor([-100, -100])).classes == 2


@pytest.mark.parametrize(
    ("task", "output", "target", "match"),
    [
        (
            Task("a"),
            torch.zeros(3),
            torch.zeros(3),
            r"task 'a' \(regression\): the model's output is \(3,\); expected \(3, 1",
        ),
        (Task("a"), torch.zeros(3, 2), torch.zeros(3), r"output is \(3, 2\); expected \(3, 1\)"),
        (Task("a", "multiclass", classes=4), torch.zeros(3, 3), torch.zeros(3).long(), r"expected \(3, 4\)"),
        (Task("a", "segmentation", classes=2), torch.zeros(1, 2, 4, 4), torch.zeros(1, 8, 8).long(), r"\(1, 2, 8, 8\)"),
        (Task("a", "tagging", classes=2), torch.zeros(1, 5, 2), torch.zeros(1, 4).long(), r"\(1, 4, 2\)"),
        (Task("a", "similarity"), torch.zeros(3, 6), torch.zeros(3), r"expected \(3, 2, any\)"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(task, output, target, match):
    with pytest.raises(InputError, match=match):
        row_losses(task, output, target)


@pytest.mark.parametrize(
    ("tasks", "match"),
    [
        ([Task("a", class_weight=(1, 2))], r"task 'a': class_weight means nothing for kind 'regression'"),
        ([Task("a", "count", label_smoothing=0.1)], r"label_smoothing means nothing for kind 'count'"),
        ([Task("a", "binary", metrics=("miou",))], r"metric 'miou' is not one of kind 'binary'; expected .*auc"),
        ([Task("a", where=("b", 1))], r"where=\('b', 1\) names no task; expected one of a"),
        (
            [Task("a", where=("b", 1)), Task("b", "tagging", classes=2)],
            r"a label of task 'b' \(tagging\) is not one value",
        ),
        ([Task("a", where=("b", NAN)), Task("b", "binary")], r"nan is no value a label can have"),
        ([Task("a", where=("b", "yes")), Task("b", "binary")], r"'yes' is no value a label can have"),
    ],
)
def test_tasks_that_ask_for_what_is_not_there_are_refused(tasks, match):
    with pytest.raises(InputError, match=match):
        check_tasks(tasks)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"weight": math.inf}, r"weight inf must be a finite number"),
        ({"where": ("a", 1)}, r"names the task itself"),
        ({"classes": 0}, r"classes=0 must be a whole number >= 1"),
        ({"classes": 3, "class_names": ("x", "y")}, r"2 class_names for 3 classes"),
        ({"kind": "binary", "class_weight": (1, 2, 3)}, r"3 class weights for 2 classes"),
        ({"kind": "multiclass", "classes": 2, "class_weight": (1, -2)}, r"must be finite numbers >= 0"),
    ],
)
def test_tasks_that_cannot_be_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        Task("a", **options)


def test_a_condition_needs_the_other_labels_beside_its_own():
    with pytest.raises(InputError, match=r"task 'a': where=\('b', 1\) needs the labels of task 'b' .*have a, c"):
        labelled(Task("a", where=("b", 1)), {"a": torch.zeros(2), "c": torch.zeros(2)})


def test_labels_are_looked_at_before_classes_are_counted():
    with pytest.raises(InputError, match=r"task 'a' \(multiclass\): labels are a list"):
        resolved(Task("a", "multiclass"), ["red", "blue"])
    with pytest.raises(InputError, match="the label of row 1 is infinite"):
        resolved(Task("a", "multiclass"), torch.tensor([0.0, INF]))
    with pytest.raises(InputError, match=r"task 'a': 2 class weights for 3 classes"):
        resolved(Task("a", "multiclass", class_weight=(1, 2)), torch.tensor([0, 2]))
    own = Task("a", "multiclass", loss=lambda output, target: output)
    assert resolved(own, torch.zeros(2, 2)) is own


def test_names_of_classes_say_how_many_there_are():
    assert Task("a", "multiclass", class_names=("x", "y")).classes == 2
    assert registry()["multiclass"].head(5, Task("a", "multiclass", class_names=("x", "y"))).out_features == 2
    with pytest.raises(
        InputError, match=r"task 'a': say how many classes there are: Task\('a', 'multiclass', classes=3"
    ):
        registry()["multiclass"].head(5, Task("a", "multiclass"))
