"""Losses of many tasks at once: the same values and gradients as one by one, in as many operations as for few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from relatask.data.batch import Part
from relatask.kinds import kind_of
from relatask.nets import HardSharing
from relatask.tasks import Task
from relatask.train import losses_of
from relatask.train.together import FEWEST, all_labels

N = 12


def _target(kind: str, holes: bool, seed: int) -> Tensor:
    torch.manual_seed(seed)
    gone = torch.rand(N) < (0.4 if holes else 0.0)
    if kind == "multiclass":
        return torch.where(gone, -100, torch.randint(3, (N,)))
    drawn = {
        "regression": torch.randn(N),
        "binary": torch.randint(2, (N,)).float(),
        "count": torch.poisson(torch.ones(N)),
    }
    return torch.where(gone, torch.nan, drawn[kind])


def _case(holes: bool, weighted: bool, where: bool) -> tuple[HardSharing, list[Task], Part]:
    tasks, y = [], {}
    for k, kind in enumerate(("regression", "binary", "multiclass", "count")):
        for i in range(FEWEST + 1):
            name = f"{kind} {i}"
            held = ("binary 0", 1) if where and i == 1 and kind != "binary" else None
            classes = 3 if kind == "multiclass" else None
            weights = (1.0, 2.0, 3.0) if kind == "multiclass" and i < 2 else None
            tasks.append(
                Task(name, kind, classes=classes, weight=1 + i, where=held, class_weight=weights, null_loss=0.5 + k)
            )
            y[name] = _target(kind, holes, 10 * k + i)
    tasks.append(Task("own", loss=lambda output, target: (output[:, 0] - target).abs()))
    y["own"] = torch.randn(N)
    torch.manual_seed(0)
    model = HardSharing(nn.Linear(5, 6), {task.name: kind_of(task).head(6, task) for task in tasks})
    return model, tasks, Part(torch.randn(N, 5), y, torch.rand(N) + 0.5 if weighted else None)


@pytest.mark.parametrize("where", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("holes", [False, True])
def test_losses_and_gradients_are_those_of_one_by_one(holes: bool, weighted: bool, where: bool) -> None:
    model, tasks, part = _case(holes, weighted, where)
    compute, found = losses_of(model, tasks), []
    for joined in (False, True):
        model.join(joined)
        losses = compute((part, part))
        model.zero_grad()
        torch.stack(list(losses.values.values())).sum().backward()
        found.append((losses, [p.grad.clone() for p in model.parameters()]))
    (apart, slopes), (together, same) = found
    assert list(apart.values) == list(together.values) == [task.name for task in tasks]
    for name, value in apart.values.items():
        torch.testing.assert_close(together.values[name], value, rtol=1e-5, atol=1e-6)
        assert apart.labels[name] == together.labels[name]
    for one, other in zip(slopes, same, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_labels_of_all_are_the_labels_of_each(weighted: bool) -> None:
    _, tasks, part = _case(True, weighted, True)
    for task, found in zip(tasks, all_labels(tasks, part, lambda v: v).values(), strict=True):
        seen = kind_of(task).observed(part.y[task.name])
        if task.where is not None:
            seen = seen & (part.y[task.where[0]] == task.where[1])
        rows = found.rows if found.rows is not None else torch.arange(N)
        assert rows.tolist() == seen.nonzero()[:, 0].tolist()
        assert torch.equal(found.target, part.y[task.name][seen])
        weight = torch.ones(N) if part.weight is None else part.weight
        assert found.total == pytest.approx(weight[seen].sum().item(), rel=1e-6)
        assert (found.weight is None) is (part.weight is None)
        if found.weight is not None:
            assert torch.equal(found.weight, weight[seen])


def test_a_task_apart_from_others_does_not_reach_their_heads() -> None:
    model, tasks, part = _case(False, False, False)
    losses = losses_of(model, tasks)((part,))
    other = [*model.heads["regression 1"].parameters()]
    assert torch.autograd.grad(losses.values["regression 0"], other, allow_unused=True) == (None, None)


def _operations(function: Callable[[], Any]) -> int:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        function()
    return sum(e.count for e in seen.key_averages() if e.key.startswith("aten::"))


@pytest.mark.parametrize("holes", [False, True])
def test_a_hundred_tasks_take_little_more_operations_than_ten(holes: bool) -> None:
    def count(t: int, joined: bool) -> int:
        tasks = [Task(k, null_loss=1.0) for k in range(t)]
        model = HardSharing(nn.Linear(5, 6), {k: nn.Linear(6, 1) for k in range(t)})
        model.join(joined)
        part = Part(torch.randn(N, 5), {k: _target("regression", holes, k) for k in range(t)})
        compute = losses_of(model, tasks)
        return _operations(lambda: compute((part,)))

    # what is left for each task are views: taking its part of labels, outputs and losses
    assert (count(100, True) - count(10, True)) / 90 < 15
    assert (count(100, False) - count(10, False)) / 90 > 20
