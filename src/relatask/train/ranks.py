"""The ranks of a run: a process group where the launcher asks for one, the same start, each rank its rows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from relatask.balance import Comm
from relatask.data.batch import Batch, Part


def ranks() -> Comm | None:
    """Give the ranks, where this is one of several processes; a launcher's environment (torchrun) is followed."""
    if not dist.is_available():
        return None
    if not dist.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return None
    return Comm()


def device_of(device: str) -> list[int] | int:
    """Give Fabric's `devices`: one, on a machine with several the one of this rank."""
    spread = dist.is_available() and dist.is_initialized() and torch.cuda.is_available()
    if spread and device in ("auto", "cuda", "gpu"):
        return [int(os.environ.get("LOCAL_RANK", dist.get_rank())) % torch.cuda.device_count()]
    return 1


@torch.no_grad()
def same_start(module: nn.Module, comm: Comm | None) -> None:
    """Give every rank the parameters and buffers of the first."""
    if comm is not None:
        for tensor in module.state_dict().values():
            if isinstance(tensor, Tensor):
                dist.broadcast(tensor, src=0, group=comm.group)


@torch.no_grad()
def same_buffers(module: nn.Module, comm: Comm | None) -> None:
    """Give every rank the buffers of the first: statistics of normalisation are those of a rank's own rows."""
    if comm is not None:
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0, group=comm.group)


def share(batch: Batch, comm: Comm | None) -> Batch:
    """Give this rank's rows of a batch: every world_size-th; one that counts nothing where it would have none."""
    return batch if comm is None else tuple(_share(part, comm.rank, comm.world_size) for part in batch)


def _share(part: Part, rank: int, world: int) -> Part:
    rows = slice(rank, None, world)
    found = Part(
        _rows(part.x, rows),
        {task: _rows(target, rows) for task, target in part.y.items()},
        _rows(part.weight, rows),
        _rows(part.index, rows),
    )
    if _length(found.x):
        return found
    first = Part(_rows(part.x, slice(1)), {t: _rows(y, slice(1)) for t, y in part.y.items()}, None, None)
    return replace(first, weight=torch.zeros(1))


def _rows(values: Any, rows: slice) -> Any:
    if values is None:
        return None
    return {k: _rows(v, rows) for k, v in values.items()} if isinstance(values, Mapping) else values[rows]


def _length(values: Any) -> int:
    return len(next(iter(values.values()))) if isinstance(values, Mapping) else len(values)
