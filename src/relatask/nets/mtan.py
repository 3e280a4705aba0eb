"""MTAN: one shared body, and for each task a soft mask over the features of every stage."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.nn.functional import adaptive_avg_pool2d

from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.stages import Each, Pointwise, Stages, build, check_widths, features_of, small
from relatask.nets.tie import Tie
from relatask.notices import InputError
from relatask.relations import Relation


class MTAN(Model):
    """A shared body, and an attention network for each task: a mask for the features of every stage.

    ``p_l = stage_l(p_{l-1})``; for each task ``a_l = sigmoid(h_l(relu(g_l([p_l, a_{l-1} * p_{l-1}]))))``, at the first
    stage from p_1 alone, and ``output = head(a_L * p_L)``. g and h are linear at each position: of rows (n, f), tokens
    (n, tokens, f) or pictures' pixels (n, c, height, width), where they are 1 x 1 convolutions; what comes from the
    stage before is pooled to the size of this one. The masks belong to their task, the stages are shared.

    Parameters
    ----------
    stages : sequence of functions
        Each makes a stage of the shared body.
    heads : mapping from task to Module
        A head for each task; it takes the last stage's features.
    widths : sequence of int
        How many features (channels) each stage puts out.
    hidden : int, optional
        The width between g and h; by default the stage's own.
    relation : Relation or Tie, optional
        What ties the heads together: a penalty on `task_matrix`.

    Raises
    ------
    InputError
        For widths that are not those of the stages.

    Notes
    -----
    The paper's f, a 3 x 3 convolution between stages, and its batch normalisation are left out: a stage may be
    anything.

    References
    ----------
    Liu, Johns and Davison 2019, End-to-end multi-task learning with attention, CVPR, equations 1 and 2.

    Examples
    --------
    >>> stages = [lambda: nn.Conv2d(1, 4, 3), lambda: nn.Conv2d(4, 8, 3)]
    >>> heads = {task: nn.Sequential(nn.Flatten(), nn.Linear(8 * 4 * 4, 1)) for task in ("a", "b")}
    >>> outputs = MTAN(stages, heads, widths=[4, 8])(torch.zeros(2, 1, 8, 8))
    >>> {task: tuple(output.shape) for task, output in outputs.items()}
    {'a': (2, 1), 'b': (2, 1)}
    """

    def __init__(
        self,
        stages: Stages,
        heads: Mapping[Hashable, nn.Module] | Heads,
        widths: Sequence[int],
        hidden: int | None = None,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        self.stages = nn.ModuleList(build(stages, "MTAN"))
        self.widths = check_widths(widths, stages, "MTAN")
        self.masks = Each({task: nn.ModuleList(self._attentions(hidden)) for task in self.tasks})

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Run the body once, and every asked task's masks over it."""
        levels, h = [], x
        for number, (stage, width) in enumerate(zip(self.stages, self.widths, strict=True)):
            h = stage(h)
            features_of(h, number, "MTAN", width)
            levels.append(h)
        return self.heads.each({task: self._attended(levels, task) for task in self.asked(tasks)})

    def own(self, task: Hashable) -> Iterable[nn.Module | Parameter]:
        """The task's masks and head."""
        return (self.masks[task], self.heads[task])

    def _attended(self, levels: Sequence[Tensor], task: Hashable) -> Tensor:
        attended: Tensor | None = None
        means = []
        networks: Any = self.masks[task]
        for number, (p, network) in enumerate(zip(levels, networks, strict=True)):
            seen = p if attended is None else torch.cat([p, _sized(attended, p, number)], 1 if p.ndim == 4 else -1)
            mask = torch.sigmoid(network(seen))
            means.append(mask.detach().mean())
            attended = mask * p
        assert attended is not None
        self.show_gate(f"mask {task}", torch.stack(means))
        return attended

    def _attentions(self, hidden: int | None) -> list[nn.Module]:
        found: list[nn.Module] = []
        for number, width in enumerate(self.widths):
            before = self.widths[number - 1] if number else 0
            middle = hidden or width
            found.append(nn.Sequential(Pointwise(width + before, middle), nn.ReLU(), Pointwise(middle, width)))
        return found

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give one of two stages, 6 and 5 wide."""
        return cls(small(features, 6, 5), {task: nn.Linear(5, 1) for task in tasks}, widths=(6, 5))


def _sized(h: Tensor, like: Tensor, stage: int) -> Tensor:
    """Give h with the height and width of the next stage."""
    if h.ndim == like.ndim == 4:
        return h if h.shape[2:] == like.shape[2:] else adaptive_avg_pool2d(h, (like.shape[2], like.shape[3]))
    if h.ndim != like.ndim or h.shape[:-1] != like.shape[:-1]:
        raise InputError(
            f"MTAN: stage {stage} puts out {tuple(like.shape)} after {tuple(h.shape)}; masks go from rows to rows, "
            "from tokens to as many tokens, or from pictures to pictures. Flatten in the heads."
        )
    return h
