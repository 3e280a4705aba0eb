"""`Grouped`: rows that each belong to one task, trained by one loss; each row's output is its own task's."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import nn

from relatask.nets import HardSharing, Model

LABELS = "labels"
CODES = "task"


class Grouped(Model):
    """A model of t tasks as one of a single task, whose rows say by an array "task" (n,) which of the t they are of.

    What t losses over a handful of rows each would cost is then the cost of one; rows count alike.

    Parameters
    ----------
    inner : Model
        Of t tasks whose outputs are of one width.
    """

    def __init__(self, inner: Model) -> None:
        super().__init__({LABELS: nn.Identity()})
        self.inner = inner

    def forward(self, x: Mapping[str, Any], tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Give each row's output for its own task."""
        codes = x[CODES]
        found = self.inner({key: value for key, value in x.items() if key != CODES})
        outputs = torch.stack(list(found.values()), 1)
        if self.training:
            for name, value in self.inner.penalties().items():
                self.add_penalty(name, value)
        for name, gate in self.inner.gates().items():
            self.show_gate(name, gate)
        return {LABELS: outputs[torch.arange(len(codes), device=codes.device), codes]}

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give hard sharing of a linear layer, its rows by task."""
        return cls(HardSharing.example(tasks, features))

    def learn_more(self) -> None:
        """Let the relations of the inner model learn."""
        self.inner.learn_relation()
