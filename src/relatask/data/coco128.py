"""Loader of COCO-128: 256 everyday pictures with boxes, the classes they show, and masks for most."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import numpy as np
import yaml

from relatask.data.collection import Collection
from relatask.data.entry import Entry, Fetch
from relatask.data.files import under
from relatask.data.media import MaskFiles, PictureFiles

ROOT = "coco128_320px"
PARTS = {"train": "train2017", "val": "val2017"}


def load_coco128(fetch: Fetch) -> Collection:
    """Load COCO-128: 256 pictures of at most 320 pixels a side, 1,827 boxes of 80 classes, 200 masks.

    Inputs ``picture`` (read when asked for) and ``size`` (n, 2), width and height; targets ``things`` (detection,
    corners in pixels), ``shown`` (multilabel (n, 80), what the boxes hold) and ``mask`` (segmentation: (height, width)
    of category numbers as in the files, None where there is no mask; read when asked for). ``classes["mask"]`` names
    the categories by their number, with "" for numbers that COCO does not use.

    Upstream has two parts of 128 without a test set. ``splits`` is ours: train (upstream's train2017) and, of val2017,
    every other picture as val and the rest as test, in order of their numbers.

    Licence: COCO's terms. Source: lightly-ai/coco128_yolo, pictures shrunk to 320 pixels.
    """
    found = [path for part in PARTS.values() for path in under(f"{ROOT}/images/{part}")]
    masks = set(under(f"{ROOT}/masks"))
    pictures = PictureFiles(found, fetch)
    sizes = np.array([_size(fetch, path) for path in found])
    things = [_boxes(fetch, path, size) for path, size in zip(found, sizes, strict=True)]
    names = _names(fetch, "object_detection_config.yaml", "names")
    shown = np.zeros((len(found), len(names)), dtype=np.int64)
    for row, thing in enumerate(things):
        shown[row, thing["labels"]] = 1
    paths = [path.replace("/images/", "/masks/").replace(".jpg", ".png") for path in found]
    first = len(under(f"{ROOT}/images/{PARTS['train']}"))
    rows = np.arange(len(found))
    return Collection(
        name="coco128",
        inputs={"picture": pictures, "size": sizes},
        targets={
            "things": things,
            "shown": shown,
            "mask": MaskFiles([path if path in masks else None for path in paths], fetch),
        },
        kinds={"things": "detection", "shown": "multilabel", "mask": "segmentation"},
        classes={
            "things": names,
            "shown": names,
            "mask": _names(fetch, "semantic_segmentation_config.yaml", "classes"),
        },
        splits={"train": rows[:first], "val": rows[first::2], "test": rows[first + 1 :: 2]},
        source="github.com/lightly-ai/coco128_yolo @ 6d6f7a059ea6, shrunk to 320 pixels",
        licence=ENTRIES[0].licence,
    )


def _names(fetch: Fetch, file: str, key: str) -> tuple[str, ...]:
    told: dict[int, str] = yaml.safe_load(fetch(f"{ROOT}/{file}").read_text(encoding="utf-8"))[key]
    return tuple(told.get(k, "") for k in range(max(told) + 1))


def _boxes(fetch: Fetch, path: str, size: np.ndarray) -> dict[str, Any]:
    file = PurePosixPath(path.replace("/images/", "/labels/")).with_suffix(".txt")
    cells = np.array(fetch(str(file)).read_text().split(), dtype=np.float64).reshape(-1, 5)
    centre, half = cells[:, 1:3] * size, cells[:, 3:5] * size / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    return {"boxes": boxes.astype(np.float32), "labels": cells[:, 0].astype(np.int64)}


def _size(fetch: Fetch, path: str) -> tuple[int, int]:
    """Give width and height as the JPEG's frame header states them."""
    content = fetch(path).read_bytes()
    at = 2
    while not (0xC0 <= content[at + 1] <= 0xCF and content[at + 1] not in (0xC4, 0xC8, 0xCC)):
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    height, width = (int.from_bytes(content[at + k : at + k + 2]) for k in (5, 7))
    return width, height


ENTRIES = (
    Entry(
        name="coco128",
        title="256 everyday pictures with boxes, classes and masks (COCO-128, 320 pixels; the split is ours)",
        licence="COCO's terms",
        tasks="things (detection), shown (multilabel), mask (segmentation, some missing)",
        rows=256,
        files=(),
        folder=ROOT,
        loader=load_coco128,
    ),
)
