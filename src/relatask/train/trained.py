"""`Trained`: what `fit` gives: the model at its best epoch, and how it came there."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relatask.nets.model import Model
from relatask.tasks import Task
from relatask.train.evaluate import answers
from relatask.train.losses import Place


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model, and how it came there.

    Parameters
    ----------
    model : Model
        With the weights of the best epoch where there was validation data, else of the last; in eval mode.
    tasks : tuple of Task
        With their numbers of classes and null losses filled in.
    history : list of dict
        Rows {step, epoch, split, metric, task, value, n}: what ``history.jsonl`` holds.
    best_epoch : int
        The epoch that the monitor chose, from 0; the last one without validation data.
    best_epochs : mapping from task to int
        The epoch in which each task did best.
    stopped : str or None
        Why training stopped before its last epoch.
    folder : Path, optional
        Where the run is kept.
    place : Place
        Where the model stands.
    """

    model: Model
    tasks: tuple[Task, ...]
    history: list[dict[str, Any]]
    best_epoch: int
    best_epochs: Mapping[Hashable, int] = field(default_factory=dict)
    stopped: str | None = None
    folder: Path | None = None
    place: Place = field(default_factory=Place, repr=False)

    def __repr__(self) -> str:
        """Give a line: the model, the tasks, the best epoch."""
        epochs = 1 + max((row["epoch"] for row in self.history), default=-1)
        best = f"best epoch {self.best_epoch + 1} of {epochs}"
        return f"Trained({type(self.model).__name__}, {len(self.tasks)} tasks, {best})"

    def predict(
        self, data: Any, tasks: Sequence[Hashable] | None = None, *, batch_size: int = 512
    ) -> dict[Hashable, Any]:
        """Give the answers of some tasks, all by default, for every row in order: one pass through the trunk.

        Parameters
        ----------
        data : Source, Loader, tensor, array, or mapping from modality to such
            Rows.
        tasks : sequence of task, optional
            Whose answers.
        batch_size : int
            Rows at once.

        Raises
        ------
        InputError
            For unknown tasks, or data of no known kind.
        """
        return answers(self.model, self.tasks, data, tasks, place=self.place, batch_size=batch_size)
