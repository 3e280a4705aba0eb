"""Digits heard and seen: which digit, and who says it, from the sound, the picture, or both.

Every spoken digit of FSDD is put beside a written one of MNIST of the same class. Pairs are drawn with a seed, those
for testing from the official test sets only (takes 0 to 4; the 10,000 test pictures). Training: takes 10 to 49, and as
many training pictures; validation: takes 5 to 9, beside other training pictures. One network reads both, its twins one
each (of who speaks, a picture knows nothing). The learning rate of each is chosen on the validation pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from examples.runs.common import Results, start
from torch import Tensor, nn

from relatask.data import load
from relatask.data.fsdd import RATE
from relatask.data.tensors import Columns, Loader, Multimodal, Sounds
from relatask.nets import Modalities
from relatask.nets.encoders import LogMel, ResNet
from relatask.tasks import Task
from relatask.train import fit

TASKS = (Task("digit", "multiclass", classes=10), Task("speaker", "multiclass", classes=6))
METHODS: dict[str, tuple[str, ...]] = {"sound": ("sound",), "picture": ("picture",), "both": ("sound", "picture")}
VALIDATION = 10
"""Takes below this one that are not for testing are for validation."""


@dataclass(frozen=True)
class Settings:
    """What the run is made with."""

    methods: tuple[str, ...] = tuple(METHODS)
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int = 6
    batch_size: int = 32
    rates: tuple[float, ...] = (2e-3, 6e-3)
    weight_decay: float = 1e-3
    dropout: float = 0.2
    width: int = 32
    seconds: float = 0.8
    pictures_per_sound: int = 10


QUICK = {"methods": tuple(METHODS), "seeds": (0,), "epochs": 1, "rates": (4e-3,), "width": 16, "seconds": 0.1}
QUICK |= {"pictures_per_sound": 1, "batch_size": 64}


def pairs(part: str, seed: int, times: int) -> tuple[np.ndarray, np.ndarray]:
    """Give rows of sounds and, beside each, of a picture of the same digit; each sound `times` times."""
    heard, seen = load("fsdd"), load("mnist")
    take, spoken = heard.groups["take"], heard.targets["digit"]
    test = np.isin(np.arange(len(heard)), heard.splits["test"])
    of_part = {"train": take >= VALIDATION, "val": ~test & (take < VALIDATION), "test": test}[part]
    sounds = np.repeat(np.flatnonzero(of_part), times)
    rng = np.random.default_rng((seed, 7))  # the same for training and validation: they share no picture
    pictures = np.zeros(len(sounds), dtype=int)
    for digit in range(10):
        rows = seen.splits["test" if part == "test" else "train"]
        rows = rng.permutation(rows[seen.targets["digit"][rows] == digit])
        rows = rows[300:] if part == "train" else rows
        mine = np.flatnonzero(spoken[sounds] == digit)
        pictures[mine] = rows[: len(mine)]
    return sounds, pictures


@cache
def source(part: str, modalities: tuple[str, ...], seed: int, settings: Settings) -> Multimodal:
    """Give the pairs of a part, of these modalities."""
    heard, seen = load("fsdd"), load("mnist")
    sounds, pictures = pairs(part, seed, settings.pictures_per_sound if part == "test" else 1)
    shift = 0.1 if part == "train" else 0.0
    every = {
        "sound": Sounds(heard.inputs["sound"], {}, int(settings.seconds * RATE), shift),
        "picture": Columns(torch.from_numpy(seen.inputs["picture"])[:, None], {}),
    }
    y = {task.name: heard.targets[str(task.name)][sounds] for task in TASKS}
    rows = {"sound": sounds, "picture": pictures}
    return Multimodal({name: every[name] for name in modalities}, y, {name: rows[name] for name in modalities})


class Heard(nn.Module):
    """Log-mel loudness through convolutions; the mean over time, with the places of pitch side by side."""

    def __init__(self, width: int, dropout: float, mels: int = 32) -> None:
        super().__init__()
        self.front = LogMel(RATE, mels, hop=0.0125)
        widths = (1, width // 4, width // 2, width)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.net = nn.Sequential(*layers)
        self.last = nn.Sequential(nn.Dropout(dropout), nn.Linear(width * mels // 8, width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Give (n, width) of sounds (n, L)."""
        loud, _ = self.front(x.nan_to_num())
        return self.last(self.net((loud + 8)[:, None] / 4).mean(2).flatten(1))


def model_of(modalities: Sequence[str], settings: Settings) -> Modalities:
    """Give an encoder for each modality, put side by side, and a head for each task."""
    width = settings.width
    made = {
        "sound": lambda: Heard(width, settings.dropout),
        "picture": lambda: nn.Sequential(
            ResNet(channels=1, width=width // 4, blocks=(1, 1, 1)), nn.Dropout(settings.dropout)
        ),
    }
    heads = {task.name: nn.Linear(width * len(modalities), task.classes or 0) for task in TASKS}
    return Modalities({name: made[name]() for name in modalities}, heads, width)


def one(method: str, seed: int, settings: Settings) -> dict[tuple[str, str], float]:
    """Train with each learning rate, keep the model that did best on the validation pairs, test it."""
    modalities = METHODS[method]
    best: tuple[float, float, Any] | None = None
    for rate in settings.rates:
        torch.manual_seed(seed)
        model = fit(
            model_of(modalities, settings),
            TASKS,
            Loader(source("train", modalities, seed, settings), settings.batch_size, seed=seed),
            epochs=settings.epochs,
            lr=rate,
            weight_decay=settings.weight_decay,
            schedule="cosine",
            device="cpu",
            seed=seed,
        )
        score = accuracies(model, "val", modalities, seed, settings)["digit", "accuracy"]
        if best is None or score > best[0]:
            best = score, rate, model
    assert best is not None
    return {**accuracies(best[2], "test", modalities, seed, settings), ("", "lr"): best[1]}


def accuracies(
    model: Any, part: str, modalities: tuple[str, ...], seed: int, settings: Settings
) -> dict[tuple[str, str], float]:
    """Give the share of right answers of each task."""
    data = source(part, modalities, seed, settings)
    told = model.predict(data)
    return {
        (str(task.name), "accuracy"): float(
            np.mean(np.asarray(told[task.name]).argmax(1) == data.target(task.name).numpy())
        )
        for task in TASKS
    }


def main(argv: Sequence[str] | None = None) -> Results:
    """Run what is asked for."""
    settings, results = start("digits", Settings, quick=QUICK, argv=argv)
    for seed in settings.seeds:
        for method in settings.methods:
            results.run(method, seed, lambda method=method, seed=seed: one(method, seed, settings))
    results.show([("digit", "accuracy"), ("speaker", "accuracy")], digits=4)
    return results


if __name__ == "__main__":
    main()
