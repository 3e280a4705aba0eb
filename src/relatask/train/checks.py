"""`Checks`: what is worth knowing about a training, told as coded warnings when it ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import Any

import numpy as np

from relatask.notices import RelataskWarning, tell
from relatask.train.run import Run

OWNS = 0.8
"""RT002: a task has more than this share of the tasks' summed gradient norms, over an epoch."""
COLLAPSED = 1e-3
"""RT003: a task's mean weight over an epoch is below this share of the tasks' mean."""
UNLABELLED = 0.5
"""RT007: more than this share of the batches that could have a task's labels have none."""
APART = 0.3
"""RT006: best epochs are further apart than this share of all epochs."""
MATTERS = 0.05
"""RT006: and the early task loses more than this share of its null loss until the late one's best epoch."""
DEAD = 1e-3
"""RT011: an expert that no gate gives more than this."""
FEW = 10
"""Steps or epochs below which nothing is told."""


class Checks:
    """Looks on while a net trains; tells at the end, each thing once.

    RT002 one task owns most of the shared gradient; RT003 a weight collapsed; RT006 best epochs far apart; RT007
    batches without labels of a task; RT009 parameters without gradient; RT011 a dead expert.
    """

    def __init__(self) -> None:
        self.batches: dict[Hashable, list[int]] = defaultdict(lambda: [0, 0])
        self.weights: dict[str, list[float]] = defaultdict(list)
        self.shares: dict[str, list[float]] = defaultdict(list)
        self.deltas: list[dict[Hashable, float]] = []
        self.seen: list[tuple[str, str]] = []
        self.began = self.whole = False
        """Whether this process saw an epoch from its beginning, and to its end."""

    def state_dict(self) -> dict[str, Any]:
        """Give what was seen, for a checkpoint."""
        names = ("batches", "weights", "shares")
        return {**{name: dict(getattr(self, name)) for name in names}, "deltas": list(self.deltas)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what was seen before."""
        self.batches.update(state["batches"])
        self.weights.update(state["weights"])
        self.shares.update(state["shares"])
        self.deltas = state["deltas"]

    def on_epoch_start(self, run: Run) -> None:
        """Look at one epoch at a time: weights and shares are those of the last."""
        self.began = self.began or not run.at
        if run.at:
            return
        self.weights.clear()
        self.shares.clear()

    def on_step(self, run: Run) -> None:
        """Take note of a step."""
        assert run.losses is not None
        for task, labels in run.losses.labels.items():
            count = self.batches[task]
            count[0] += 1
            count[1] += not labels
        balance = run.balance
        if balance is None or len(balance.tasks) < 2:
            return
        if balance.weights is not None:
            for task, weight in zip(balance.tasks, balance.weights.tolist(), strict=True):
                self.weights[task].append(weight)
        if balance.gramian is not None:
            norms = np.sqrt(np.diag(balance.gramian.numpy()))
            if norms.sum() > 0:
                for task, share in zip(balance.tasks, (norms / norms.sum()).tolist(), strict=True):
                    self.shares[task].append(share)

    def on_epoch(self, run: Run) -> None:
        """Take note of a validation."""
        self.whole = self.whole or self.began
        if run.values:
            self.deltas.append({task: value for (task, metric), value in run.values.items() if metric == "delta"})

    def on_end(self, run: Run) -> None:
        """Look once more."""
        self.seen = self.found(run)

    def tell(self) -> None:
        """Tell what was seen."""
        for code, message in self.seen:
            tell(RelataskWarning(message, code=code))

    def found(self, run: Run) -> list[tuple[str, str]]:
        """Give what was seen, as (code, message)."""
        return [
            *self._shares(),
            *self._weights(),
            *self._epochs(run),
            *self._batches(),
            *(_unreached(run) if self.whole else []),
            *_dead(run),
        ]

    def _shares(self) -> list[tuple[str, str]]:
        means = {task: float(np.mean(found)) for task, found in self.shares.items() if len(found) >= FEW}
        task = max(means, key=lambda name: means[name], default=None)
        if task is None or len(means) < 2 or means[task] <= OWNS:
            return []
        return [
            (
                "RT002",
                f"task {task!r} has {means[task]:.0%} of the gradient norm of what is shared in the last epoch; the "
                "other tasks hardly move what is shared. Give it a smaller Task.weight, or use a balancer that does "
                "not "
                "see lengths (IMTLG, NashMTL).",
            )
        ]

    def _weights(self) -> list[tuple[str, str]]:
        means = {task: float(np.mean(np.abs(found))) for task, found in self.weights.items() if len(found) >= FEW}
        middle = float(np.mean(list(means.values()))) if means else 0.0
        small = [task for task, mean in means.items() if mean < COLLAPSED * middle]
        if not small:
            return []
        return [
            (
                "RT003",
                f"the weight of {_names(small)} collapsed: less than {COLLAPSED:.1%} of the tasks' mean in the last "
                "epoch, "
                "so that nothing more is learned of it. Compare with equal weights, or with another balancer.",
            )
        ]

    def _epochs(self, run: Run) -> list[tuple[str, str]]:
        best, epochs = run.watch.best_epoch, run.epoch
        if epochs < FEW or len(best) < 2:
            return []
        first, last = min(best, key=lambda t: best[t]), max(best, key=lambda t: best[t])
        if best[last] - best[first] <= APART * epochs or len(self.deltas) <= best[last]:
            return []
        lost = self.deltas[best[first]].get(first, 0.0) - self.deltas[best[last]].get(first, 0.0)
        if lost < MATTERS:
            return []
        kept = " Each task's best weights are kept (checkpoints/best_<task>)." if run.folder is not None else ""
        return [
            (
                "RT006",
                f"task {first!r} is best after epoch {best[first] + 1} and task {last!r} after epoch "
                f"{best[last] + 1} of "
                f"{epochs}, where {first!r} has lost {lost:.1%} of its null loss again: no one epoch is good for "
                "both. Give them learning rates of their own (lr_of), or more "
                f"regularisation to the early one.{kept}",
            )
        ]

    def _batches(self) -> list[tuple[str, str]]:
        few = [(task, n, empty) for task, (n, empty) in self.batches.items() if n >= FEW and empty > UNLABELLED * n]
        return [
            (
                "RT007",
                f"{empty} of {n} batches that could have labels of task {task!r} have none; give larger batches, "
                "accumulate, or a source of its labelled rows.",
            )
            for task, n, empty in few[:1]
        ]


def _unreached(run: Run) -> list[tuple[str, str]]:
    waiting = {id(p) for p in run.update.waiting if p.requires_grad} - {id(p) for p in run.step.trains()}
    names = [name for name, p in run.model.named_parameters() if id(p) in waiting]
    if not names:
        return []
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return [
        (
            "RT009",
            f"no gradient ever reached {', '.join(names[:4])}{more}; they are as they began. Freeze them if that is "
            "meant, "
            "or see that a loss depends on them.",
        )
    ]


def _dead(run: Run) -> list[tuple[str, str]]:
    """Find experts that no gate of their level uses: gates are shares that sum to one."""
    most: dict[tuple[str, int], np.ndarray] = {}
    for name, value in run.model.gates().items():
        if value.ndim != 1 or len(value) < 2:
            continue
        shares = value.detach().double().cpu().numpy()
        if shares.min() < 0 or abs(shares.sum() - 1) > 1e-3:
            continue
        key = (name.rpartition("/")[2] if "/" in name else "", len(shares))
        most[key] = np.maximum(most[key], shares) if key in most else shares
    return [
        (
            "RT011",
            f"expert {int(np.argmin(top)) + 1} of {size}{f' at {level}' if level else ''} is dead: no task's gate "
            "gives it "
            f"more than {DEAD:.1%}. Use fewer experts, or a smaller learning rate for the gates.",
        )
        for (level, size), top in most.items()
        if top.min() < DEAD
    ][:1]


def _names(tasks: list[Any]) -> str:
    return ("task " if len(tasks) == 1 else "tasks ") + ", ".join(repr(task) for task in tasks)
