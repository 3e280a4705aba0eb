"""Learning to branch: a tree of stages whose branches are learned with it, and then frozen."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from relatask.nets.cross_stitch import alike
from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.stages import Stages, columns, small
from relatask.nets.tie import Tie
from relatask.notices import InputError
from relatask.relations import Relation


class LearningToBranch(Model):
    """Several nodes at every stage; each node, and each head, learns from which node of the stage below it takes.

    While training, node j takes ``sum_i d_ij h_i`` with ``d_.j = softmax((log-odds_j + Gumbel noise) / temperature)``
    over the nodes i below; `tick` lowers the temperature, so that the choice sharpens. In evaluation, and after
    `freeze`, each takes its likeliest parent alone: a tree, of which only what a task needs is computed.

    Parameters
    ----------
    stages : sequence of functions
        Each makes a stage; called once for each node.
    heads : mapping from task to Module
        A head for each task.
    nodes : int or sequence of int, optional
        How many nodes each stage has; by default as many as there are tasks. At the first stage all take the input.
    temperature : float
        At the start.
    decay : float
        What the temperature is multiplied by at each `tick`.
    coldest : float
        What it does not fall below.
    relation : Relation or Tie, optional
        What ties the heads together: a penalty on `task_matrix`.

    Raises
    ------
    InputError
        For numbers out of range, and nodes of a stage whose outputs differ in shape.

    References
    ----------
    Guo, Lee and Ulbricht 2020, Learning to branch for multi-task learning, ICML, section 3.

    Examples
    --------
    >>> model = LearningToBranch([lambda: nn.Linear(5, 8)], {"a": nn.Linear(8, 1), "b": nn.Linear(8, 1)})
    >>> outputs = model(torch.zeros(3, 5))  # soft while training
    >>> model.tick()  # once an epoch: with `fit`, the callback `relatask.train.Branch` does both
    >>> sorted(model.branches())
    ['a', 'b']
    >>> model.freeze()
    """

    temperature: Tensor
    frozen: Tensor

    def __init__(
        self,
        stages: Stages,
        heads: Mapping[Hashable, nn.Module] | Heads,
        nodes: int | Sequence[int] | None = None,
        temperature: float = 10.0,
        decay: float = 0.9,
        coldest: float = 0.1,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        each = len(self.tasks) if nodes is None else nodes
        counts = list(each) if isinstance(each, Sequence) else [each] * len(stages)
        if len(counts) != len(stages) or not all(isinstance(count, int) and count > 0 for count in counts):
            raise InputError(
                f"LearningToBranch: nodes is {nodes!r} for {len(stages)} stages; give a positive integer, or one for "
                "each stage."
            )
        if not (0 < coldest <= temperature and 0 < decay <= 1):
            raise InputError(
                f"LearningToBranch: temperature={temperature!r}, coldest={coldest!r}, decay={decay!r}; expected 0 < "
                "coldest <= temperature and 0 < decay <= 1."
            )
        bodies = columns(stages, max(counts, default=1), "LearningToBranch")
        self.levels = nn.ModuleList(
            nn.ModuleList(body[number] for body in bodies[:count]) for number, count in enumerate(counts)
        )
        pairs = zip([*counts[1:], len(self.tasks)], counts, strict=True)
        self.odds = nn.ParameterList([Parameter(torch.zeros(children, parents)) for children, parents in pairs])
        """Log-odds of each parent (children, parents): of nodes in the stage below, last of heads in the last stage."""
        self.decay, self.coldest = decay, coldest
        self.register_buffer("temperature", torch.tensor(float(temperature)))
        self.register_buffer("frozen", torch.tensor(False))
        for number, odds in enumerate(self.odds):
            self.register_buffer(f"kept_{number}", torch.zeros(len(odds), dtype=torch.long))

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Give the asked tasks' outputs: of all trees at once while training, of the likeliest one otherwise."""
        asked = self.asked(tasks)
        for number, odds in enumerate(self.odds):
            self.show_gate(f"parents {number + 1}" if number + 1 < len(self.odds) else "heads", odds.softmax(-1))
        held = self._tree(x, asked) if self.frozen or not self.training else self._soft(x)
        return self.heads.each({task: held[task] for task in asked})

    def tick(self) -> None:
        """Lower the temperature."""
        self.temperature.mul_(self.decay).clamp_(min=self.coldest)

    def branches(self) -> dict[Hashable, tuple[int, ...]]:
        """Give each task's likeliest path, or the one that was kept: its node at every stage, first to last."""
        if self.frozen:  # not by the odds: an average of them, which may stand in, can have another likeliest tree
            parents = [self.get_buffer(f"kept_{number}").tolist() for number in range(len(self.odds))]
        else:
            parents = [odds.argmax(-1).tolist() for odds in self.odds]
        paths = {}
        for task, node in zip(self.tasks, parents[-1], strict=True):
            path = [node]
            for chosen in reversed(parents[:-1]):
                path.insert(0, chosen[path[0]])
            paths[task] = tuple(path)
        return paths

    def freeze(self) -> None:
        """Keep the likeliest tree: from now on only its nodes are computed, and learn."""
        if not self.frozen:
            for number, odds in enumerate(self.odds):
                self.get_buffer(f"kept_{number}").copy_(odds.argmax(-1))
        self.frozen.fill_(True)
        used = {place for path in self.branches().values() for place in enumerate(path)}
        for odds in self.odds:
            odds.requires_grad_(False)
        for level, held in enumerate(self.levels):
            for node in range(len(held)):  # type: ignore[arg-type]
                if (level, node) not in used:
                    self._node(level, node).requires_grad_(False)

    def own(self, task: Hashable) -> Iterable[nn.Module | Parameter]:
        """The task's head; after `freeze` also the nodes that no other task passes."""
        if not self.frozen:
            return (self.heads[task],)
        paths = {name: set(enumerate(path)) for name, path in self.branches().items()}
        others = set().union(*(path for name, path in paths.items() if name != task))
        alone = sorted(paths[task] - others)
        return (self.heads[task], *(self._node(level, node) for level, node in alone))

    def _node(self, level: int, node: int) -> nn.Module:
        nodes: Any = self.levels[level]
        return nodes[node]

    def _soft(self, x: Any) -> dict[Hashable, Any]:
        inputs: list[Any] = [x] * len(self.levels[0])  # type: ignore[arg-type]
        for number, odds in enumerate(self.odds):
            outputs = [self._node(number, node)(h) for node, h in enumerate(inputs)]
            noise = -torch.empty_like(odds).exponential_().log()
            choice = ((odds + noise) / self.temperature).softmax(-1)
            named = [f"node {node}" for node in range(len(outputs))]
            inputs = list(torch.tensordot(choice, alike(outputs, named, number, "LearningToBranch"), dims=1))
        return dict(zip(self.tasks, inputs, strict=True))

    def _tree(self, x: Any, asked: Sequence[Hashable]) -> dict[Hashable, Any]:
        paths = self.branches()
        held: dict[tuple[int, ...], Any] = {(): x}
        for task in asked:
            path = paths[task]
            for level, node in enumerate(path):
                if path[: level + 1] not in held:
                    held[path[: level + 1]] = self._node(level, node)(held[path[:level]])
        return {task: held[paths[task]] for task in asked}

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give one of two stages of two and three nodes, 6 wide."""
        return cls(small(features, 6, 6), {task: nn.Linear(6, 1) for task in tasks}, nodes=(2, 3))
