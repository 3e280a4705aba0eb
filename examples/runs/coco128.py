"""COCO-128: which things a picture shows, where they are, and what each pixel belongs to, on one residual backbone.

256 pictures, 128 of them for training: far too few to do any of this well. What is shown is that three kinds of labels,
one of them missing for 56 pictures, train together from end to end, beside a constant answer (and, if asked for, each
task alone: `--methods "shown alone" "things alone" "mask alone"`). Pixels are told in three classes (person, another
thing, stuff); those without a label count nowhere. The split is ours (see `relatask.data`); learning rates are chosen
on its validation part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from examples.runs.common import Results, start
from torch import Tensor, nn

from relatask.data import Collection, load
from relatask.data.collection import MISSING
from relatask.data.tensors import Augment, Loader, Pictures
from relatask.kinds import BoxHead, PixelHead
from relatask.measure import evaluate_task
from relatask.nets import HardSharing
from relatask.nets.encoders import ResNet
from relatask.tasks import Task
from relatask.train import fit

Found = dict[tuple[str, str], float]
TASKS = {
    "shown": Task("shown", "multilabel", classes=80),
    "things": Task("things", "detection", classes=80),
    "mask": Task("mask", "segmentation", classes=3),
}
SHOWN = {"shown": ("micro_f1", "macro_auc", "log_loss"), "things": ("map", "map50"), "mask": ("miou", "accuracy")}
DECIDES = {"shown": "macro_auc", "things": "map50", "mask": "miou"}
METHODS: dict[str, tuple[str, ...]] = {"joint": tuple(TASKS), **{f"{task} alone": (task,) for task in TASKS}}


@dataclass(frozen=True)
class Settings:
    """What the run is made with."""

    methods: tuple[str, ...] = ("constant", "joint")
    seeds: tuple[int, ...] = (0,)
    side: int = 128
    channels: int = 32
    epochs: int = 20
    batch_size: int = 8
    rates: tuple[float, ...] = (1e-3, 3e-3)
    weight_decay: float = 1e-2
    clip: float = 10.0
    pictures: int | None = None


QUICK = {"methods": ("constant", *METHODS), "side": 32, "channels": 8, "epochs": 1, "rates": (1e-3,), "pictures": 12}


class Coarse(Sequence[Any]):
    """Masks with three classes in the place of COCO's categories: person, another thing, stuff; -100 for none."""

    def __init__(self, masks: Sequence[Any], names: Sequence[str]) -> None:
        self.masks = masks
        numbers = np.arange(256)
        self.classes = np.where(numbers <= 90, 1, 2)  # COCO's numbers: up to 90 things, above stuff
        self.classes[list(names).index("person")] = 0
        self.classes[0] = MISSING

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, row: Any) -> Any:
        mask = self.masks[row]
        return None if mask is None else self.classes[mask]


class Whole(nn.Module):
    """Logits for a picture, from the mean and the largest value of each channel of the map."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.last = nn.Linear(2 * features, classes)

    def forward(self, z: Tensor) -> Tensor:
        """Give the logits."""
        return self.last(torch.cat([z.mean((2, 3)), z.amax((2, 3))], 1))


def model_of(tasks: Sequence[str], settings: Settings) -> HardSharing:
    """Give the backbone, of stride 8, with a head for each of these tasks."""
    encoder = ResNet(width=settings.channels, blocks=(1, 1), stem=4, gives="map")
    heads = {"shown": lambda: Whole(encoder.features, 80), "things": lambda: BoxHead(encoder.features, 80)}
    heads["mask"] = lambda: PixelHead(encoder.features, 3)
    return HardSharing(encoder, {task: heads[task]() for task in tasks})


@cache
def source(part: str, tasks: tuple[str, ...], settings: Settings) -> Pictures:
    """Give a part's pictures with the labels of these tasks; those for training are changed at random."""
    data: Collection = load("coco128")
    splits = {name: rows[: settings.pictures] for name, rows in data.splits.items()}
    found = Collection(data.name, data.inputs, data.targets, data.kinds, data.classes, splits).split(part)
    y: dict[str, Any] = dict(found.targets)
    y["mask"] = Coarse(y["mask"], data.classes["mask"])
    augment = Augment(flip=0.5, shift=0.1, brightness=0.2) if part == "train" else None
    return Pictures(found.inputs["picture"], {task: y[task] for task in tasks}, (settings.side, settings.side), augment)


def scores(part: str, answers: Mapping[str, Any], settings: Settings) -> Found:
    """Give the scores of a part's answers."""
    truth = source(part, tuple(TASKS), settings)
    found: Found = {}
    for task, told in answers.items():
        for row in evaluate_task(TASKS[task].kind, truth.target(task), told, SHOWN[task]):
            found[task, row["metric"]] = row["value"]
    return found


def one(method: str, seed: int, settings: Settings) -> Found:
    """Train with each learning rate, keep the model that did best on the validation pictures, test it."""
    if method == "constant":
        return scores("test", constant(settings), settings)
    tasks = METHODS[method]
    best: tuple[float, float, Any] | None = None
    for rate in settings.rates:
        torch.manual_seed(seed)
        model = fit(
            model_of(tasks, settings),
            [TASKS[task] for task in tasks],
            Loader(source("train", tasks, settings), settings.batch_size, seed=seed),
            epochs=settings.epochs,
            lr=rate,
            weight_decay=settings.weight_decay,
            schedule="cosine",
            clip=settings.clip,
            device="cpu",
            seed=seed,
        )
        told = scores("val", model.predict(source("val", tasks, settings), batch_size=16), settings)
        score = float(np.mean([told[task, DECIDES[task]] for task in tasks]))
        if best is None or score > best[0]:
            best = score, rate, model
    assert best is not None
    return {
        **scores("test", best[2].predict(source("test", tasks, settings), batch_size=16), settings),
        ("", "lr"): best[1],
    }


def constant(settings: Settings) -> dict[str, Any]:
    """Give the best constant answers to the training labels: how often each class is shown, the commonest pixel."""
    train, test = (source(part, tuple(TASKS), settings) for part in ("train", "test"))
    often = train.target("shown").double().mean(0)
    pixels = train.target("mask")
    commonest = int(torch.bincount(pixels[pixels >= 0]).argmax())
    size = test.target("mask").shape
    return {"shown": often.expand(len(test), -1), "mask": torch.full(size, commonest)}


def main(argv: Sequence[str] | None = None) -> Results:
    """Run what is asked for."""
    settings, results = start("coco128", Settings, quick=QUICK, argv=argv)
    for method in settings.methods:
        for seed in settings.seeds:
            results.run(method, seed, lambda method=method, seed=seed: one(method, seed, settings))
    results.show([(task, metric) for task, metrics in SHOWN.items() for metric in metrics], digits=3)
    return results


if __name__ == "__main__":
    main()
