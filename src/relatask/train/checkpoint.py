"""`Store`: where a run is kept: its last state, its best weights, and each task's."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zlib import crc32

import torch
from torch import Tensor, nn

from relatask.notices import InputError
from relatask.train.feed import Feed
from relatask.train.logs import Logs
from relatask.train.packing import read, write
from relatask.train.run import Run, snapshot


class Store:
    """Keeps a run: ``checkpoints/last``, ``best`` and ``best_<task>``, safetensors files written whole or not at all.

    Without a folder only the best weights are kept, in memory.

    Parameters
    ----------
    run : Run
        What is kept; `run.folder` says where.
    feed : Feed
        Knows where the validation batches stand.
    callbacks : sequence
        Whoever of them has ``state_dict`` and ``load_state_dict`` is kept, too.
    """

    def __init__(self, run: Run, feed: Feed, callbacks: Sequence[Any] = ()) -> None:
        self.run, self.feed = run, feed
        self.kept = [item for item in callbacks if hasattr(item, "state_dict") and hasattr(item, "load_state_dict")]
        self.folder = None if run.folder is None else Path(run.folder)
        self.best: dict[str, Any] | None = None
        self.writes = run.update.comm is None or run.update.comm.rank == 0
        self.logs = None if self.folder is None else Logs(self.folder)

    @property
    def loggers(self) -> list[Logs]:
        """Who writes the logs, in this process."""
        return [self.logs] if self.logs is not None and self.writes else []

    def path(self, name: str) -> Path:
        """Where a checkpoint is."""
        assert self.folder is not None
        return self.folder / "checkpoints" / f"{name}.safetensors"

    def begin(self, resume: bool) -> None:
        """Take up the run that is in the folder, or refuse to write over it."""
        if self.folder is None:
            if resume:
                raise InputError("resume=True needs folder=, where the run that is to go on was kept.")
            return
        if not self.path("last").exists():
            if any(self.folder.glob("*.jsonl")):
                assert self.logs is not None
                self.logs.cut({}, self.run)  # of a run that died before its first checkpoint
            return
        if not resume:
            raise InputError(
                f"{self.folder} holds a run already; give resume=True to go on with it, or another folder to begin "
                "anew."
            )
        self._load(read(self.path("last"), "checkpoint"))

    def keep(self, better: bool) -> None:
        """Keep the weights as they are evaluated: as the best if they are, and as those of the tasks that improved."""
        tasks = self.run.watch.improved if self.folder is not None and self.writes else ()
        if not better and not tasks:
            return
        state = snapshot(self.run.model)
        if better:
            self.best = state
            if self.folder is not None and self.writes:
                write(self.path("best"), "weights", self._weights(state))
        for task in tasks:
            write(self.path(f"best_{file_name(task)}"), "weights", self._weights(state))

    def save(self) -> None:
        """Write the last state."""
        if self.folder is not None:
            state = self._state()
            if self.writes:
                write(self.path("last"), "checkpoint", state)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Save after a step where that was asked for, and where Ctrl-C arrives, which then passes on."""
        try:
            yield
        except KeyboardInterrupt:
            self.save()
            raise
        if self.run.to_save:
            self.run.to_save = False
            self.save()

    def finish(self) -> None:
        """Give the model its best weights, and write it."""
        run = self.run
        if self.best is not None:
            run.model.load_state_dict(self.best)
        elif run.update.average is not None:
            run.update.average.take_over()
        if self.folder is not None and self.writes:
            write(self.folder / "model.safetensors", "weights", self._weights(snapshot(run.model)))

    def _weights(self, state: Mapping[str, Any]) -> dict[str, Any]:
        return {"model": state, "about": about(self.run), "epoch": self.run.epoch}

    def _state(self) -> dict[str, Any]:
        run, by = self.run, self.run.update
        assert self.logs is not None
        if self.writes:
            self.logs.flush(run)
        return {
            "about": about(run),
            "model": run.model.state_dict(),
            "step": run.step.state_dict(),
            "optimizer": by.optimizer.state_dict(),
            "scaler": None if by.scaler is None else by.scaler.state_dict(),
            "scheduler": None if by.scheduler is None else by.scheduler.state_dict(),
            "average": None if by.average is None else by.average.held,
            "run": run.state(),
            "feed": self.feed.state(),
            "watch": run.watch.state(),
            "scales": run.scales.state(),
            "random": random_state(),
            "logs": self.logs.sizes() if self.writes else {},
            "callbacks": [item.state_dict() for item in self.kept],
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        run, by = self.run, self.run.update
        check_same(state["about"], about(run), self.path("last"))
        check_shapes(state["model"], run.model, self.path("last"))
        run.model.load_state_dict(state["model"])
        run.step.load_state_dict(state["step"])
        by.optimizer.load_state_dict(state["optimizer"])
        for name, held in (("scaler", by.scaler), ("scheduler", by.scheduler)):
            if (held is None) != (state[name] is None):
                raise _other(self.path("last"), f"a {name}", state[name] is not None)
            if held is not None:
                held.load_state_dict(state[name])
        if (by.average is None) != (state["average"] is None):
            raise _other(self.path("last"), "an average of the parameters (ema)", state["average"] is not None)
        if by.average is not None:
            by.average.held = {name: value.to(by.average.held[name]) for name, value in state["average"].items()}
        run.load(state["run"])
        self.feed.load(state["feed"])
        run.watch.load(state["watch"])
        run.scales.load(state["scales"])
        for item, held in zip(self.kept, state["callbacks"], strict=True):
            item.load_state_dict(held)
        assert self.logs is not None
        self.logs.cut(state["logs"], run)
        if self.path("best").exists() and run.watch.best:
            self.best = read(self.path("best"), "weights")["model"]
        set_random_state(state["random"])


def about(run: Run) -> dict[str, Any]:
    """Say what a run is of: what must be the same for it to go on."""
    return {
        "model": type(run.model).__name__,
        "tasks": [str(task.name) for task in run.tasks],
        "kinds": [task.kind for task in run.tasks],
        "step": type(run.step).__name__,
        "balancer": type(getattr(run.step, "balancer", None)).__name__,
        "optimizer": type(run.optimizer).__name__,
        "seed": run.seed,
        **run.settings,
    }


def check_same(found: Mapping[str, Any], here: Mapping[str, Any], path: Path) -> None:
    """Refuse a checkpoint of something else."""
    for name, value in here.items():
        if found.get(name) != value:
            raise InputError(
                f"{path} is of another run: its {name} is {_told(found.get(name))}, and here it is {_told(value)}. "
                "Give what it was trained with, or another folder."
            )


def check_shapes(state: Mapping[str, Any], model: nn.Module, path: Path) -> None:
    """Refuse the weights of another model, and name the first that differs."""
    here = model.state_dict()
    for name in [*here, *(name for name in state if name not in here)]:
        one, other = (
            tuple(s[name].shape) if isinstance(s.get(name), Tensor) else "there" if name in s else "missing"
            for s in (state, here)
        )
        if one != other:
            raise InputError(
                f"{path} is of another model: {name} is {one} there and {other} here. Build the model as it was "
                "trained."
            )


def file_name(task: Hashable) -> str:
    """Give a task's name as a file may have it: letters as they are, the rest quoted."""
    told = quote(str(task), safe=" ")
    return told if len(told) <= 100 else f"{told[:90]}~{crc32(told.encode()):08x}"


def random_state() -> dict[str, Tensor]:
    """Give the state of torch's generators, from which dropout draws."""
    found = {"cpu": torch.get_rng_state()}
    return {**found, "cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else found


def set_random_state(state: Mapping[str, Tensor]) -> None:
    """Let torch's generators go on where they were."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else repr(value)


def _other(path: Path, what: str, there: bool) -> InputError:
    return InputError(
        f"{path} was trained {'with' if there else 'without'} {what}, and here it is the other way round; go on as "
        "it began."
    )
