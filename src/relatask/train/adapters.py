"""Adapters: callbacks that pass the history on to TensorBoard, MLflow or Weights & Biases, where they are installed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import Any

from relatask.notices import InputError
from relatask.train.run import Run


class Adapter(ABC):
    """Passes on each row of the history as ``split/metric/task``, after every epoch."""

    def __init__(self) -> None:
        self.told = 0

    def on_epoch(self, run: Run) -> None:
        """Pass on the rows of the epoch."""
        rows = run.history[self.told :]
        self.told = len(run.history)
        values = {name_of(row): row["value"] for row in rows}
        if values:
            self.send(values, run.steps)

    def on_end(self, run: Run) -> None:
        """Close."""
        self.close()

    def state_dict(self) -> dict[str, int]:
        """Give how many rows were passed on."""
        return {"told": self.told}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after the rows that were passed on."""
        self.told = state["told"]

    @abstractmethod
    def send(self, values: dict[str, float], step: int) -> None:
        """Pass on some values."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what was opened."""


class TensorBoard(Adapter):
    """Passes the history on to TensorBoard.

    Parameters
    ----------
    folder : str
        Where the event files go.

    Raises
    ------
    InputError
        Where TensorBoard is not installed.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.writer = needed("torch.utils.tensorboard", "tensorboard").SummaryWriter(folder)

    def send(self, values: dict[str, float], step: int) -> None:
        """Add scalars."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the writer."""
        self.writer.close()


class MLflow(Adapter):
    """Passes the history on to the active run of MLflow.

    Raises
    ------
    InputError
        Where MLflow is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mlflow = needed("mlflow", "mlflow")

    def send(self, values: dict[str, float], step: int) -> None:
        """Log metrics."""
        self.mlflow.log_metrics(values, step=step)

    def close(self) -> None:
        """Leave the run to who began it."""


class WandB(Adapter):
    """Passes the history on to a run of Weights & Biases.

    Parameters
    ----------
    run : optional
        What ``wandb.init`` gave; the active run by default.

    Raises
    ------
    InputError
        Where wandb is not installed.
    """

    def __init__(self, run: Any = None) -> None:
        super().__init__()
        self.to = needed("wandb", "wandb") if run is None else run

    def send(self, values: dict[str, float], step: int) -> None:
        """Log."""
        self.to.log(values, step=step)

    def close(self) -> None:
        """Leave the run to who began it."""


def name_of(row: dict[str, Any]) -> str:
    """Give a row's name, ``split/metric/task``."""
    return "/".join(str(row[key]) for key in ("split", "metric", "task") if row[key] is not None)


def needed(module: str, package: str) -> Any:
    """Import what is optional, or say how it is installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(f"{package} is not installed; pip install {package}, or leave the callback out.") from error
