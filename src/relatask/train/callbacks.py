"""Callbacks: any object with methods of these names; and a few that are ready."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import torch

from relatask.nets.learning_to_branch import LearningToBranch
from relatask.notices import InputError
from relatask.train.run import Run
from relatask.train.update import parameters_of

HOOKS = {
    "on_start": "before the first step, or the first after a run was taken up again",
    "on_epoch_start": "before the first step of an epoch",
    "on_step": "after every step: run.losses, run.balance",
    "on_epoch": "after an epoch, validated and told: run.values",
    "on_end": "after the last epoch, whatever ended it",
}
"""The hooks, each called with the `Run`, in this order."""


def check_callbacks(callbacks: Iterable[Any]) -> tuple[Any, ...]:
    """Read the callbacks.

    Raises
    ------
    InputError
        For a hook that does not exist, and for an object without any.
    """
    if not isinstance(callbacks, Sequence):
        raise InputError(f"callbacks is {callbacks!r:.60}; give a list of objects with methods {', '.join(HOOKS)}.")
    for callback in callbacks:
        named = [name for name in dir(callback) if name.startswith("on_") and callable(getattr(callback, name))]
        for name in named:
            if name not in HOOKS:
                close = get_close_matches(name, HOOKS, 1)
                hint = f"did you mean {close[0]}?" if close else f"the hooks are {', '.join(HOOKS)}."
                raise InputError(f"{type(callback).__name__} has a method {name}, which nothing calls; {hint}")
        if not named or isinstance(callback, type):
            raise InputError(
                f"callbacks holds {callback!r:.60}; give an object with one or more of the methods {', '.join(HOOKS)}."
            )
    return tuple(callbacks)


def call(callbacks: Iterable[Any], hook: str, run: Run) -> None:
    """Call a hook of every callback that has it."""
    for callback in callbacks:
        method = getattr(callback, hook, None)
        if method is not None:
            method(run)


class LearnRelation:
    """Let the model's relation learn from the heads every so many steps: the alternation of tasks and relation.

    Parameters
    ----------
    every : int
        Steps.

    References
    ----------
    Zhang and Yeung 2010, A convex formulation for learning task relationships in multi-task learning, UAI.
    """

    def __init__(self, every: int = 100) -> None:
        self.every = every

    def on_step(self, run: Run) -> None:
        """Learn, if it is time."""
        if run.steps % self.every == 0:
            run.model.learn_relation()


class Freeze:
    """Freeze parameters from one epoch on, and set them free at another.

    Parameters
    ----------
    what : sequence
        Tasks, modules, or beginnings of parameters' names.
    start : int
        The first epoch in which they rest.
    until : int, optional
        The epoch in which they are free again.
    """

    def __init__(self, what: Sequence[Any], start: int = 0, until: int | None = None) -> None:
        self.what, self.start, self.until = what, start, until

    def on_epoch_start(self, run: Run) -> None:
        """Freeze or set free."""
        rests = run.epoch >= self.start and (self.until is None or run.epoch < self.until)
        for parameter in parameters_of(run.model, self.what):
            parameter.requires_grad_(not rests)
        run.step.prepare(run.model)


class Branch:
    """Let a `LearningToBranch` net choose ever more sharply, epoch by epoch, and keep its tree from one epoch on.

    Parameters
    ----------
    freeze : int, optional
        The first epoch in which the likeliest tree alone is trained; never by default.
    """

    def __init__(self, freeze: int | None = None) -> None:
        self.freeze = freeze

    def on_start(self, run: Run) -> None:
        """Refuse another model."""
        if not isinstance(run.model, LearningToBranch):
            raise InputError(
                f"Branch: the model is a {type(run.model).__name__}, which has no branches to choose; give a "
                "LearningToBranch, or leave Branch out of callbacks."
            )

    def on_epoch_start(self, run: Run) -> None:
        """Freeze the tree, if it is time (or, in a run that was taken up again, if it was)."""
        assert isinstance(run.model, LearningToBranch)
        if run.model.frozen or (self.freeze is not None and run.epoch >= self.freeze):
            run.model.freeze()
            run.step.prepare(run.model)

    def on_epoch(self, run: Run) -> None:
        """Lower the temperature."""
        assert isinstance(run.model, LearningToBranch)
        run.model.tick()


class SaveEvery:
    """Save the run every so many steps, beside the end of every epoch; for epochs that take long.

    Parameters
    ----------
    steps : int
        How many.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step(self, run: Run) -> None:
        """Ask for it, if it is time."""
        if run.steps % self.steps == 0:
            run.ask_to_save()


class Gramians:
    """Tell the Gramian of the tasks' gradients every so many steps, for balancers that form none.

    The gradients of what is shared, on the step's batch, at the parameters after the step, in eval mode: nothing of the
    run moves. Costs a forward pass and t backward passes.

    Parameters
    ----------
    every : int
        Steps.

    Attributes
    ----------
    found : list of (step, tasks, tensor (t, t))
        What was seen; ``grams.jsonl`` has it, too.
    """

    def __init__(self, every: int = 50) -> None:
        self.every = every
        self.found: list[tuple[int, tuple[str, ...], torch.Tensor]] = []

    def on_step(self, run: Run) -> None:
        """Look, if it is time."""
        if (run.steps - 1) % self.every:
            return
        shared = [p for p in run.model.shared_parameters() if p.requires_grad]
        run.model.eval()
        run.model.join(False)
        try:
            losses = run.losses_of(run.batches[0])
            rows = []
            for loss in losses.values.values():
                pulled = torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True)
                rows.append(
                    torch.cat(
                        [
                            torch.zeros(p.numel()) if g is None else g.reshape(-1).cpu()
                            for p, g in zip(shared, pulled, strict=True)
                        ]
                    ).double()
                )
        finally:
            run.model.train()
            run.step.prepare(run.model)
        if rows:
            J = torch.stack(rows)
            self.found.append((run.steps, tuple(map(str, losses.values)), J @ J.T))
            run.gramian = self.found[-1][1:]
