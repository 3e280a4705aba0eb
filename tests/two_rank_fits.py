"""`fit` on two ranks and in one process: ``python -m tests.two_rank_fits FOLDER`` forks them and keeps the weights."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from tests.train_cases import TASKS, loader, net, table
from torch import nn

from relatask.balance import PCGrad, Uncertainty
from relatask.data.tensors import Columns, Loader
from relatask.nets import SharedPrivate
from relatask.tasks import Task
from relatask.train import Adversarial, Balanced, MoDo, fit

CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "equal": lambda: {"step": Balanced()},
    "PCGrad, clip": lambda: {"step": Balanced(PCGrad()), "clip": 1.0},
    "Uncertainty": lambda: {"step": Balanced(Uncertainty([str(task.name) for task in TASKS]))},
    "equal, in parts": lambda: {"step": Balanced(), "accumulate": 2},
}


def run(case: str, out: Path) -> None:
    """Train, and keep the weights and the history of this process."""
    torch.manual_seed(0 if not dist.is_initialized() else 100 + dist.get_rank())
    model = net()
    if dist.is_initialized() and dist.get_rank():
        with torch.no_grad():
            next(model.parameters()).zero_()  # the first rank's start is everybody's
    folder = out / "run"
    # 33 rows in batches of 16: the last has one row, so that a rank has none
    trained = fit(
        model, TASKS, loader(33, 16), loader(20, 10, 1), epochs=3, lr=0.02, folder=folder, device="cpu", **CASES[case]()
    )
    rank = dist.get_rank() if dist.is_initialized() else 0
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: p.detach() for name, p in model.named_parameters()}, out / f"{rank}.safetensors")
    (out / f"{rank}.json").write_text(json.dumps(trained.history))


def agreeing(out: Path, rank: int) -> None:
    """Keep what two nets are on this rank whose ranks could drift apart: by batch norms, by a discriminator."""
    normed = net(norm=True)
    told = fit(normed, TASKS, loader(), loader(20, 10, 1), epochs=2, lr=0.02, device="cpu").history
    torch.manual_seed(0)
    private = {name: nn.Linear(5, 3) for name in "ab"}
    fooled = SharedPrivate(nn.Linear(5, 4), private, {name: nn.Linear(7, 1) for name in "ab"}, 4, adversary=0.1)
    X, y = table(40)
    sources = [Columns(X, {"a": y["PM2.5"]}), Columns(X + 1, {"b": y["PM2.5"]})]
    fit(fooled, [Task("a"), Task("b")], Loader(sources, 20), step=Adversarial(), epochs=2, lr=0.02, device="cpu")
    states = {"normed": normed.state_dict(), "fooled": fooled.state_dict()}
    held = {f"{name} {key}": value for name, state in states.items() for key, value in state.items()}
    save_file(held, out / f"{rank}-agreeing.safetensors")
    (out / f"{rank}-agreeing.json").write_text(json.dumps(told))


def child(case: str, out: Path, store: Path, rank: int, world: int) -> int:
    """Begin a process; give its id."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        if world > 1:
            dist.init_process_group("gloo", store=dist.FileStore(str(store), world), rank=rank, world_size=world)
        run(case, out)
        if world > 1:
            try:
                fit(net(), TASKS, loader(), step=MoDo(), device="cpu")
            except ValueError as error:
                (out / f"{rank}.refused").write_text(str(error))
            if case == "equal":
                agreeing(out, rank)
            dist.destroy_process_group()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    """Run every case on two ranks and on one."""
    folder = Path(sys.argv[1])
    ended = []
    for number, case in enumerate(CASES):
        pids = [child(case, folder / f"{number}-one", folder, 0, 1)]
        pids += [child(case, folder / f"{number}-two", folder / f"{number}.store", rank, 2) for rank in range(2)]
        ended += [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    sys.exit(max(map(abs, ended)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    importlib.import_module("lightning_fabric")
    main()
