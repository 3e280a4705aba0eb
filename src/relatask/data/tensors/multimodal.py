"""Several modalities of the same rows: a source for each, in rows of its own choosing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch

from relatask.data.batch import Part
from relatask.data.tensors.sources import Columns, Source
from relatask.notices import InputError


class Multimodal(Source):
    """Rows that are seen in several ways: ``x = {modality: (n, ...)}``, each from a source of its own.

    Parameters
    ----------
    sources : mapping from modality to Source
        Where the inputs come from; their own labels are not read.
    y : mapping from task to tensor, array or list
        n labels of each task.
    rows : mapping from modality to array (n,), optional
        Which row of its source each row takes, -1 where it has none (all NaN, as `relatask.nets.Modalities` expects of
        what is missing); by default the same row in all.
    weight : tensor or array (n,), optional
        Weights of the rows.

    Raises
    ------
    InputError
        Where lengths differ, or rows are named that a source does not have.

    Examples
    --------
    >>> sound, picture = Columns(torch.ones(2, 3), {}), Columns(torch.ones(5, 4), {})
    >>> rows = {"sound": [0, 1, -1], "picture": [4, 4, 0]}
    >>> both = Multimodal({"sound": sound, "picture": picture}, {"digit": [7, 7, 1]}, rows)
    >>> both.part(np.array([0, 2])).x["sound"].tolist()
    [[1.0, 1.0, 1.0], [nan, nan, nan]]
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        y: Mapping[Hashable, Any],
        rows: Mapping[str, Any] | None = None,
        weight: Any = None,
    ) -> None:
        self.sources = dict(sources)
        if not self.sources or (rows is not None and set(rows) != set(self.sources)):
            raise InputError(f"sources of {list(sources)}, rows of {list(rows or ())}; expected the same modalities.")
        chosen = {name: np.arange(len(source)) for name, source in sources.items()} if rows is None else rows
        self.rows = {name: np.asarray(chosen[name]) for name in self.sources}
        sizes = {name: len(found) for name, found in self.rows.items()}
        if len(set(sizes.values())) > 1:
            raise InputError(f"modalities have different numbers of rows: {sizes}; pair them by rows={{...}}.")
        for name, found in self.rows.items():
            if len(found) and not -1 <= found.min() <= found.max() < len(self.sources[name]):
                raise InputError(
                    f"modality {name!r}: rows from {found.min()} to {found.max()}; its source has 0 to "
                    f"{len(self.sources[name]) - 1}, and -1 stands for none."
                )
        self._plain = Columns(np.arange(next(iter(sizes.values()))), y, weight)
        self.draws_globally = any(source.draws_globally for source in self.sources.values())

    @property
    def tasks(self) -> tuple[Hashable, ...]:
        """The tasks, in the order given."""
        return self._plain.tasks

    def __len__(self) -> int:
        return len(self._plain)

    def part(self, rows: np.ndarray, seed: tuple[int, ...] = (0,)) -> Part:
        """Give some rows."""
        plain = self._plain.part(rows, seed)
        x = {name: self._input(k, name, rows, seed) for k, name in enumerate(self.sources)}
        return Part(x, plain.y, plain.weight, plain.index)

    def weights(self, task: Hashable) -> torch.Tensor | None:
        """The rows' weights."""
        return self._plain.weight

    def target(self, task: Hashable) -> Any:
        """All labels of a task."""
        return self._plain.target(task)

    def _input(self, k: int, name: str, rows: np.ndarray, seed: tuple[int, ...]) -> torch.Tensor:
        found = self.rows[name][rows]
        x: torch.Tensor = self.sources[name].part(found.clip(min=0), (*seed, k)).x
        if (found < 0).any():
            x = x.float() if not x.is_floating_point() else x.clone()
            x[torch.from_numpy(found < 0)] = float("nan")
        return x
