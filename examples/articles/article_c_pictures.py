"""Image classification and detection on one residual net, as an article on comprehensive multi-task learning has it.

The article puts two heads on ResNet-18, and its detection head is one linear layer of the pooled features: it has no
way to say how many things there are, or where. Here the class is read from the pooled features, and boxes from the map:
at each place a class, a box, and how sure. Pictures are made up, so that this runs in seconds; the runs on blood cells
in `examples/runs/` are the same on real ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from relatask.data.tensors import Loader, Pictures
from relatask.kinds import BoxHead
from relatask.nets import HardSharing
from relatask.nets.encoders import MapHead, PooledHead, ResNet
from relatask.tasks import Task
from relatask.train import fit

SIZE = 32
SURE = 0.6  # chance of a box from which it is told
LIGHTS = ("dark", "bright")
THINGS = ("wide", "tall")


def picture(rng: np.random.Generator) -> tuple[np.ndarray, int, dict[str, Any]]:
    """Make a picture (32, 32, 3): a dark or bright ground, and on it one or two red blocks, wide or tall."""
    light = int(rng.integers(2))
    pixels = np.full((SIZE, SIZE, 3), 60 + 80 * light, dtype=np.uint8)
    boxes, labels = [], []
    for left in rng.permutation([0, 16])[: rng.integers(1, 3)].tolist():
        label = int(rng.integers(2))
        width, height = [(12, 6), (6, 12)][label]
        x, y = left + int(rng.integers(0, 16 - width)), int(rng.integers(0, SIZE - height))
        pixels[y : y + height, x : x + width] = (255, 0, 0)
        boxes.append([x, y, x + width, y + height])
        labels.append(label)
    return pixels, light, {"boxes": np.array(boxes, dtype=np.float32), "labels": np.array(labels)}


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Area that two boxes share, by the area of both together."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared / (float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared)


def found(told: dict[str, Any], truth: dict[str, Any]) -> int:
    """How many true boxes are among the told ones: of their class, overlapping by a half or more."""
    boxes, labels, sure = (np.asarray(told[name]) for name in ("boxes", "labels", "scores"))
    boxes, labels = boxes[sure > SURE], labels[sure > SURE]
    return sum(
        any(kind == label and overlap(box, wanted) >= 0.5 for box, kind in zip(boxes, labels, strict=True))
        for wanted, label in zip(truth["boxes"], truth["labels"], strict=True)
    )


def main() -> None:
    rng = np.random.default_rng(0)
    made = [picture(rng) for _ in range(300)]
    lights = torch.tensor([light for _, light, _ in made])
    things: list[dict[str, Any] | None] = [boxes for _, _, boxes in made]
    for i in range(0, 240, 6):  # of some pictures nobody drew the boxes: they still teach the light
        things[i] = None
    train, new = (
        Pictures([pixels for pixels, _, _ in made[part]], {"light": lights[part], "things": things[part]}, (SIZE, SIZE))
        for part in (slice(240), slice(240, 300))
    )
    tasks = (
        Task("light", kind="multiclass", class_names=LIGHTS),
        Task("things", kind="detection", class_names=THINGS),
    )

    torch.manual_seed(0)
    encoder = ResNet(width=16, blocks=(1, 1), stem=2, gives="both")
    heads = {
        "light": PooledHead(nn.Linear(encoder.features, len(LIGHTS))),
        "things": MapHead(BoxHead(encoder.features, len(THINGS), (encoder.stride,))),
    }
    fitted = fit(HardSharing(encoder, heads), tasks, Loader(train, 20), epochs=25, lr=1e-2, schedule="cosine")

    told = fitted.predict(new)
    right = float((told["light"].argmax(1) == new.target("light")).double().mean())
    there = [boxes for _, _, boxes in made[240:]]
    total = sum(len(boxes["labels"]) for boxes in there)
    hits = sum(found(guess, truth) for guess, truth in zip(told["things"], there, strict=True))
    guessed = sum(int((np.asarray(guess["scores"]) > SURE).sum()) for guess in told["things"])
    print(f"light: {right:.3f} right; blocks: {hits} of {total} found, {guessed} told")
    assert right > 0.95
    assert hits > 0.7 * total
    assert guessed < 1.5 * total

    # One linear layer on pooled features, as in the article, tells as many boxes for every picture; here they differ.
    numbers = {int((np.asarray(guess["scores"]) > SURE).sum()) for guess in told["things"]}
    print("boxes told of a picture:", sorted(numbers))
    assert len(numbers) > 1


if __name__ == "__main__":
    main()
