"""A relation on heads through `fit`: it ties them, it learns between steps, and a resumed run knows what it learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from relatask.data.tensors import Columns, Loader
from relatask.nets import AttentionRelation, HardSharing, Tie
from relatask.relations import Clustered, LearnedCovariance, LearnedGraph, Pairwise, Relation, Ridge
from relatask.tasks import Task
from relatask.train import LearnRelation, Trained, fit

TASKS = ("a", "b", "c", "d")

RELATIONS: dict[str, Callable[[], Relation | Tie]] = {
    "graph": lambda: LearnedGraph(0.1, 0.01),
    "sum": lambda: LearnedCovariance(0.1) + Ridge(0.1),
    "attention": lambda: AttentionRelation(0.1),
    "clusters": lambda: Clustered(2, 0.1, 0.1),
}


def _fit(relation: Relation | Tie | None, epochs: int = 3, **options: Any) -> Trained:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 5)).astype("float32")
    y = {task: (X[:, 0] + rng.normal(size=64)).astype("float32") for task in TASKS}
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Dropout(0.2))
    model = HardSharing(trunk, {task: nn.Linear(6, 1) for task in TASKS}, relation)
    callbacks = [LearnRelation(2), *options.pop("callbacks", ())]
    data = Loader(Columns(X, y), 16)
    return fit(model, [Task(task) for task in TASKS], data, epochs=epochs, lr=0.01, callbacks=callbacks, **options)


class _Killed:
    def on_epoch(self, run: Any) -> None:
        if run.epoch == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", RELATIONS)
def test_a_resumed_run_is_the_run_that_was_not_killed(name: str, tmp_path: Path) -> None:
    whole = _fit(RELATIONS[name]())
    with pytest.raises(KeyboardInterrupt):
        _fit(RELATIONS[name](), folder=tmp_path, callbacks=[_Killed()])
    again = _fit(RELATIONS[name](), folder=tmp_path, resume=True)
    for one, other in zip(_tensors(whole), _tensors(again), strict=True):
        assert torch.equal(one, other)


def _tensors(trained: Trained) -> list[Tensor]:
    found: list[Tensor] = []
    for value in trained.model.state_dict().values():
        found += [value] if isinstance(value, Tensor) else list(value.values())
    return found


def test_a_strong_relation_makes_heads_alike() -> None:
    def spread(trained: Trained) -> float:
        W = trained.model.task_matrix().detach()
        return float((W - W.mean(0)).norm() / W.norm())

    assert spread(_fit(Pairwise(10.0), epochs=20)) < 0.3 * spread(_fit(None, epochs=20))
