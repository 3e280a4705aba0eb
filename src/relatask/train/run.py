"""`Run`: where a training stands, as callbacks see it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from relatask.balance import Balance
from relatask.data.batch import Batch
from relatask.nets.model import Model
from relatask.tasks import Task
from relatask.train.losses import Losses, LossesOf
from relatask.train.normalise import Scales
from relatask.train.step import Step
from relatask.train.update import Updates
from relatask.train.watch import Watch


@dataclass(eq=False)
class Run:
    """Where a training stands.

    Parameters
    ----------
    model : Model
        What is trained.
    tasks : tuple of Task
        With their numbers of classes and null losses.
    step : Step
        What is done with batches.
    update : Updates
        What is done with gradients; holds the optimizer.
    losses_of : LossesOf
        From a batch to the losses that are trained.
    watch : Watch
        Which epoch is the best.
    scales : Scales
        What losses are divided by.
    epochs : int
        How many there are to be.
    seed : int
        Of the run.
    folder : Path, optional
        Where the run is kept.
    settings : mapping from name to str, float or None
        What else must be the same for a run to go on: learning rate, batches, ...
    epoch, at, steps : int
        The epoch, from 0; how many steps of it are done; how many of all.
    batches, losses, balance
        Of the last step.
    values, counts : mapping
        Of the last validation: {(task, metric): value}, and how many labels each task had.
    history : list of dict
        Rows {step, epoch, split, metric, task, value, n}.
    stopped : str, optional
        Why training is to stop.
    """

    model: Model
    tasks: tuple[Task, ...]
    step: Step
    update: Updates
    losses_of: LossesOf
    watch: Watch
    scales: Scales
    epochs: int
    seed: int = 0
    folder: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    epoch: int = 0
    at: int = 0
    steps: int = 0
    batches: Sequence[Batch] = ()
    losses: Losses | None = None
    balance: Balance | None = None
    values: dict[tuple[Hashable, str], float] = field(default_factory=dict)
    counts: dict[Hashable, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    sums: Sums = field(default_factory=lambda: Sums())
    stopped: str | None = None
    to_save: bool = False
    gramian: tuple[tuple[str, ...], Tensor] | None = None
    """What a callback found in this step, where the balancer forms none."""

    @property
    def optimizer(self) -> Optimizer:
        """What moves the parameters."""
        return self.update.optimizer

    def stop(self, reason: str) -> None:
        """End training after this epoch."""
        self.stopped = reason

    def ask_to_save(self) -> None:
        """Save the run after this step."""
        self.to_save = True

    def took(self, batches: Sequence[Batch], losses: Losses, balance: Balance | None) -> None:
        """Take note of a step."""
        self.batches, self.losses, self.balance, self.gramian = batches, losses, balance, None
        if balance is not None and balance.gramian is not None:
            self.gramian = (balance.tasks, balance.gramian)
        self.at += 1
        self.steps += 1
        self.sums.add(losses, self._factors(losses.active))

    def _factors(self, active: Sequence[Hashable]) -> list[float]:
        """What trained losses are multiplied with to be losses per label again; 0 for a task of no weight."""
        weights = self.losses_of.tasks
        scales = self.losses_of.scales
        return [scales[name] / weights[name].weight if weights[name].weight else 0.0 for name in active]

    def tell(self, split: str, metric: str, task: Hashable | None, value: float, n: float | None = None) -> None:
        """Add a row to the history."""
        where = {"step": self.steps, "epoch": self.epoch, "split": split}
        self.history.append({**where, "metric": metric, "task": task, "value": value, "n": n})

    def close(self) -> None:
        """Tell the means of an epoch, and begin new sums."""
        comm = self.update.comm
        for task, (total, count) in self.sums.losses().items():
            if comm is not None:
                total = float(comm.all_reduce(torch.tensor(total, device=self.losses_of.place.device)))
                total /= comm.world_size
            self.tell("train", "loss", task, total / count if count else 0.0, count)
        for name, value in self.sums.penalties().items():
            self.tell("train", f"penalty:{name}", None, value)
        self.tell("train", "lr", None, self.update.lr)
        self.sums = Sums()

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

    def state(self) -> dict[str, Any]:
        """Give where it stands, for a checkpoint."""
        where = {"epoch": self.epoch, "at": self.at, "steps": self.steps, "stopped": self.stopped}
        return {**where, "sums": self.sums.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Stand where a checkpoint stood."""
        self.epoch, self.at, self.steps = state["epoch"], state["at"], state["steps"]
        self.stopped = state["stopped"]
        self.sums.load(state["sums"], self.losses_of.place.device)


class Sums:
    """Sums over the steps of an epoch: on the device, so that no step waits for a number."""

    def __init__(self) -> None:
        self._losses: dict[tuple[Hashable, ...], Tensor] = {}
        self._counts: dict[tuple[Hashable, ...], list[float]] = {}
        self._penalties: dict[str, Tensor] = {}
        self._steps: dict[str, int] = {}

    def add(self, losses: Losses, factors: Sequence[float]) -> None:
        """Add a step."""
        if losses.values:
            key, labels = losses.active, [losses.labels[name] for name in losses.active]
            stacked = torch.stack(list(losses.values.values())).detach().double()
            weighed = stacked * stacked.new_tensor([f * n for f, n in zip(factors, labels, strict=True)])
            if key in self._losses:
                self._losses[key] += weighed
                self._counts[key] = [a + b for a, b in zip(self._counts[key], labels, strict=True)]
            else:
                self._losses[key], self._counts[key] = weighed, labels
        for name, value in losses.penalties.items():
            found = value.detach().double()
            self._penalties[name] = self._penalties[name] + found if name in self._penalties else found
            self._steps[name] = self._steps.get(name, 0) + 1

    def losses(self) -> dict[Hashable, tuple[float, float]]:
        """Give each task's summed loss, and over how many labels."""
        found: dict[Hashable, tuple[float, float]] = {}
        for key, totals in self._losses.items():
            for name, total, count in zip(key, totals.tolist(), self._counts[key], strict=True):
                before = found.get(name, (0.0, 0.0))
                found[name] = (before[0] + total, before[1] + count)
        return found

    def penalties(self) -> dict[str, float]:
        """Give the mean of each penalty."""
        return {name: float(value) / self._steps[name] for name, value in self._penalties.items()}

    def state(self) -> list[dict[Any, Any]]:
        """Give the sums, for a checkpoint."""
        return [self._losses, self._counts, self._penalties, self._steps]

    def load(self, state: Sequence[dict[Any, Any]], device: torch.device | None) -> None:
        """Take over the sums of a checkpoint."""
        losses, self._counts, penalties, self._steps = state
        self._losses = {key: value.to(device) for key, value in losses.items()}
        self._penalties = {name: value.to(device) for name, value in penalties.items()}


def snapshot(model: torch.nn.Module) -> dict[str, Any]:
    """Give a copy of a model's state, on the CPU."""
    return {
        name: value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value
        for name, value in model.state_dict().items()
    }
