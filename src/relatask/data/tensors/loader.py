"""`Loader`: batches of an epoch, from sources and a sampler; the same ones for the same seed, epoch and step."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from zlib import crc32

import numpy as np

from relatask.data.batch import Batch
from relatask.data.tensors.samplers import Proportional, Sampler
from relatask.data.tensors.sources import Source


class Loader:
    """Batches from one or more sources.

    Parameters
    ----------
    sources : Source or sequence of Source
        One with all tasks, or several.
    batch_size : int
        Rows of a batch.
    sampler : Sampler
        How batches are dealt to the sources.
    seed : int
        Of the order of rows.

    Examples
    --------
    >>> from relatask.data.tensors import Columns
    >>> loader = Loader(Columns(np.zeros((5, 2)), {"a": [0.0] * 5}), batch_size=2)
    >>> [len(batch[0].x) for batch in loader.epoch(0)]
    [2, 2, 1]
    """

    def __init__(
        self,
        sources: Source | Sequence[Source],
        batch_size: int = 128,
        sampler: Sampler | None = None,
        seed: int = 0,
    ) -> None:
        self.sources = (sources,) if isinstance(sources, Source) else tuple(sources)
        self.batch_size = batch_size
        self.sampler = Proportional() if sampler is None else sampler
        self.seed = seed

    @property
    def tasks(self) -> tuple[Hashable, ...]:
        """The tasks of all sources, each once."""
        return tuple(dict.fromkeys(task for source in self.sources for task in source.tasks))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Give the batches of an epoch, from step `start` on."""
        rng = np.random.default_rng((self.seed, crc32(b"sampler"), epoch))
        sizes = [len(source) for source in self.sources]
        for step, draw in enumerate(self.sampler.draws(sizes, self.batch_size, rng)):
            if step >= start:
                seed = (self.seed, crc32(b"rows"), epoch, step)
                yield tuple(self.sources[source].part(rows, seed) for source, rows in draw)
