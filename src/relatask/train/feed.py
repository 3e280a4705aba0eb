"""`Feed`: the batches of each step, as a pure function of where the run stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from relatask.balance import Comm
from relatask.data.batch import Batch
from relatask.notices import InputError
from relatask.train.ranks import share
from relatask.train.step import Step


class Feed:
    """The batches of each step: `draws` (or `accumulate`) training batches, and validation batches after them.

    Validation batches that a step trains on come from an endless stream of the validation loader's epochs.

    Parameters
    ----------
    train, valid : Loader
        ``epoch(epoch, start)`` gives the same batches whenever it is asked.
    step : Step
        Who eats them.
    accumulate : int
        Parts of a batch.
    comm : Comm, optional
        The ranks, each of which gets its rows.
    """

    def __init__(self, train: Any, valid: Any, step: Step, accumulate: int = 1, comm: Comm | None = None) -> None:
        self.train, self.valid, self.step, self.accumulate, self.comm = train, valid, step, accumulate, comm
        self.size = step.draws * accumulate
        self.valid_epoch, self.valid_at = 0, 0
        self._stream: Iterator[Batch] | None = None

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Batch, ...]]:
        """Give the steps' batches of an epoch, from the step `start` on."""
        held: list[Batch] = []
        given = start
        for batch in self.train.epoch(epoch, start * self.size):
            held.append(share(batch, self.comm))
            if len(held) == self.size:
                yield self._with_valid(held)
                held, given = [], given + 1
        if held and self.accumulate > 1:
            yield self._with_valid(held)
        elif not given:
            raise InputError(
                f"epoch {epoch} has {len(held)} batches, and {type(self.step).__name__} needs {self.size} for a step; "
                "give more rows, or smaller batches."
            )

    def steps(self, epoch: int = 0) -> int | None:
        """Count the steps of an epoch, without reading a row where the loader can tell; None where it cannot."""
        batches = batches_of(self.train, epoch)
        if batches is None:
            return None
        return -(-batches // self.size) if self.accumulate > 1 else batches // self.size

    def _with_valid(self, held: list[Batch]) -> tuple[Batch, ...]:
        return (*held, *(self._next_valid() for _ in range(self.step.valid_draws)))

    def _next_valid(self) -> Batch:
        for _ in range(2):
            if self._stream is None:
                self._stream = self.valid.epoch(self.valid_epoch, self.valid_at)
            for batch in self._stream:
                self.valid_at += 1
                return share(batch, self.comm)
            self._stream, self.valid_epoch, self.valid_at = None, self.valid_epoch + 1, 0
        raise InputError("the validation loader gives no batch; give it rows, or a step that needs none.")

    def state(self) -> dict[str, int]:
        """Give where the validation batches stand, for a checkpoint."""
        return {"valid_epoch": self.valid_epoch, "valid_at": self.valid_at}

    def load(self, state: dict[str, int]) -> None:
        """Go on where a checkpoint stood."""
        self.valid_epoch, self.valid_at, self._stream = state["valid_epoch"], state["valid_at"], None


def batches_of(loader: Any, epoch: int) -> int | None:
    """Count the batches of an epoch."""
    steps = getattr(loader, "steps", None)
    if steps is not None:
        return int(steps(epoch))
    if not all(hasattr(loader, name) for name in ("sampler", "sources", "batch_size")):
        return None
    sizes = [len(source) for source in loader.sources]
    return sum(1 for _ in loader.sampler.draws(sizes, loader.batch_size, np.random.default_rng(epoch)))
