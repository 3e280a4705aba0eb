"""Hierarchical sharing: tasks leave a common body at different depths, and may pass their output on to later ones."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.stages import Stages, build, small
from relatask.nets.tie import Tie
from relatask.notices import InputError
from relatask.relations import Relation


class Hierarchical(Model):
    """Stages one after the other; task k's head stands after stage d_k, and may be fed an earlier task's output.

    ``h_l = stage_l(h_{l-1})``, ``output_k = head_k([h_{d_k}, output_j])`` with j = feeds[k], where there is one. What
    is fed is joined along the last axis: per token where both tasks are per token; an output for the whole row is
    repeated for each token.

    Parameters
    ----------
    stages : sequence of functions
        Each makes a stage of the body.
    heads : mapping from task to Module
        A head for each task; one that is fed takes its stage's features and the other's outputs.
    depth : mapping from task to int
        After how many stages (1, 2, ...) each task's head stands.
    feeds : mapping from task to task, optional
        {later: earlier}: whose output a head takes beside the body's. The earlier one must not stand deeper.
    detach : bool
        Cut what is fed from its task: then the later task's loss does not train the earlier one's head.
    relation : Relation or Tie, optional
        What ties the heads together: a penalty on `task_matrix`.

    Raises
    ------
    InputError
        For depths out of range, tasks that are not there, and feeds that go down or round in a circle.

    References
    ----------
    Sogaard and Goldberg 2016, Deep multi-task learning with low level tasks supervised at lower layers, ACL; Hashimoto
    et al. 2017, A joint many-task model, EMNLP (outputs that are fed on).

    Examples
    --------
    >>> stages = [lambda: nn.Linear(5, 8), lambda: nn.Linear(8, 8)]
    >>> heads = {"tag": nn.Linear(8, 3), "intent": nn.Linear(8 + 3, 2)}
    >>> model = Hierarchical(stages, heads, depth={"tag": 1, "intent": 2}, feeds={"intent": "tag"})
    >>> {task: tuple(output.shape) for task, output in model(torch.zeros(4, 5)).items()}
    {'tag': (4, 3), 'intent': (4, 2)}
    """

    def __init__(
        self,
        stages: Stages,
        heads: Mapping[Hashable, nn.Module] | Heads,
        depth: Mapping[Hashable, int],
        feeds: Mapping[Hashable, Hashable] | None = None,
        detach: bool = False,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        self.stages = nn.ModuleList(build(stages, "Hierarchical"))
        self.depth, self.feeds, self.detach = dict(depth), dict(feeds or {}), detach
        self._check()

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Run the stages that are needed, and give every task's output."""
        asked = self.asked(tasks)
        needed = {name for task in asked for name in self.chain(task)}
        levels = [x]
        for stage in list(self.stages)[: max((self.depth[task] for task in needed), default=0)]:
            levels.append(stage(levels[-1]))
        outputs: dict[Hashable, Any] = {}
        for task in asked:
            for name in reversed(self.chain(task)):
                if name not in outputs:
                    outputs[name] = self.heads[name](self._input(name, levels, outputs))
        return {task: outputs[task] for task in asked}

    def chain(self, task: Hashable) -> list[Hashable]:
        """Give the task, the one that feeds it, the one that feeds that, and so on."""
        found = [task]
        while found[-1] in self.feeds:
            found.append(self.feeds[found[-1]])
        return found

    def own(self, task: Hashable) -> Iterable[nn.Module | Parameter]:
        """The stages and heads that the loss of no other task reaches."""
        reached = {name: self._reached(name) for name in self.tasks}
        others = {id(module) for name in self.tasks if name != task for module in reached[name]}
        return [module for module in reached[task] if id(module) not in others]

    def _reached(self, task: Hashable) -> list[nn.Module]:
        trained = self.chain(task)[:1] if self.detach else self.chain(task)
        return [*list(self.stages)[: self.depth[task]], *(self.heads[name] for name in trained)]

    def _input(self, task: Hashable, levels: Sequence[Any], outputs: Mapping[Hashable, Any]) -> Any:
        h = levels[self.depth[task]]
        if task not in self.feeds:
            return h
        fed = outputs[self.feeds[task]]
        if not isinstance(h, Tensor) or not isinstance(fed, Tensor):
            kind = type(fed if isinstance(h, Tensor) else h).__name__
            raise InputError(f"Hierarchical: task {task!r} is fed a {kind}; only tensors can be joined.")
        if fed.ndim + 1 == h.ndim:
            fed = fed.unsqueeze(1).expand(*h.shape[:-1], fed.shape[-1])
        if fed.shape[:-1] != h.shape[:-1]:
            raise InputError(
                f"Hierarchical: task {task!r} takes {tuple(h.shape)} and is fed {tuple(fed.shape)} by "
                f"{self.feeds[task]!r}; all axes but the last must agree."
            )
        return torch.cat([h, fed.detach() if self.detach else fed], -1)

    def _check(self) -> None:
        for what, names in (("depth", self.depth), ("feeds", [*self.feeds, *self.feeds.values()])):
            for task in names:
                if task not in self.heads:
                    raise InputError(f"Hierarchical: {what} names {task!r}, which has no head; give one, or leave it.")
        for task in self.tasks:
            depth = self.depth.get(task)
            if not isinstance(depth, int) or not 1 <= depth <= len(self.stages):
                raise InputError(
                    f"Hierarchical: the depth of task {task!r} is {depth!r}; how many of the {len(self.stages)} stages "
                    "it takes is needed: 1, 2, ..."
                )
        for later, earlier in self.feeds.items():
            if self.depth[earlier] > self.depth[later]:
                raise InputError(
                    f"Hierarchical: {earlier!r} (depth {self.depth[earlier]}) cannot feed {later!r} (depth "
                    f"{self.depth[later]}): it stands deeper. Let it feed the other way, or change the depths."
                )
            found = later
            for _ in self.tasks:
                found = self.feeds.get(found, self)
            if found is not self:
                raise InputError(f"Hierarchical: feeds go round in a circle through {later!r}; leave one of them out.")

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give one of two stages: the first task after one, the others after both, the last fed the first's output."""
        first, last = tasks[0], tasks[-1]
        fed = {last: first} if len(tasks) > 2 else {}
        heads = {task: nn.Linear(6 + (task in fed), 1) for task in tasks}
        return cls(small(features, 6, 6), heads, {task: 1 if task == first else 2 for task in tasks}, fed)
