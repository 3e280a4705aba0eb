"""What ways of sharing layer by layer are made of: stages from factories, a module a task, maps at each position."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from relatask.notices import InputError

Stages = Sequence[Callable[[], nn.Module]]
"""Functions that make the stages of a body, first to last: fresh ones at every call."""


def build(stages: Stages, owner: str) -> list[nn.Module]:
    """Make one body: a fresh module of every stage.

    Raises
    ------
    InputError
        For no stage at all, for what is a module already, and for a function that makes none or one module twice.
    """
    if not isinstance(stages, Sequence) or not stages:
        raise InputError(
            f"{owner}: stages is {stages!r:.60}; a sequence of functions that each make a module is needed: "
            "[lambda: torch.nn.Linear(5, 8), ...]."
        )
    made = []
    for number, factory in enumerate(stages):
        if isinstance(factory, nn.Module) or not callable(factory):
            raise InputError(
                f"{owner}: stage {number} is {factory!r:.60}; a function that makes a fresh module is needed, so that "
                f"tasks do not get one and the same: lambda: {type(factory).__name__}(...)."
            )
        module = factory()
        if not isinstance(module, nn.Module):
            raise InputError(f"{owner}: stage {number} makes {module!r:.60}; a torch.nn.Module is needed.")
        made.append(module)
    return made


def columns(stages: Stages, n: int, owner: str) -> list[list[nn.Module]]:
    """Make n bodies that have no parameter in common."""
    bodies = [build(stages, owner) for _ in range(n)]
    for number in range(len(stages)):
        if len({id(body[number]) for body in bodies}) < n:
            raise InputError(
                f"{owner}: stage {number} makes the same module at every call; make it inside the function: "
                "lambda: torch.nn.Linear(5, 8)."
            )
    return bodies


def check_widths(widths: Sequence[int], stages: Stages, owner: str) -> tuple[int, ...]:
    """Refuse widths that are not one positive integer a stage."""
    if len(widths) != len(stages) or not all(isinstance(width, int) and width > 0 for width in widths):
        raise InputError(
            f"{owner}: widths is {widths!r} for {len(stages)} stages; give for each how many features (channels) it "
            "puts out."
        )
    return tuple(widths)


def small(features: int, *widths: int) -> list[Callable[[], nn.Module]]:
    """Give stages for an example: linear maps of these widths, each bent by a tanh."""

    def stage(wide: int, narrow: int) -> Callable[[], nn.Module]:
        return lambda: nn.Sequential(nn.Linear(wide, narrow), nn.Tanh())

    return [stage(wide, narrow) for wide, narrow in pairwise((features, *widths))]


class Each(nn.Module):
    """A module for each task, under any name.

    Parameters
    ----------
    modules : mapping from task to Module
        In the order of the tasks.
    """

    def __init__(self, modules: Mapping[Hashable, nn.Module]) -> None:
        super().__init__()
        self._place = {task: place for place, task in enumerate(modules)}
        self.modules_ = nn.ModuleList(modules.values())

    def __getitem__(self, task: Hashable) -> nn.Module:
        return self.modules_[self._place[task]]

    def forward(self, x: Any, task: Hashable) -> Any:
        """Give what the task's module makes of x."""
        return self[task](x)


def feature_axis(h: Tensor) -> int:
    """Give the axis of features: 1 for pictures (n, c, height, width), else the last: (n, f), (n, tokens, f)."""
    return 1 if h.ndim == 4 else h.ndim - 1


def features_of(h: Any, stage: int, owner: str, width: int | None = None) -> int:
    """Give how many features a stage's output has, and refuse what is no tensor, or has not as many as it should."""
    if not isinstance(h, Tensor) or h.ndim < 2:
        raise InputError(
            f"{owner}: stage {stage} puts out {_told(h)}; a tensor (n, features), (n, tokens, features) or (n, "
            "channels, height, width) is needed."
        )
    found = h.shape[feature_axis(h)]
    if width is not None and found != width:
        raise InputError(
            f"{owner}: stage {stage} puts out {tuple(h.shape)}, {found} features, but widths says {width}; make them "
            "agree."
        )
    return found


def along_features(v: Tensor, h: Tensor) -> Tensor:
    """Give v (f,) in a shape that meets the features of h."""
    return v[:, None, None] if h.ndim == 4 else v


def parameter_of(module: nn.Module, name: str) -> Tensor:
    """Give a parameter by its full name, or the tensor that stands in for it (`torch.func.functional_call`)."""
    path, _, last = name.rpartition(".")
    found: Tensor = getattr(module.get_submodule(path), last)
    return found


class Pointwise(nn.Linear):
    """A linear map of the features at each position: of rows, tokens or pixels (there it is a 1 x 1 convolution)."""

    def forward(self, h: Tensor) -> Tensor:
        """Give (..., out) from (..., in), with pictures' channels where they are."""
        if h.ndim == 4:
            return super().forward(h.movedim(1, -1)).movedim(-1, 1)
        return super().forward(h)


def _told(h: Any) -> str:
    return f"a tensor {tuple(h.shape)}" if isinstance(h, Tensor) else f"a {type(h).__name__}"
