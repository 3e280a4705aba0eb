"""The files of a run, a line of JSON each: history, Gramians, weights and gates."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from relatask.notices import InputError
from relatask.train.run import Run

FILES = ("history", "grams", "weights", "gates")


class Logs:
    """Writes ``history.jsonl``, ``grams.jsonl``, ``weights.jsonl`` and ``gates.jsonl``.

    A line of history is {step, epoch, split, metric, task, value, n}. Every so many steps: {step, epoch, tasks,
    gramian} where the balancer formed the Gramian (t, t), and {step, epoch, weights: {task: weight}}; after every epoch
    {step, epoch, gate, value} of the last pass.

    Parameters
    ----------
    folder : Path
        Of the run.
    every : int
        Steps between lines of Gramians and weights.
    """

    def __init__(self, folder: Path, every: int = 50) -> None:
        self.folder, self.every = folder, every
        self.told = 0

    def path(self, name: str) -> Path:
        """Where a log is."""
        return self.folder / f"{name}.jsonl"

    def on_start(self, run: Run) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_step(self, run: Run) -> None:
        """Write what the balancer did, if it is time."""
        if (run.steps - 1) % self.every:
            return
        where = {"step": run.steps, "epoch": run.epoch}
        if run.gramian is not None:
            tasks, gramian = run.gramian
            self._add("grams", [{**where, "tasks": list(tasks), "gramian": gramian.tolist()}])
        balance = run.balance
        if balance is not None and balance.weights is not None:
            weights = dict(zip(balance.tasks, balance.weights.tolist(), strict=True))
            self._add("weights", [{**where, "weights": weights}])

    def on_epoch(self, run: Run) -> None:
        """Write what the epoch told."""
        self.flush(run)
        where = {"step": run.steps, "epoch": run.epoch}
        self._add("gates", [{**where, "gate": name, "value": v.tolist()} for name, v in run.model.gates().items()])

    def on_end(self, run: Run) -> None:
        """Write what is left."""
        self.flush(run)

    def flush(self, run: Run) -> None:
        """Write the rows of the history that are not yet written."""
        rows = [{**row, "task": plain(row["task"])} for row in run.history[self.told :]]
        self._add("history", rows)
        self.told = len(run.history)

    def _add(self, name: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            with self.path(name).open("a", encoding="utf-8", newline="\n") as file:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def sizes(self) -> dict[str, int]:
        """Give how long the files are, for a checkpoint."""
        return {name: self.path(name).stat().st_size if self.path(name).exists() else 0 for name in FILES}

    def cut(self, sizes: Mapping[str, int], run: Run) -> None:
        """Cut the files to what they were at a checkpoint, and read the history."""
        names: dict[Any, Hashable] = {plain(task.name): task.name for task in run.tasks}
        for name in FILES:
            path, size = self.path(name), sizes.get(name, 0)
            if (path.stat().st_size if path.exists() else 0) < size:
                raise InputError(
                    f"{path} is shorter than at the checkpoint; the folder was changed. Train anew, in another folder."
                )
            if path.exists():
                with path.open("r+b") as file:
                    file.truncate(size)
        if self.path("history").exists():
            rows = [json.loads(line) for line in self.path("history").read_text(encoding="utf-8").splitlines()]
            run.history[:] = [{**row, "task": names.get(row["task"])} for row in rows]
        self.told = len(run.history)


def plain(task: Hashable) -> Any:
    """Give a task's name as JSON has it."""
    return task if task is None or isinstance(task, str | int | float) else str(task)
