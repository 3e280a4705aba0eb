"""Small tables, nets and hand-written losses, for the tests of the loop."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from relatask.data.tensors import Columns, Loader
from relatask.nets import HardSharing
from relatask.tasks import Task

NAMES = ("price", "sold", "PM2.5")
TASKS = (Task("price"), Task("sold", "binary"), Task("PM2.5", weight=2.0))


def table(n: int = 100, seed: int = 0, holes: bool = True) -> tuple[np.ndarray, dict[Hashable, np.ndarray]]:
    """Rows of five columns, and the labels of three tasks, a third of two of them missing."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype("float32")
    Z = (X @ np.random.default_rng(7).normal(size=(5, 3)) + 0.3 * rng.normal(size=(n, 3))).astype("float32")
    y = {"price": 10 * Z[:, 0], "sold": (Z[:, 1] > 0).astype("float32"), "PM2.5": Z[:, 2].copy()}
    if holes:
        y["price"][::3] = np.nan
        y["sold"][1::3] = np.nan
    return X, y


def source(n: int = 100, seed: int = 0, holes: bool = True) -> Columns:
    """The same, as a source."""
    return Columns(*table(n, seed, holes))


def loader(n: int = 100, size: int = 32, seed: int = 0, holes: bool = True) -> Loader:
    """The same, in batches."""
    return Loader(source(n, seed, holes), size, seed=seed)


def net(dropout: float = 0.0, norm: bool = False, width: int = 8, **how: Any) -> HardSharing:
    """A trunk of one layer, and a linear head a task; the same every time."""
    torch.manual_seed(3)
    layers: list[nn.Module] = [nn.Linear(5, width), nn.Tanh()]
    layers += [nn.BatchNorm1d(width)] if norm else []
    layers += [nn.Dropout(dropout)] if dropout else []
    return HardSharing(nn.Sequential(*layers), {name: nn.Linear(width, 1) for name in NAMES}, **how)


def nulls(data: Loader) -> dict[Hashable, float]:
    """Losses of the best constants, by numpy: a variance, and an entropy."""
    (held,) = data.sources
    y = {name: held.target(name).numpy() for name in NAMES}
    share = np.nanmean(y["sold"].astype(float))
    return {
        "price": float(np.nanvar(y["price"].astype(float))),
        "sold": float(-share * np.log(share) - (1 - share) * np.log(1 - share)),
        "PM2.5": float(np.nanvar(y["PM2.5"].astype(float))),
    }


def losses_by_hand(model: Any, batch: Any, scales: dict[Hashable, float]) -> dict[Hashable, Tensor]:
    """What a loop written by hand computes, in double precision: means over the labels that are there."""
    (part,) = batch
    outputs = model(part.x.double())
    found: dict[Hashable, Tensor] = {}
    for task in TASKS:
        y, z = part.y[task.name].double(), outputs[task.name][:, 0]
        seen = ~y.isnan()
        if not seen.any():
            continue
        y, z = y[seen], z[seen]
        rows = (z - y) ** 2 if task.kind == "regression" else nn.functional.softplus(z) - y * z
        found[task.name] = rows.mean() * task.weight / scales[task.name]
    return found


def near(first: nn.Module, second: nn.Module, tolerance: float = 1e-9) -> bool:
    """Whether two nets have the same parameters, to rounding."""
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.allclose(p, q, rtol=tolerance, atol=tolerance) for p, q in pairs)


def same(first: nn.Module, second: nn.Module) -> bool:
    """Whether two nets have the same state, bit for bit."""
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
