"""From a batch to the tasks' losses: means over the labels that are there, divided by the null losses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from relatask.balance import Comm
from relatask.data.batch import Batch, Part
from relatask.nets.model import Model
from relatask.tasks import Task
from relatask.train.labels import Labels
from relatask.train.normalise import Scales
from relatask.train.together import all_labels, all_sums, scaled


@dataclass(frozen=True)
class Losses:
    """What a step works on.

    Parameters
    ----------
    values : mapping from task to tensor ()
        The losses of the tasks that have a label in the batch.
    active : tuple of task
        Their names.
    representation : tensor or tuple of tensor, optional
        What the trunk gave, where there is one such tensor; one for each part where there are several.
    extra : tensor (), optional
        The sum of the model's penalties, which is not balanced.
    penalties : mapping from name to tensor ()
        The same one by one, for the log.
    labels : mapping from task to float
        How many labels the batch had, weighted by the rows' weights.
    """

    values: Mapping[Hashable, Tensor]
    active: tuple[Hashable, ...]
    representation: Tensor | tuple[Tensor, ...] | None
    extra: Tensor | None
    penalties: Mapping[str, Tensor]
    labels: Mapping[Hashable, float]


@dataclass(frozen=True)
class Place:
    """Where and how the model computes: a device, the type of its numbers, autocast, and the ranks beside it."""

    device: torch.device | None = None
    dtype: torch.dtype | None = None
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    comm: Comm | None = None

    def move(self, values: Any) -> Any:
        """Give inputs or targets on the device, floating ones in the model's precision."""
        if isinstance(values, Tensor):
            return values.to(self.device, self.dtype if values.is_floating_point() else None, non_blocking=True)
        if isinstance(values, Mapping):
            return {name: self.move(value) for name, value in values.items()}
        if isinstance(values, list | tuple):
            return type(values)([self.move(value) for value in values])
        return values


class LossesOf:
    """The function from a batch to the tasks' losses: ``losses_of(batch, params=None) -> Losses``.

    ``L_k = weight_k / null_k * sum_i s_i l_i / sum_i s_i c_i`` over the batch's rows with a label, l_i the loss of row
    i summed over its labels and c_i how many it has.

    Parameters
    ----------
    model : Model
        The network.
    tasks : sequence of Task
        What is learned.
    scales : mapping from task to float, optional
        What losses are divided by, in place of the tasks' null losses; read anew at every call.
    place : Place
        Where the model computes.
    learns : Scales, optional
        What is shown the losses of tasks that have no null loss, in the first epoch; `scales` by default.
    """

    def __init__(
        self,
        model: Model,
        tasks: Sequence[Task],
        scales: Mapping[Hashable, float] | None = None,
        place: Place | None = None,
        learns: Scales | None = None,
    ) -> None:
        self.model, self.tasks = model, {task.name: task for task in tasks}
        self.scales = {task.name: task.null_loss or 1.0 for task in tasks} if scales is None else scales
        self.place = Place() if place is None else place
        self.learns = self.scales if learns is None and isinstance(self.scales, Scales) else learns
        self._pass = _Pass(model)

    def __call__(
        self,
        batch: Batch,
        params: Mapping[str, Tensor] | None = None,
        totals: Mapping[Hashable, float] | None = None,
        share: float = 1.0,
        only: Collection[Hashable] | None = None,
    ) -> Losses:
        """Give the losses of a batch.

        Parameters
        ----------
        batch : Batch
            Inputs and labels.
        params : mapping from name to tensor, optional
            Stand in for the model's own parameters and buffers.
        totals : mapping from task to float, optional
            How many labels the whole batch has of which this is a part; those of this batch by default.
        share : float
            What the penalties are multiplied by: 1 / m for each of m parts of a batch.
        only : collection of task, optional
            The tasks that are looked at.
        """
        read = [self.read(part, only) for part in batch]
        totals = self._total(read) if totals is None else totals
        read = [{name: labels for name, labels in found.items() if totals[name] > 0} for found in read]
        with self.place.autocast():
            outputs, representation, penalties = self.run(batch, read, params)
            sums: dict[Hashable, Tensor] = {}
            for found, given in zip(read, outputs, strict=True):
                asked = [self.tasks[name] for name in found]
                for name, value in all_sums(asked, given, found, self.model.heads.joined).items():
                    sums[name] = sums[name] + value if name in sums else value
            self._learn_scales(sums, read)
            world = 1 if self.place.comm is None else self.place.comm.world_size
            factors = {name: self.tasks[name].weight * world / (totals[name] * self.scales[name]) for name in sums}
            values = scaled(sums, factors, self.model.heads.joined)
            extra = torch.stack(list(penalties.values())).sum() if penalties else None
            if extra is not None and share != 1.0:
                extra = extra * share
        return Losses(values, tuple(values), representation, extra, penalties, totals)

    def read(self, part: Part, only: Collection[Hashable] | None = None) -> dict[Hashable, Labels]:
        """Find the labels of a part, before anything moves to the device."""
        names = [name for name in part.y if name in self.tasks and (only is None or name in only)]
        return all_labels([self.tasks[name] for name in names], part, self.place.move)

    def count(self, batches: Sequence[Batch]) -> dict[Hashable, float]:
        """Give how many labels each task has in some batches together, on all ranks."""
        return self._total([self.read(part) for batch in batches for part in batch])

    def run(
        self, batch: Batch, read: Sequence[Mapping[Hashable, Labels]], params: Mapping[str, Tensor] | None = None
    ) -> tuple[list[dict[Hashable, Any]], Any, dict[str, Tensor]]:
        """Give the outputs of each part, the representation, and the penalties; parts without labels give none."""
        calls = [
            (self.place.move(part.x) if found else None, tuple(found)) for part, found in zip(batch, read, strict=True)
        ]
        if params is None:
            return self._pass(calls)
        named = {f"model.{name}": value for name, value in params.items()}
        return functional_call(self._pass, named, (calls,))

    def _learn_scales(self, sums: Mapping[Hashable, Tensor], read: Sequence[Mapping[Hashable, Labels]]) -> None:
        """Show the scales the losses of tasks that have no null loss, in the first epoch."""
        if self.learns is None or not self.learns.learning or not self.model.training:
            return
        for name in self.learns.sums:
            if name in sums:
                local = sum(found[name].total for found in read if name in found)
                seen = torch.stack([sums[name].detach().double(), sums[name].new_tensor(local).double()])
                seen = seen if self.place.comm is None else self.place.comm.all_reduce(seen)
                self.learns.see(name, *seen.tolist())

    def _total(self, read: Sequence[Mapping[Hashable, Labels]]) -> dict[Hashable, float]:
        totals: dict[Hashable, float] = {}
        for found in read:
            for name, labels in found.items():
                totals[name] = totals.get(name, 0.0) + labels.total
        comm = self.place.comm
        if comm is None:
            return totals
        everyone = list(self.tasks)
        like = torch.tensor([totals.get(name, 0.0) for name in everyone], dtype=torch.float64)
        whole = comm.all_reduce(like.to(self.place.device)).tolist()
        return {name: count for name, count in zip(everyone, whole, strict=True) if name in totals or count > 0}


class _Pass(nn.Module):
    """All of a batch through the model, penalties included, so that other parameters can stand in for its own."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, calls: Sequence[tuple[Any, tuple[Hashable, ...]]]
    ) -> tuple[list[dict[Hashable, Any]], Any, dict[str, Tensor]]:
        outputs, seen = [], []
        for x, names in calls:
            outputs.append(self.model(x, names) if names else {})
            if names:
                seen.append(self.model.representation)
        whole = None if not seen or any(z is None for z in seen) else seen[0] if len(seen) == 1 else tuple(seen)
        return outputs, whole, self.model.penalties()


def losses_of(model: Model, tasks: Sequence[Task]) -> LossesOf:
    """Give the function from a batch to the tasks' losses, where the model stands and at the tasks' null losses."""
    return LossesOf(model, tasks)
