"""`Heads`: a head for each task, under any name; linear ones of one shape are evaluated as one product."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from relatask.notices import InputError


class Heads(nn.Module):
    """A head for each task.

    Parameters
    ----------
    heads : mapping from task to Module
        In the order of the tasks; names may be anything that hashes.

    Raises
    ------
    InputError
        For no head at all, or what is no module.
    """

    def __init__(self, heads: Mapping[Hashable, nn.Module]) -> None:
        super().__init__()
        if not heads:
            raise InputError("there is no head; give one for each task: {'price': torch.nn.Linear(8, 1)}.")
        for name, head in heads.items():
            if not isinstance(head, nn.Module):
                raise InputError(f"the head of task {name!r} is {head!r:.60}; expected a torch.nn.Module.")
        self.names = tuple(heads)
        self._place = {name: k for k, name in enumerate(self.names)}
        self.modules_ = nn.ModuleList(heads.values())

    def __getitem__(self, task: Hashable) -> nn.Module:
        return self.modules_[self._place[task]]

    def __contains__(self, task: Hashable) -> bool:
        return task in self._place

    def __len__(self) -> int:
        return len(self.names)

    def forward(self, z: Any, tasks: Sequence[Hashable]) -> dict[Hashable, Any]:
        """Give every task's output from one representation."""
        return {task: self[task](z) for task in tasks}

    def matrix(self) -> Tensor:
        """Give W (t, d): each head's weights (all but biases), flattened.

        Raises
        ------
        InputError
            Where heads have different numbers of weights.
        """
        rows = [
            torch.cat([p.reshape(-1) for name, p in head.named_parameters() if p.ndim > 1] or [torch.zeros(0)])
            for head in self.modules_
        ]
        sizes = {len(row) for row in rows}
        if len(sizes) > 1:
            told = ", ".join(f"{name!r} {len(row)}" for name, row in zip(self.names, rows, strict=True))
            raise InputError(
                f"a relation ties heads of one shape; these have different numbers of weights: {told}. Give heads of "
                "one shape, or leave the relation out."
            )
        return torch.stack(rows)
