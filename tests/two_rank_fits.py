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
from tests.train_cases import TASKS, loader, net

from relatask.balance import PCGrad, Uncertainty
from relatask.train import Balanced, MoDo, fit

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
