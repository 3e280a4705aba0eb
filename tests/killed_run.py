"""Runs that are killed, each in a process of its own, forked from one: ``python -m tests.killed_run FOLDER``."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tests.train_cases import NAMES, TASKS, loader, net, table

from relatask.balance import DWA, FAMO, RLW, GradDrop, GradNorm, MoCo, PCGrad, Uncertainty
from relatask.data.tensors import Columns, Loader
from relatask.nets import HardSharing
from relatask.relations import LearnedCovariance
from relatask.train import Balanced, LearnRelation, MoDo, fit
from relatask.train.callbacks import SaveEvery


class Killed:
    """SIGKILL after so many steps of this process."""

    def __init__(self, after: int) -> None:
        self.left = after

    def on_step(self, run: Any) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def apart() -> Loader:
    """A source a task, sampled by temperature: what a step sees is drawn."""
    X, y = table(holes=False)
    sizes = (100, 60, 30)
    return Loader([Columns(X[:n], {name: y[name][:n]}) for name, n in zip(NAMES, sizes, strict=True)], 8, "temperature")


CASES: dict[str, dict[str, Any]] = {
    "equal, dropout, ema, cosine": {"ema": 0.9, "schedule": "cosine", "net": {"dropout": 0.3, "norm": True}},
    "FAMO, onecycle, clip": {"step": lambda: Balanced(FAMO(NAMES)), "schedule": "onecycle", "clip": 0.5},
    "GradNorm, lr_of": {"step": lambda: Balanced(GradNorm(NAMES)), "lr_of": {"sold": 1e-3}},
    "MoCo, in parts": {"step": lambda: Balanced(MoCo(NAMES)), "accumulate": 2},
    "PCGrad, momentum": {
        "step": lambda: Balanced(PCGrad()),
        "optimizer": lambda groups: torch.optim.SGD(groups, momentum=0.9),
    },
    "RLW, a sampler": {"step": lambda: Balanced(RLW()), "train": apart},
    "Uncertainty, frozen": {"step": lambda: Balanced(Uncertainty(NAMES)), "freeze": ["encoder"]},
    "GradDrop, bfloat16": {"step": lambda: Balanced(GradDrop()), "precision": "bf16-mixed"},
    "DWA, stop": {"step": lambda: Balanced(DWA(NAMES, period=4)), "stop": "any", "patience": 2, "lr": 0.3},
    "MoDo": {"step": lambda: MoDo(2)},
    "a learned relation": {"net": {"relation": LearnedCovariance(0.1)}, "learn": 3},
}


def run(case: str, folder: str, kill: int | None = None) -> Any:
    """Train, from where the folder stands; die after so many steps."""
    how = dict(CASES[case])
    model: HardSharing = net(**how.pop("net", {}))
    callbacks: list[Any] = [SaveEvery(2)]
    if "learn" in how:
        callbacks.insert(0, LearnRelation(how.pop("learn")))
    if kill is not None:
        callbacks.append(Killed(kill))
    train = how.pop("train", lambda: loader(100, 16))()
    step = how.pop("step", lambda: None)()
    lr = how.pop("lr", 0.02)
    return fit(
        model,
        TASKS,
        train,
        loader(50, 25, 1),
        step=step,
        lr=lr,
        epochs=6,
        folder=folder,
        resume=True,
        seed=5,
        callbacks=callbacks,
        device="cpu",
        **how,
    )


def child(case: str, folder: Path, kill: int | None = None) -> int:
    """Run a case in a process of its own; give how it ended, 0 or the signal."""
    if not (pid := os.fork()):
        code = 1
        try:
            trained = run(case, str(folder), kill)
            state = {k: v for k, v in trained.model.state_dict().items() if isinstance(v, torch.Tensor)}
            save_file(state, folder / "end.safetensors")
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    """Run every case whole, and killed twice; tell how each process ended."""
    folder = Path(sys.argv[1])
    for number, case in enumerate(CASES):
        rng = np.random.default_rng(number)
        broken = folder / str(number) / "broken"
        ends = [child(case, folder / str(number) / "whole")]
        ends += [child(case, broken, int(rng.integers(1, 12))), child(case, broken, int(rng.integers(5, 12)))]
        ends.append(child(case, broken))
        print(ends, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    importlib.import_module("lightning_fabric")  # once, and not in every child
    main()
