"""`Heads`: a head for each task, under any name; those of one shape are evaluated as one product."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from relatask.nets.joined import columns, shape_of
from relatask.notices import InputError


class Heads(nn.Module):
    """A head for each task.

    Heads of one shape, linear or a `Sequential` of linear layers and activations, can be evaluated as one product:
    their Parameters, which stay their own, are put together in the forward pass, and the outputs are views of one
    tensor. Then a hundred heads cost about as much as ten. But every loss reaches every head of the group, with
    gradients of zero: right where one scalar is descended, wrong where each task's gradient is asked for by itself. So
    it is done where nothing is differentiated, and elsewhere only after `Model.join`.

    Parameters
    ----------
    heads : mapping from task to Module
        In the order of the tasks; names may be anything that hashes.

    Raises
    ------
    InputError
        For no head at all, or what is no module.

    Examples
    --------
    >>> heads = Heads({"price": nn.Linear(4, 1), "sold": nn.Linear(4, 1), "kind": nn.Linear(4, 3)})
    >>> heads.joined = True
    >>> {task: tuple(output.shape) for task, output in heads(torch.zeros(2, 4), heads.names).items()}
    {'price': (2, 1), 'sold': (2, 1), 'kind': (2, 3)}
    """

    joined: bool
    """Whether heads of one shape are one product also where gradients are taken: set by `Model.join`."""

    def __init__(self, heads: Mapping[Hashable, nn.Module]) -> None:
        super().__init__()
        if not heads:
            raise InputError("there is no head; give one for each task: {'price': torch.nn.Linear(8, 1)}.")
        for name, head in heads.items():
            if not isinstance(head, nn.Module):
                raise InputError(f"the head of task {name!r} is {head!r:.60}; expected a torch.nn.Module.")
        self.names = tuple(heads)
        self.joined = False
        self._place = {name: k for k, name in enumerate(self.names)}
        self.modules_ = nn.ModuleList(heads.values())

    @property
    def joining(self) -> bool:
        """Whether a pass made now is one product: always where nothing is differentiated."""
        return self.joined or not torch.is_grad_enabled()

    def __getitem__(self, task: Hashable) -> nn.Module:
        return self.modules_[self._place[task]]

    def __contains__(self, task: Hashable) -> bool:
        return task in self._place

    def __len__(self) -> int:
        return len(self.names)

    def forward(self, z: Any, tasks: Sequence[Hashable]) -> dict[Hashable, Any]:
        """Give these tasks' outputs from one representation for all."""
        outputs = dict.fromkeys(tasks)
        for group in self._groups(dict.fromkeys(tasks, z)):
            if len(group) == 1:
                outputs[group[0]] = self[group[0]](z)
            else:
                outputs.update(zip(group, columns([self[task] for task in group], z), strict=True))
        return outputs

    def each(self, z: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Give the outputs of the tasks of a mapping, each from its own representation."""
        outputs = dict.fromkeys(z)
        for group in self._groups(z):
            if len(group) == 1:
                outputs[group[0]] = self[group[0]](z[group[0]])
            else:
                found = columns([self[task] for task in group], [z[task] for task in group])
                outputs.update(zip(group, found, strict=True))
        return outputs

    def matrix(self) -> Tensor:
        """Give W (t, d): each head's weights (all but biases), flattened.

        Raises
        ------
        InputError
            Where heads have different numbers of weights, or none.
        """
        parts = [[p.reshape(-1) for p in head.parameters() if p.ndim > 1] for head in self.modules_]
        sizes = [sum(map(len, part)) for part in parts]
        if len(set(sizes)) > 1 or sizes[0] == 0:
            told = ", ".join(f"{name!r} {size}" for name, size in zip(self.names, sizes, strict=True))
            raise InputError(
                f"a relation ties heads of one shape; these have different numbers of weights, or none: {told}. Give "
                "heads of one shape, or leave the relation out."
            )
        return torch.cat([weight for part in parts for weight in part]).reshape(len(parts), -1)

    def _groups(self, z: Mapping[Hashable, Any]) -> list[list[Hashable]]:
        """Give the tasks in groups whose heads can be one product, in the order of the first of each."""
        if not self.joining:
            return [[task] for task in z]
        groups: dict[tuple[Any, ...], list[Hashable]] = {}
        for task, value in z.items():
            shape = shape_of(self[task]) if isinstance(value, Tensor) else None
            key = ("alone", task) if shape is None else (shape, value.shape, value.dtype)
            groups.setdefault(key, []).append(task)
        return list(groups.values())
