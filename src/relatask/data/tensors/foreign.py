"""Data that come as torch knows them: a map-style Dataset, or a DataLoader for each task."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, SequentialSampler
from torch.utils.data import default_collate as collate

from relatask.data.batch import Batch, Part
from relatask.data.tensors.dealing import Sampler
from relatask.data.tensors.loader import Count, bound
from relatask.data.tensors.samplers import Together
from relatask.data.tensors.seeding import seeded
from relatask.data.tensors.sources import Source, observed
from relatask.notices import InputError


class TorchDataset(Source):
    """Any map-style torch Dataset of ``(x, y)`` or ``(x, {task: y})``.

    Rows of a batch are read one by one and collated as torch's DataLoader does; what a dataset draws at random (from
    torch, numpy or random) is drawn from the batch's seed. Labels that cannot be stacked (None, boxes) stay a list.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        With ``__len__`` and ``__getitem__``.
    tasks : sequence of task names
        One where the dataset gives plain labels; else those it gives, each row all of them.

    Raises
    ------
    InputError
        For a dataset without a length, and rows that are not as said.

    Examples
    --------
    >>> rows = torch.utils.data.TensorDataset(torch.zeros(3, 2), torch.tensor([0, 1, 2]))
    >>> TorchDataset(rows, ["digit"]).part(np.array([2, 1])).y
    {'digit': tensor([2, 1])}
    """

    draws_globally = True

    def __init__(self, dataset: Any, tasks: Sequence[Hashable]) -> None:
        if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
            raise InputError(
                f"{type(dataset).__name__} has no length and no rows to choose from; give a map-style Dataset, or "
                "TorchLoaders({task: DataLoader}) for a stream."
            )
        self.dataset = dataset
        self._tasks = tuple(tasks)
        if len(self):
            _labels(dataset[0], self._tasks)

    @property
    def tasks(self) -> tuple[Hashable, ...]:
        """The tasks, in the order given."""
        return self._tasks

    def __len__(self) -> int:
        return len(self.dataset)

    def part(self, rows: np.ndarray, seed: tuple[int, ...] = (0,)) -> Part:
        """Give some rows."""
        with seeded(seed):
            found = [self.dataset[row] for row in rows.tolist()]
        labels = [_labels(row, self._tasks) for row in found]
        y = {task: _collated([row[task] for row in labels]) for task in self._tasks}
        return Part(collate([row[0] for row in found]), y, None, torch.from_numpy(np.asarray(rows)))


class TorchLoaders:
    """A DataLoader for each task, in the place of a `Loader`.

    A source is a DataLoader, its rows are its batches, in the order it gives them; an exhausted one begins again. To be
    repeatable, and so that a run that was stopped can go on bit-equal, a DataLoader's generator is seeded with (seed,
    task, pass), and what its dataset draws at random with the step; a resumed epoch is replayed from its beginning.
    That cannot be done for a stream (IterableDataset) or a sampler of one's own: with those, going on in the middle is
    refused. A DataLoader with workers seeds them itself, from its generator.

    Parameters
    ----------
    loaders : mapping from task to DataLoader
        Of ``(x, y)`` or ``(x, {task: y})`` batches; under the name of a task, or of anything where y names its tasks.
    sampler : Sampler or str, optional
        As for `Loader`, whose default it shares; `Together` takes a batch of each loader at every step, as many as the
        longest has, because their sizes are their own.
    seed : int
        Of everything that is drawn.

    Raises
    ------
    InputError
        For what is no DataLoader, or an empty one, or one without a length, and when a run cannot be resumed.

    Examples
    --------
    >>> rows = torch.utils.data.TensorDataset(torch.zeros(4, 2), torch.tensor([0, 1, 2, 3]))
    >>> train = TorchLoaders({"digit": DataLoader(rows, batch_size=2)})
    >>> [part.y["digit"].tolist() for (part,) in train.epoch(0)]
    [[0, 1], [2, 3]]
    """

    def __init__(
        self, loaders: Mapping[Hashable, DataLoader[Any]], sampler: Sampler | str | None = None, seed: int = 0
    ) -> None:
        if not loaders:
            raise InputError(
                "there is no DataLoader; give one for each task: TorchLoaders({'digit': DataLoader(rows)})."
            )
        for task, loader in loaders.items():
            if not isinstance(loader, DataLoader):
                raise InputError(f"task {task!r}: expected a torch DataLoader, got a {type(loader).__name__}.")
            if isinstance(loader.dataset, IterableDataset):
                try:
                    len(loader)
                except TypeError:
                    raise InputError(
                        f"task {task!r}: the DataLoader's dataset is a stream without a length, so an epoch has no "
                        "end; give the dataset a __len__."
                    ) from None
            if not len(loader):
                raise InputError(f"the DataLoader of task {task!r} gives no batch; leave it out.")
        self.loaders = dict(loaders)
        self.seed = seed
        self.sources = tuple(_Batches(task, loader, seed) for task, loader in self.loaders.items())
        self.sampler = bound(sampler, [source.tasks for source in self.sources])
        self._next = (0, 0)
        self._counts: dict[int, dict[Hashable, list[int]]] = {}

    @property
    def tasks(self) -> tuple[Hashable, ...]:
        """The tasks of all loaders, each once."""
        return tuple(dict.fromkeys(task for source in self.sources for task in source.tasks))

    def steps(self, epoch: int = 0) -> int:
        """Give how many batches an epoch has."""
        return len(self._plan(epoch))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Give the batches of an epoch, from step `start` on; those before are read and thrown away."""
        if (start and (epoch, start) != self._next) or (epoch and self._next == (0, 0)):
            self._refuse(epoch, start)
        readings = [_Reading(source, epoch) for source in self.sources]
        tally = self._counts[epoch] = {task: [0, 0, 0] for task in self.tasks}
        for step, draw in enumerate(self._plan(epoch)):
            batch = tuple(readings[source].next((self.seed, crc32(b"rows"), epoch, step)) for source in draw)
            _tallied(tally, batch)
            if step >= start:
                self._next = (epoch, step + 1)
                yield batch
        self._next = (epoch + 1, 0)

    def counts(self, epoch: int = 0) -> dict[Hashable, Count]:
        """Give what each task got to see in an epoch that has been read (so far)."""
        found = self._counts.get(epoch, {task: [0, 0, 0] for task in self.tasks})
        return {task: Count(*numbers) for task, numbers in found.items()}

    def _plan(self, epoch: int) -> list[tuple[int, ...]]:
        rng = np.random.default_rng((self.seed, crc32(b"sampler"), epoch))
        sizes = [source.batches for source in self.sources]
        if isinstance(self.sampler, Together):
            return [tuple(range(len(sizes)))] * max(sizes)
        draws = self.sampler.draws(sizes, 1, rng)
        return [tuple(source for source, rows in draw for _ in rows[:1]) for draw in draws]

    def _refuse(self, epoch: int, start: int) -> None:
        for source in self.sources:
            if why := source.unrepeatable:
                raise InputError(
                    f"the DataLoader of task {source.task!r} cannot go on at epoch {epoch}, step {start}: {why}, so "
                    "its order cannot be repeated. Use shuffle=True or no sampler, or TorchDataset with a Loader."
                )


class _Batches(Source):
    """One DataLoader, read batch by batch, seeded by the epoch and how often it began in it; or row by row."""

    draws_globally = True

    def __init__(self, task: Hashable, loader: DataLoader[Any], seed: int) -> None:
        self.task = task
        self.loader = loader
        self.seed = seed
        self.batches = len(loader)
        self.unrepeatable = _unrepeatable(loader)
        with seeded((seed, 0)):
            first = next(iter(loader))
        self._tasks: tuple[Hashable, ...] = tuple(first[1]) if isinstance(first[1], Mapping) else (task,)

    @property
    def tasks(self) -> tuple[Hashable, ...]:
        return self._tasks

    def __len__(self) -> int:
        if isinstance(self.loader.dataset, IterableDataset):
            raise InputError(f"the DataLoader of task {self.task!r} reads a stream, whose rows cannot be chosen.")
        return len(self.loader.dataset)  # type: ignore[arg-type]

    def part(self, rows: np.ndarray, seed: tuple[int, ...] = (0,)) -> Part:
        """Give some rows of the dataset, collated as the DataLoader does."""
        together = collate if self.loader.collate_fn is None else self.loader.collate_fn
        with seeded(seed):
            batch = together([self.loader.dataset[row] for row in rows.tolist()])
        return Part(batch[0], _labels(batch, self._tasks), None, torch.from_numpy(np.asarray(rows)))

    def target(self, task: Hashable) -> Any:
        """Give all labels of a task, in the order of one pass."""
        with seeded((self.seed, 0)):
            found = [_labels(batch, self._tasks)[task] for batch in self.loader]
        if all(isinstance(values, torch.Tensor) for values in found):
            return torch.cat(found)
        return [value for values in found for value in values]


class _Reading:
    """One epoch of a DataLoader, which begins anew where it ends; several may be read at a time."""

    def __init__(self, source: _Batches, epoch: int) -> None:
        self._source, self._epoch, self._passes = source, epoch, 0
        self._rest: Iterator[Any] = iter(())

    def next(self, seed: tuple[int, ...]) -> Part:
        """Give the next batch."""
        with seeded((*seed, crc32(repr(self._source.task).encode()))):
            batch = next(self._rest, None)
            if batch is None:
                self._rest = self._again()
                batch = next(self._rest)
        return Part(batch[0], _labels(batch, self._source.tasks))

    def _again(self) -> Iterator[Any]:
        source = self._source
        number = (source.seed, crc32(repr(source.task).encode()), self._epoch, self._passes)
        generator = torch.Generator().manual_seed(int(np.random.default_rng(number).integers(2**62)))
        self._passes += 1
        source.loader.generator = generator
        if isinstance(source.loader.sampler, RandomSampler):
            source.loader.sampler.generator = generator
        return iter(source.loader)


def _unrepeatable(loader: DataLoader[Any]) -> str:
    if isinstance(loader.dataset, IterableDataset):
        return "its dataset is a stream"
    if type(loader.batch_sampler) not in (BatchSampler, type(None)):
        return f"it has a batch sampler of its own ({type(loader.batch_sampler).__name__})"
    if type(loader.sampler) not in (RandomSampler, SequentialSampler):
        return f"it has a sampler of its own ({type(loader.sampler).__name__})"
    return ""


def _labels(row: Any, tasks: tuple[Hashable, ...]) -> dict[Hashable, Any]:
    """Give the labels of a row or of a batch by task."""
    if not isinstance(row, tuple | list) or len(row) != 2:
        raise InputError(f"the dataset gives {_told(row)}; expected (x, y), or (x, {{task: y}}).")
    y = row[1]
    if not isinstance(y, Mapping) or (len(tasks) == 1 and tasks[0] not in y):
        if len(tasks) != 1:
            raise InputError(f"the dataset gives one label a row for {len(tasks)} tasks; expected {{task: y}}.")
        return {tasks[0]: y}
    for task in tasks:
        if task not in y:
            raise InputError(f"the dataset gives labels of {', '.join(map(repr, y))}, but none of task {task!r}.")
    return {task: y[task] for task in tasks}


def _collated(values: list[Any]) -> Any:
    if any(value is None or isinstance(value, Mapping) for value in values):
        return values
    found = collate(values)
    return found.float() if isinstance(found, torch.Tensor) and found.dtype == torch.double else found


def _tallied(tally: dict[Hashable, list[int]], batch: Batch) -> None:
    labels = dict.fromkeys(tally, 0)
    for part in batch:
        for task, values in part.y.items():
            labels[task] += int(observed(values).sum())
            tally[task][1] += len(values)
    for task, n in labels.items():
        tally[task][0] += n > 0
        tally[task][2] += n


def _told(row: Any) -> str:
    return f"{len(row)} values a row" if isinstance(row, tuple | list) else f"a {type(row).__name__} a row"
