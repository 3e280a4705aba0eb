"""`Watch`: which epoch is the best, for all tasks and for each, and when to stop."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from relatask.notices import InputError

Monitor = str | Callable[[Mapping[tuple[Hashable, str], float]], float]
STOPS = (None, "any", "all", "mean")


class Watch:
    """Which epoch is the best, for all tasks and for each, and when to stop.

    What is watched is each task's relative improvement over its null loss on validation data,
    ``delta_k = 1 - L_k / null_k``: 0 for the best constant answer, 1 for a perfect one.

    Parameters
    ----------
    tasks : sequence of task
        Their names.
    monitor : "mean_delta", "worst", "task:NAME" or callable
        The mean of delta_k, the smallest, one task's; or a function from {(task, metric): value} to a number, the
        larger the better.
    stop : None, "any", "all" or "mean"
        Stop when, for `patience` epochs, any task's delta has not improved, or no task's has, or the mean's has not.
    patience : int >= 1
        Epochs.

    Raises
    ------
    InputError
        For an unknown monitor or stop, or a patience below one.

    Examples
    --------
    >>> watch = Watch(("a", "b"), stop="any", patience=1)
    >>> watch.see(0, {("a", "delta"): 0.1, ("b", "delta"): 0.3}), watch.value
    (True, 0.2)
    >>> watch.see(1, {("a", "delta"): 0.4, ("b", "delta"): 0.2}), watch.stopped
    (True, "task 'b' has not improved for 1 epoch")
    """

    def __init__(
        self,
        tasks: Sequence[Hashable],
        monitor: Monitor = "mean_delta",
        stop: str | None = None,
        patience: int = 10,
    ) -> None:
        self.tasks, self.monitor, self.stop, self.patience = tuple(tasks), monitor, stop, patience
        self.task = self._check()
        self.best: dict[Hashable, float] = {}
        self.best_epoch: dict[Hashable, int] = {}
        self.value: float | None = None
        self.best_value, self.best_at = float("-inf"), 0
        self.best_mean, self.mean_at = float("-inf"), 0
        self.stopped: str | None = None
        self.improved: tuple[Hashable, ...] = ()

    def _check(self) -> Hashable | None:
        """Find the task that is watched, if it is one."""
        if self.stop not in STOPS:
            raise InputError(f"stop is {self.stop!r}; expected None, 'any', 'all' or 'mean'.")
        if isinstance(self.patience, bool) or not isinstance(self.patience, int) or self.patience < 1:
            raise InputError(f"patience is {self.patience!r}; a whole number of epochs, 1 or more, is needed.")
        if callable(self.monitor) or self.monitor in ("mean_delta", "worst"):
            return None
        if isinstance(self.monitor, str) and self.monitor.startswith("task:"):
            name = self.monitor.removeprefix("task:")
            for task in self.tasks:
                if str(task) == name:
                    return task
            raise InputError(
                f"monitor is {self.monitor!r}, and there is no task {name!r}; the tasks are "
                f"{', '.join(map(str, self.tasks))}."
            )
        raise InputError(
            f"monitor is {self.monitor!r}; expected 'mean_delta', 'worst', 'task:NAME', or a function from "
            "{(task, metric): value} to a number."
        )

    def see(self, epoch: int, values: Mapping[tuple[Hashable, str], float]) -> bool:
        """Take note of an epoch's validation values; whether it is the best so far."""
        deltas = {task: values[task, "delta"] for task in self.tasks if (task, "delta") in values}
        if not deltas:
            return False
        self.improved = tuple(task for task, delta in deltas.items() if delta > self.best.get(task, float("-inf")))
        for task in self.improved:
            self.best[task], self.best_epoch[task] = deltas[task], epoch
        mean = sum(deltas.values()) / len(deltas)
        if mean > self.best_mean:
            self.best_mean, self.mean_at = mean, epoch
        self.value = self._monitored(deltas, mean, values)
        better = self.value > self.best_value
        if better:
            self.best_value, self.best_at = self.value, epoch
        self.stopped = self._reason(epoch)
        return better

    def _monitored(
        self, deltas: Mapping[Hashable, float], mean: float, values: Mapping[tuple[Hashable, str], float]
    ) -> float:
        if callable(self.monitor):
            return float(self.monitor(values))
        if self.monitor == "mean_delta":
            return mean
        return min(deltas.values()) if self.task is None else deltas.get(self.task, float("-inf"))

    def _reason(self, epoch: int) -> str | None:
        """Say why training should stop, if it should."""
        for_ = f"for {self.patience} epoch{'s' * (self.patience > 1)}"
        if self.stop == "mean":
            return f"the mean has not improved {for_}" if epoch - self.mean_at >= self.patience else None
        stuck = [task for task, at in self.best_epoch.items() if epoch - at >= self.patience]
        if self.stop == "any" and stuck:
            return f"task {stuck[0]!r} has not improved {for_}"
        if self.stop == "all" and len(stuck) == len(self.best_epoch):
            return f"no task has improved {for_}"
        return None

    def state(self) -> dict[str, Any]:
        """Give what has been seen, for a checkpoint; tasks by their place."""
        place = {task: k for k, task in enumerate(self.tasks)}
        return {
            "best": [[place[task], value, self.best_epoch[task]] for task, value in self.best.items()],
            "monitored": [self.best_value, self.best_at, self.best_mean, self.mean_at],
            "stopped": self.stopped,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what was seen before."""
        self.best = {self.tasks[k]: value for k, value, _ in state["best"]}
        self.best_epoch = {self.tasks[k]: epoch for k, _, epoch in state["best"]}
        self.best_value, self.best_at, self.best_mean, self.mean_at = state["monitored"]
        self.stopped = state["stopped"]
