"""What every kind of task must keep: missing labels, order, weights, null losses, precision, shapes of answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.kind_cases import CLASSES, NAMES, OPTIONS, SIDE, TOKENS, VARIANTS, N, case
from torch import nn

from relatask.data.batch import Part
from relatask.kinds import check_target, kind_of, labelled, registry, resolved
from relatask.measure import evaluate_task
from relatask.nets import HardSharing
from relatask.tasks import KINDS, Task
from relatask.train.labels import labels_of, summed
from relatask.train.losses import losses_of

SEEDS = st.integers(0, 10**6)
every_variant = pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=NAMES)
every_kind = pytest.mark.parametrize("kind", list(KINDS))


def loss(task, output, target, weight=None):
    """Weighted sum of losses and weighted number of labels, as training has them."""
    labels = labels_of(task, Part(None, {task.name: target}, weight))
    return summed(task, output, labels), labels.total


def taken(found, rows):
    """The case's task, outputs and labels of some rows."""
    kind = kind_of(found.task)
    index = torch.as_tensor(rows)
    return found.task, kind.take(found.output, index), kind.take(found.target, index)


def test_there_is_a_kind_for_every_name_and_it_says_the_same_of_itself():
    assert {name: kind.words for name, kind in registry().items()} == KINDS


@every_variant
@given(seed=SEEDS, rubbish=st.sampled_from([float("nan"), float("inf"), -1e30]))
def test_what_is_missing_changes_nothing(kind, options, seed, rubbish):
    found = case(kind, seed, options)
    plain = found.output.clone().requires_grad_()
    value, count = loss(found.task, plain, found.target)
    value.backward()
    dirty = torch.where(found.looked_at, found.output, rubbish).requires_grad_()
    again, count_again = loss(found.task, dirty, found.target)
    again.backward()
    assert count == count_again > 0
    torch.testing.assert_close(again, value, rtol=0, atol=0)
    torch.testing.assert_close(dirty.grad, plain.grad, rtol=0, atol=0)
    assert not dirty.grad[~found.looked_at].any()


@every_variant
@given(seed=SEEDS)
def test_rows_have_their_losses_in_whatever_order(kind, options, seed):
    found = case(kind, seed, options, holes=0)
    order = np.random.default_rng(seed).permutation(N)
    straight = kind_of(found.task).losses(found.output, found.target, found.task)
    task, output, target = taken(found, order)
    torch.testing.assert_close(kind_of(task).losses(output, target, task), straight[torch.tensor(order)])
    assert straight.shape == (N,)
    torch.testing.assert_close(kind_of(task).counts(target), kind_of(task).counts(found.target)[torch.tensor(order)])


@every_variant
@given(seed=SEEDS)
def test_a_weight_of_two_is_a_row_given_twice(kind, options, seed):
    found = case(kind, seed, options)
    times = np.random.default_rng(seed).integers(0, 4, N)
    rows = np.repeat(np.arange(N), times)
    weight = torch.tensor(times, dtype=torch.double)
    value, count = loss(found.task, found.output, found.target, weight)
    task, output, target = taken(found, rows)
    if not kind_of(task).observed(target).any():
        return
    again, count_again = loss(task, output, target)
    torch.testing.assert_close(value, again)
    assert count == pytest.approx(count_again)
    null = kind_of(task).null_loss(found.target, task, weight)
    assert null == pytest.approx(kind_of(task).null_loss(target, task))


def constant(kind, w):
    """The same output for every row, (n, ...), from free numbers w."""
    if kind == "tagging":
        return w.expand(N, TOKENS, -1)
    if kind == "segmentation":
        return w[:, None, None].expand(N, -1, SIDE, SIDE)
    if kind == "similarity":
        return w.reshape(2, 3).expand(N, 2, 3)
    return w.expand(N, -1)


@pytest.mark.parametrize(
    ("kind", "options"), [v for v in VARIANTS if v[0] != "detection"], ids=[n for n in NAMES if n != "detection"]
)
@given(seed=SEEDS)
def test_the_null_loss_is_that_of_the_best_constant(kind, options, seed):
    found = case(kind, seed, options)
    null = kind_of(found.task).null_loss(found.target, found.task)
    width = {"similarity": 6}.get(kind, kind_of(found.task).width(found.task))
    w = torch.randn(width, dtype=torch.double, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    optimizer = torch.optim.LBFGS([w], max_iter=300, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def step():
        optimizer.zero_grad()
        value, count = loss(found.task, constant(kind, w), found.target)
        (value / count).backward()
        return value / count

    optimizer.step(step)
    best = step().item()
    assert best >= null - 1e-9
    assert best == pytest.approx(null, abs=2e-4)


def test_detection_and_labels_that_are_all_missing_have_no_null_loss():
    for kind in KINDS:
        found = case(kind, 0)
        gone = [None] * N if kind == "detection" else torch.full_like(found.target, -100)
        if kind != "detection" and found.target.is_floating_point():
            gone = torch.full_like(found.target, float("nan"))
        assert kind_of(found.task).null_loss(gone, found.task) is None
        assert not kind_of(found.task).observed(gone).any()
        assert labels_of(found.task, Part(None, {"t": gone})).total == 0
    assert kind_of(Task("t", "detection")).null_loss(case("detection", 0).target, Task("t", "detection")) is None


class Given(nn.Module):
    """A head that gives what it was given."""

    def forward(self, z):
        return z


@every_kind
def test_a_task_without_a_label_in_the_batch_has_no_loss(kind):
    found = case(kind, 1)
    gone = [None] * N if kind == "detection" else torch.full_like(found.target, -100)
    if kind != "detection" and found.target.is_floating_point():
        gone = torch.full_like(found.target, float("nan"))
    model = HardSharing(nn.Identity(), {"t": Given()})
    assert losses_of(model, [found.task])((Part(found.output, {"t": gone}),)).values == {}
    assert losses_of(model, [found.task])((Part(found.output, {"t": found.target}),)).active == ("t",)


@every_kind
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_coarse_outputs_have_losses_in_single_precision(kind, dtype):
    found = case(kind, 2, OPTIONS.get(kind), holes=0)
    kind_ = kind_of(found.task)
    coarse = found.output.to(dtype)
    losses = kind_.losses(coarse, found.target, found.task)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, kind_.losses(coarse.double(), found.target, found.task).float())


@every_kind
def test_losses_are_not_computed_in_halves_under_autocast(kind):
    found = case(kind, 2, OPTIONS.get(kind), holes=0)
    output = found.output.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = kind_of(found.task).losses(output, found.target, found.task)
    torch.testing.assert_close(inside, kind_of(found.task).losses(output, found.target, found.task), rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "ordinal", "count"])
def test_labels_may_be_integers_or_floats(kind):
    found = case(kind, 3)
    seen = kind_of(found.task).observed(found.target)
    whole = torch.where(seen, found.target.nan_to_num(0), -100).long()
    floats = torch.where(seen, whole.double(), float("nan"))
    first, second = (loss(found.task, found.output, target) for target in (whole, floats))
    torch.testing.assert_close(first[0], second[0], rtol=0, atol=0)
    for target in (whole, floats):
        check_target(found.task, target)
        assert kind_of(found.task).null_loss(target, found.task) == kind_of(found.task).null_loss(whole, found.task)


@every_kind
def test_answers_are_what_the_measures_take_and_batches_join(kind):
    found = case(kind, 4)
    kind_ = kind_of(found.task)
    whole = kind_.answer(found.output, found.task)
    halves = [kind_.answer(half, found.task) for half in found.output.split([3, N - 3])]
    joined = kind_.join(halves)
    assert type(joined) is type(whole)
    assert len(joined) == N
    if isinstance(whole, torch.Tensor):
        torch.testing.assert_close(joined, whole)
        assert whole.shape == ((N, CLASSES) if kind in ("multiclass", "multilabel", "ordinal") else (N,))
        assert not whole.requires_grad
    if kind in ("multiclass", "ordinal"):
        torch.testing.assert_close(whole.sum(1), torch.ones(N).double())
    names = ("O", "B-a", "I-a") if kind == "tagging" else None
    rows = evaluate_task(kind, found.target, whole, class_names=names)
    assert [row["metric"] for row in rows] == list(kind_.metrics)
    assert {row["n"] for row in rows} == {int(kind_.counts(found.target).sum())}
    assert all(np.isfinite(row["value"]) for row in rows)


@every_kind
def test_meters_read_what_the_measures_say(kind):
    from relatask.kinds.meters import readings

    found = case(kind, 9)
    task = Task("t", "tagging", class_names=("O", "B-a", "I-a")) if kind == "tagging" else found.task
    kind_ = kind_of(task)
    meters = kind_.meters(task)
    assert set(meters) <= set(kind_.metrics)
    assert all(np.isnan(value) for value in readings(meters).values())
    for rows in (range(3), range(3, N)):  # two batches
        _, output, target = taken(found, list(rows))
        seen = kind_.observed(target)
        if seen.any():
            shown = kind_.watched(kind_.take(output, seen), kind_.take(target, seen), task)
            for meter in meters.values():
                meter.update(*shown)
    answers = kind_.answer(found.output, task)
    told = evaluate_task(kind, found.target, answers, list(meters), class_names=task.class_names)
    assert readings(meters) == pytest.approx({row["metric"]: row["value"] for row in told}, abs=1e-5)


def test_a_meter_that_is_not_defined_reads_nan():
    from relatask.kinds.meters import readings

    meters = registry()["binary"].meters(Task("t", "binary"))
    for meter in meters.values():
        meter.update(torch.tensor([0.2, 0.7]), torch.tensor([1, 1]))
    found = readings(meters)
    assert np.isnan(found["auc"])
    assert found["accuracy"] == 0.5
    meters = registry()["regression"].meters(Task("t"))
    for meter in meters.values():
        meter.update(torch.tensor([1.0]), torch.tensor([2.0]))
    assert np.isnan(readings(meters)["r2"])


@given(SEEDS)
def test_a_label_counts_only_where_another_is_there_and_is_the_value(seed):
    rng = np.random.default_rng(seed)
    other = torch.tensor(rng.choice([0.0, 1.0, np.nan], N))
    own = torch.tensor(rng.choice([3.0, np.nan], N))
    task = Task("t", where=("o", 1))
    expected = (other == 1) & ~own.isnan()
    for condition in (other, torch.where(other.isnan(), -100, other).long()):
        y = {"t": own, "o": condition}
        assert labelled(task, y).tolist() == expected.tolist()
        assert labels_of(task, Part(None, y)).total == expected.sum()


@pytest.mark.parametrize("kind", ["multiclass", "ordinal", "tagging", "segmentation", "multilabel", "detection"])
def test_the_number_of_classes_is_read_from_the_labels(kind):
    found = case(kind, 6, holes=0)
    assert resolved(Task("t", kind), found.target).classes == CLASSES
    if kind != "multilabel":  # whose labels have a column a class
        assert resolved(Task("t", kind, classes=7), found.target).classes == 7
    check_target(resolved(Task("t", kind), found.target), found.target)


@every_kind
def test_the_default_head_gives_what_the_kind_takes(kind):
    found = case(kind, 7, holes=0)
    features = {"tagging": (N, TOKENS, 6), "similarity": (N, 2, 6), "detection": (N, 6, 4, 4)}.get(kind, (N, 6))
    if kind == "segmentation":
        features = (N, 6, 1, 1)
        target = torch.zeros(N, 8, 8, dtype=torch.long)
    else:
        target = found.target
    output = kind_of(found.task).head(6, found.task)(torch.randn(features))
    expected = kind_of(found.task).shape(target, found.task)
    assert len(output.shape) == len(expected)
    assert all(e is None or e == g for e, g in zip(expected, output.shape, strict=True))
    assert kind_of(found.task).losses(output, target, found.task).isfinite().all()
