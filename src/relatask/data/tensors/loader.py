"""`Loader`: batches of an epoch, from sources and a sampler; the same ones for the same seed, epoch and step."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from relatask.data.batch import Batch
from relatask.data.tensors.dealing import Draw, Sampler
from relatask.data.tensors.prefetch import ahead
from relatask.data.tensors.samplers import SAMPLERS, Proportional, Together, sampler
from relatask.data.tensors.sources import Source
from relatask.notices import InputError


@dataclass(frozen=True)
class Count:
    """What a task got to see in an epoch.

    Parameters
    ----------
    steps : int
        Batches with at least one of its labels.
    rows : int
        Rows read of the sources that have the task, a row counting as often as it was read.
    labels : int
        Those with a label of the task.
    """

    steps: int
    rows: int
    labels: int


class Loader:
    """Batches from one or more sources.

    Parameters
    ----------
    sources : Source or sequence of Source
        One with all tasks, or several.
    batch_size : int
        Rows of a batch.
    sampler : Sampler or str, optional
        How batches are dealt to the sources; by default `Proportional` for one source, and `Together` for several:
        every step then sees every task, without which a balancer of gradients has nothing to balance.
    seed : int
        Of the order of rows.
    prefetch : int
        How many batches a thread reads ahead; worth it where reading is slow (pictures). 0 for none.

    Raises
    ------
    InputError
        For no source, an empty one, a batch size below 1, an unknown sampler, or reading ahead of what draws from
        torch's own generator, which training draws from at the same time.

    Examples
    --------
    >>> from relatask.data.tensors import Columns
    >>> loader = Loader(Columns(np.zeros((5, 2)), {"a": [0.0, 1.0, float("nan"), 3.0, 4.0]}), batch_size=2)
    >>> sorted(len(batch[0].x) for batch in loader.epoch(0))
    [1, 2, 2]
    >>> loader.counts(0)
    {'a': Count(steps=3, rows=5, labels=4)}
    """

    def __init__(
        self,
        sources: Source | Sequence[Source],
        batch_size: int = 128,
        sampler: Sampler | str | None = None,
        seed: int = 0,
        prefetch: int = 0,
    ) -> None:
        self.sources = (sources,) if isinstance(sources, Source) else tuple(sources)
        self.batch_size = batch_size
        self.seed = seed
        self.prefetch = prefetch
        if not self.sources:
            raise InputError("a loader needs a source; got none. Give Columns(x, {task: labels}), for example.")
        for k, source in enumerate(self.sources):
            if not isinstance(source, Source):
                raise InputError(
                    f"source {k} is a {type(source).__name__}; expected a Source, such as Columns, LongTable or "
                    "TorchDataset(dataset, tasks)."
                )
            if not len(source):
                raise InputError(f"source {k} (of {', '.join(map(repr, source.tasks))}) has no row; leave it out.")
            if prefetch and source.draws_globally:
                raise InputError(
                    f"prefetch={prefetch!r}: source {k} (of {', '.join(map(repr, source.tasks))}) draws from torch's "
                    "own generator, as training does meanwhile: runs would differ. Give prefetch=0, or TorchLoaders "
                    "with DataLoaders that have workers."
                )
        if not batch_size >= 1:
            raise InputError(f"batch_size={batch_size!r}; expected a whole number >= 1.")
        self.sampler = bound(sampler, [source.tasks for source in self.sources])
        self.plan(0)  # what does not fit is told now, not in the middle of a run
        self._labelled: dict[tuple[int, Hashable], np.ndarray] = {}

    @property
    def tasks(self) -> tuple[Hashable, ...]:
        """The tasks of all sources, each once."""
        return tuple(dict.fromkeys(task for source in self.sources for task in source.tasks))

    def plan(self, epoch: int) -> list[Draw]:
        """Give the draws of an epoch: for every step the sources and rows it reads."""
        rng = np.random.default_rng((self.seed, crc32(b"sampler"), epoch))
        return list(self.sampler.draws([len(source) for source in self.sources], self.batch_size, rng))

    def steps(self, epoch: int = 0) -> int:
        """Give how many batches an epoch has."""
        return len(self.plan(epoch))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Give the batches of an epoch, from step `start` on."""
        batches = self._read(epoch, start)
        return ahead(batches, self.prefetch) if self.prefetch else batches

    def _read(self, epoch: int, start: int) -> Iterator[Batch]:
        for step, draw in enumerate(self.plan(epoch)):
            if step >= start:
                seed = (self.seed, crc32(b"rows"), epoch, step)
                yield tuple(self.sources[source].part(rows, seed) for source, rows in draw)

    def counts(self, epoch: int = 0) -> dict[Hashable, Count]:
        """Give what each task gets to see in an epoch, counted from its plan."""
        found = {task: [0, 0, 0] for task in self.tasks}
        for draw in self.plan(epoch):
            seen: set[Hashable] = set()
            for source, rows in draw:
                for task in self.sources[source].tasks:
                    labels = int(self._observed(source, task)[rows].sum())
                    found[task][1] += len(rows)
                    found[task][2] += labels
                    if labels:
                        seen.add(task)
            for task in seen:
                found[task][0] += 1
        return {task: Count(*numbers) for task, numbers in found.items()}

    def _observed(self, source: int, task: Hashable) -> np.ndarray:
        if (source, task) not in self._labelled:
            self._labelled[source, task] = self.sources[source].labelled(task)
        return self._labelled[source, task]


def bound(chosen: Sampler | str | None, tasks: Sequence[tuple[Hashable, ...]]) -> Sampler:
    """Give the sampler that was asked for, or the default, for sources with these tasks."""
    if chosen is None:
        chosen = Proportional() if len(tasks) == 1 else Together()
    elif isinstance(chosen, str):
        chosen = sampler(chosen)
    elif not isinstance(chosen, Sampler):
        raise InputError(
            f"sampler is a {type(chosen).__name__}; expected a Sampler or one of the names {', '.join(SAMPLERS)}."
        )
    return chosen.bind(tasks)
