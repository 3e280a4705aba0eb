"""Losses and metrics of a model on data that it is not trained on, and its answers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from relatask.data.batch import Batch, Part
from relatask.data.tensors import Columns, Source
from relatask.kinds import kind_of
from relatask.nets.model import Model
from relatask.notices import InputError
from relatask.tasks import Task
from relatask.train.labels import summed
from relatask.train.losses import LossesOf, Place

Values = dict[tuple[Hashable, str], float]


@torch.no_grad()
def evaluated(losses_of: LossesOf, batches: Iterable[Batch]) -> tuple[Values, dict[Hashable, float]]:
    """Give each task's mean loss per label, its delta and its meters' values; and how many labels there were.

    The loss is the kind's own, not divided by anything; ``delta = 1 - loss / null loss``.
    """
    model = losses_of.model
    sums: dict[Hashable, Tensor] = {}
    counts: dict[Hashable, float] = {}
    meters: dict[Hashable, Mapping[str, Any]] = {
        name: kind_of(task).meters(task) for name, task in losses_of.tasks.items()
    }
    was, _ = model.training, model.eval()
    try:
        for batch in batches:
            read = [losses_of.read(part) for part in batch]
            with losses_of.place.autocast():
                outputs, _, _ = losses_of.run(batch, read)
                for found, given in zip(read, outputs, strict=True):
                    for name, labels in found.items():
                        if not labels.total:
                            continue
                        task = losses_of.tasks[name]
                        total = summed(task, given[name], labels).double()
                        sums[name] = sums[name] + total if name in sums else total
                        counts[name] = counts.get(name, 0.0) + labels.total
                        rows = labels.rows
                        chosen = given[name] if rows is None else kind_of(task).take(given[name], rows)
                        if meters[name]:
                            seen = kind_of(task).watched(chosen, labels.target, task)
                            for meter in meters[name].values():
                                meter.update(*seen)
    finally:
        model.train(was)
    values: Values = {}
    for name, total in sums.items():
        loss = float(total) / counts[name]
        values[name, "loss"] = loss
        values[name, "delta"] = 1 - loss / losses_of.scales[name]
        if meters[name]:
            from relatask.kinds.meters import readings  # torchmetrics, which is loaded by now

            values |= {(name, metric): value for metric, value in readings(meters[name]).items() if value == value}
    return values, counts


@torch.no_grad()
def answers(
    model: Model,
    tasks: Sequence[Task],
    data: Any,
    wanted: Sequence[Hashable] | None = None,
    *,
    place: Place | None = None,
    batch_size: int = 512,
) -> dict[Hashable, Any]:
    """Give the answers of some tasks for every row, in order: one pass through the trunk.

    Parameters
    ----------
    model : Model
        In whatever mode; it answers in eval mode.
    tasks : sequence of Task
        All tasks of the model.
    data : Source, Loader, tensor, array, or mapping from modality to such
        Rows; of a loader, all sources, one after the other, each in its order.
    wanted : sequence of task, optional
        All by default. Of a loader with several sources, a task has answers for the rows of the sources that have it.
    place : Place, optional
        Where the model stands.
    batch_size : int
        Rows at once.

    Raises
    ------
    InputError
        For unknown tasks, or data of no known kind.
    """
    place = Place(*_standing(model)) if place is None else place
    by_name = {task.name: task for task in tasks}
    unknown = [name for name in wanted or () if name not in by_name]
    if unknown:
        raise InputError(f"there is no task {unknown[0]!r}; the tasks are {', '.join(map(str, by_name))}.")
    sources = _sources(data)
    found: dict[Hashable, list[Any]] = {}
    was, _ = model.training, model.eval()
    try:
        for source in sources:
            known = [name for name in by_name if not source.tasks or len(sources) == 1 or name in source.tasks]
            names = tuple(name for name in known if wanted is None or name in wanted)
            for begin in range(0, len(source) if names else 0, batch_size):
                part: Part = source.part(np.arange(begin, min(begin + batch_size, len(source))))
                with place.autocast():
                    outputs = model(place.move(part.x), names)
                for name in names:
                    found.setdefault(name, []).append(kind_of(by_name[name]).answer(outputs[name], by_name[name]))
    finally:
        model.train(was)
    return {name: kind_of(by_name[name]).join(found[name]) for name in by_name if name in found}


def _sources(data: Any) -> tuple[Source, ...]:
    if isinstance(data, Source):
        return (data,)
    if hasattr(data, "sources"):
        return tuple(data.sources)
    if isinstance(data, Tensor | np.ndarray | Mapping | list):
        return (Columns(data, {}),)
    raise InputError(f"{data!r:.60} cannot be predicted for; give a Source, a Loader, a tensor or an array.")


def _standing(model: Model) -> tuple[torch.device | None, torch.dtype | None]:
    for p in model.parameters():
        if p.is_floating_point():
            return p.device, p.dtype
    return None, None
