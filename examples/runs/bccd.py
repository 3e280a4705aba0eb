"""BCCD: the sort of a white cell and a box around every cell, on one residual backbone, beside each task alone.

364 pictures of blood (240 x 320 pixels here), splits as published. The sort is missing where a picture names none, or
two that differ. Three models: both tasks on one backbone, and a twin of it for each task alone. The learning rate of
each is chosen on the validation pictures, by shorter runs; then each is trained anew on the training pictures, and its
last weights are tested. Nothing else is chosen. A paired bootstrap over the test pictures says whether sharing made a
difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from examples.runs.common import Results, start
from torch import Tensor, nn

from relatask.data import Collection, load
from relatask.data.bccd import CELLS, WHITE
from relatask.data.tensors import Augment, Loader, Pictures
from relatask.kinds import BoxHead
from relatask.measure.structured import compare_task, evaluate_task
from relatask.nets import HardSharing
from relatask.tasks import Task
from relatask.train import fit

Found = dict[tuple[str, str], float]
TASKS = {
    "white": Task("white", "multiclass", classes=len(WHITE)),
    "cells": Task("cells", "detection", classes=len(CELLS)),
}
SHOWN = ("accuracy", "macro_f1", "map", "map50")
METHODS: dict[str, tuple[str, ...]] = {
    "joint": ("white", "cells"),
    "white alone": ("white",),
    "cells alone": ("cells",),
}


@dataclass(frozen=True)
class Settings:
    """What the run is made with."""

    methods: tuple[str, ...] = tuple(METHODS)
    seeds: tuple[int, ...] = (0,)
    height: int = 240
    width: int = 320
    channels: int = 32
    epochs: int = 45
    batch_size: int = 8
    rates: tuple[float, ...] = (1e-3, 3e-3)
    tuning_epochs: int = 6
    precision: str = "bf16-mixed"
    weight_decay: float = 1e-2
    clip: float = 10.0
    pictures: int | None = None
    draws: int = 2000
    answers: Path = Path("runs/bccd")


QUICK = {"methods": tuple(METHODS), "height": 48, "width": 64, "channels": 4, "epochs": 1, "tuning_epochs": 1}
QUICK |= {"pictures": 16, "draws": 50, "rates": (1e-3,)}


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.long = nn.Sequential(
            *(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()),
            *(nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)),
        )
        same = before == after and stride == 1
        self.short: nn.Module = nn.Identity()
        if not same:
            self.short = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        """Add both ways."""
        return torch.relu(self.long(x) + self.short(x))


class Backbone(nn.Module):
    """From (n, 3, h, w) to a map (n, 2 channels, h / 8, w / 8)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Conv2d(3, channels, 5, 4, 2, bias=False), nn.BatchNorm2d(channels), nn.ReLU()),
            *(Block(channels, channels), Block(channels, 2 * channels, 2), Block(2 * channels, 2 * channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give the map."""
        return self.net(((x - 0.7) / 0.2).contiguous(memory_format=torch.channels_last))


class WholePicture(nn.Module):
    """One answer for a picture: from the mean and the largest value of each channel of the map."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.last = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * features, classes))

    def forward(self, z: Tensor) -> Tensor:
        """Give the logits."""
        return self.last(torch.cat([z.mean((2, 3)), z.amax((2, 3))], 1))


def model_of(tasks: Sequence[str], settings: Settings) -> HardSharing:
    """Give the backbone with a head for each of these tasks."""
    features = 2 * settings.channels
    heads = {"white": lambda: WholePicture(features, len(WHITE)), "cells": lambda: BoxHead(features, len(CELLS))}
    net = HardSharing(Backbone(settings.channels), {task: heads[task]() for task in tasks})
    return net.to(memory_format=torch.channels_last)


@cache
def parts(settings: Settings) -> dict[str, Collection]:
    """Give training, validation and test pictures."""
    data = load("bccd")
    splits = {name: rows[: settings.pictures] for name, rows in data.splits.items()}
    cut = Collection(data.name, data.inputs, data.targets, data.kinds, data.classes, splits)
    return {name: cut.split(name) for name in splits}


@cache
def source(part: str, tasks: tuple[str, ...], settings: Settings) -> Pictures:
    """Give a part's pictures with the labels of these tasks; those for training are changed at random."""
    data = parts(settings)[part]
    augment = Augment(flip=0.5, flip_vertical=0.5, shift=0.1, brightness=0.15) if part == "train" else None
    y = {task: data.targets[task] for task in tasks}
    return Pictures(data.inputs["picture"], y, (settings.height, settings.width), augment)


def trained(tasks: tuple[str, ...], rate: float, epochs: int, seed: int, settings: Settings) -> Any:
    """Train a model of these tasks on the training pictures; its last weights count."""
    torch.manual_seed(seed)
    return fit(
        model_of(tasks, settings),
        [TASKS[task] for task in tasks],
        Loader(source("train", tasks, settings), settings.batch_size, seed=seed),
        epochs=epochs,
        lr=rate,
        weight_decay=settings.weight_decay,
        schedule="cosine",
        clip=settings.clip,
        precision=settings.precision,
        device="cpu",
        seed=seed,
    )


def scores(part: str, tasks: Sequence[str], answers: Mapping[str, Any], settings: Settings) -> Found:
    """Give the scores of a part's answers."""
    rows = {task: evaluate_task(TASKS[task].kind, truth(part, task, settings), answers[task]) for task in tasks}
    return {(task, row["metric"]): row["value"] for task in tasks for row in rows[task] if row["metric"] in SHOWN}


def truth(part: str, task: str, settings: Settings) -> Any:
    """Give the labels of a part; boxes in pixels of the pictures as the network sees them."""
    found = parts(settings)[part].targets[task]
    return scaled(found, settings) if task == "cells" else found


def scaled(cells: Sequence[Mapping[str, Any]], settings: Settings) -> list[dict[str, Any]]:
    """Give the boxes in pixels of the pictures as the network sees them."""
    scale = np.array([settings.width / 640, settings.height / 480] * 2)
    return [{"boxes": cell["boxes"] * scale, "labels": cell["labels"]} for cell in cells]


def one(method: str, seed: int, settings: Settings) -> Found:
    """Choose the learning rate on validation pictures, train, keep the test answers, score them."""
    tasks = METHODS[method]
    tried: dict[float, float] = {}
    for rate in settings.rates if len(settings.rates) > 1 else ():
        model = trained(tasks, rate, settings.tuning_epochs, seed, settings)
        told = scores("val", tasks, model.predict(source("val", tasks, settings), batch_size=16), settings)
        tried[rate] = float(np.mean([v for (_, metric), v in told.items() if metric in ("accuracy", "map50")]))
    rate = max(tried, key=tried.__getitem__, default=settings.rates[0])
    model = trained(tasks, rate, settings.epochs, seed, settings)
    answers = model.predict(source("test", tasks, settings), batch_size=16)
    keep(answers, kept(method, seed, settings))
    return {**scores("test", tasks, answers, settings), ("", "lr"): rate}


def kept(method: str, seed: int, settings: Settings) -> Path:
    """Where a model's test answers are."""
    return settings.answers / f"{method.replace(' ', '-')}-{seed}.pt"


def keep(answers: Mapping[str, Any], path: Path) -> None:
    """Write answers, for the verdict."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(answers), path)


def verdicts(settings: Settings, results: Results) -> None:
    """Compare the joint model with each twin on the test pictures, and keep what is found."""
    for task, metric in (("white", "accuracy"), ("cells", "map")):
        files = [[kept(method, seed, settings) for seed in settings.seeds] for method in ("joint", f"{task} alone")]
        if not all(file.is_file() for side in files for file in side):
            continue
        joint, alone = ([torch.load(file, weights_only=False)[task] for file in side] for side in files)
        y = truth("test", task, settings)
        found = compare_task(TASKS[task].kind, y, joint, alone, metric, draws=settings.draws)
        told = {"difference": found.difference, "low": found.low, "high": found.high, "p": found.p}
        results.console.print(
            f"{task} {metric}: {found.value:.3f} together, {found.baseline_value:.3f} alone: {found.verdict} "
            f"({found.difference:+.3f}, {found.low:+.3f} to {found.high:+.3f})",
            highlight=False,
        )
        name = f"joint - {task} alone"
        if not results.done(name, settings.seeds[0]):
            results.add(name, settings.seeds[0], {(task, f"{metric} {key}"): value for key, value in told.items()}, 0.0)


def main(argv: Sequence[str] | None = None) -> Results:
    """Run what is asked for."""
    settings, results = start("bccd", Settings, quick=QUICK, argv=argv)
    for method in settings.methods:
        for seed in settings.seeds:
            results.run(method, seed, lambda method=method, seed=seed: one(method, seed, settings))
    results.show([("white", "accuracy"), ("white", "macro_f1"), ("cells", "map"), ("cells", "map50")], digits=3)
    verdicts(settings, results)
    return results


if __name__ == "__main__":
    main()
