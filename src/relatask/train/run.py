"""`Run`: where a training stands, as callbacks see it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from relatask.balance import Balance
from relatask.nets.model import Model
from relatask.tasks import Task
from relatask.train.losses import Losses
from relatask.train.normalise import Scales
from relatask.train.step import Step
from relatask.train.update import Updates
from relatask.train.watch import Watch


@dataclass(eq=False)
class Run:
    """Where a training stands.

    Parameters
    ----------
    model, tasks, step, updates_by, watch, scales
        What is trained, and by what.
    epochs : int
        How many there are to be.
    folder : Path, optional
        Where the run is kept.
    epoch, at, updates : int
        The epoch, from 0; how many steps of it are done; how many of all.
    losses, balance
        Of the last step.
    values, counts : mapping
        Of the last validation.
    history : list of dict
        Rows {step, epoch, split, metric, task, value, n}.
    """

    model: Model
    tasks: tuple[Task, ...]
    step: Step
    updates_by: Updates
    watch: Watch
    scales: Scales
    epochs: int
    folder: Path | None = None
    epoch: int = 0
    at: int = 0
    updates: int = 0
    losses: Losses | None = None
    balance: Balance | None = None
    values: dict[tuple[Hashable, str], float] = field(default_factory=dict)
    counts: dict[Hashable, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, Tensor] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    stopped: str | None = None

    @property
    def optimizer(self) -> Optimizer:
        """What moves the parameters."""
        return self.updates_by.optimizer

    def stop(self, reason: str) -> None:
        """End training after this epoch."""
        self.stopped = reason

    def took(self, losses: Losses, balance: Balance | None) -> None:
        """Take note of a step."""
        self.losses, self.balance = losses, balance
        self.at += 1
        self.updates += 1
        for task in self.tasks:
            value = losses.values.get(task.name)
            if value is not None and task.weight > 0:
                labels = losses.labels[task.name]
                # What the loss is divided by may still move in the first epoch: taken out here, at once.
                self.add(f"loss:{task.name}", value.detach() * (self.scales[task.name] / task.weight), labels)
        for name, value in losses.penalties.items():
            self.add(f"penalty:{name}", value.detach(), 1.0)

    def add(self, name: str, value: Tensor, count: float) -> None:
        """Add to a sum of this epoch."""
        weighed = value * count
        self.sums[name] = self.sums[name] + weighed if name in self.sums else weighed
        self.numbers[name] = self.numbers.get(name, 0.0) + count

    def tell(self, split: str, metric: str, task: Hashable | None, value: float, n: float | None = None) -> None:
        """Add a row to the history."""
        self.history.append(
            {
                "step": self.updates,
                "epoch": self.epoch,
                "split": split,
                "metric": metric,
                "task": task,
                "value": value,
                "n": n,
            }
        )

    def close(self) -> None:
        """Tell the means of an epoch, and begin new sums."""
        means = {name: float(value) / self.numbers[name] for name, value in self.sums.items()}
        for task in self.tasks:
            name = f"loss:{task.name}"
            if name in means:
                self.tell("train", "loss", task.name, means[name], self.numbers[name])
        for name, value in means.items():
            if name.startswith("penalty:"):
                self.tell("train", name, None, value)
        self.tell("train", "lr", None, self.updates_by.lr)
        self.sums, self.numbers = {}, {}

    def validated(self, values: dict[tuple[Hashable, str], float], counts: dict[Hashable, float]) -> bool:
        """Take note of a validation; whether it is the best so far."""
        self.values, self.counts = values, counts
        for (task, metric), value in values.items():
            self.tell("valid", metric, task, value, counts[task])
        better = self.watch.see(self.epoch, values)
        if self.watch.value is not None:
            told = self.watch.monitor if isinstance(self.watch.monitor, str) else "monitor"
            self.tell("valid", told, None, self.watch.value)
        self.stopped = self.stopped or self.watch.stopped
        return better


def snapshot(model: torch.nn.Module) -> dict[str, Any]:
    """Give a copy of a model's state, on the CPU."""
    return {
        name: value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value
        for name, value in model.state_dict().items()
    }
