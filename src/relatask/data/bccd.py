"""Loader of BCCD: pictures of blood, a box around each cell, and the sort of the white cell."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from relatask.data.collection import MISSING, Collection
from relatask.data.entry import Entry, Fetch
from relatask.data.media import PictureFiles

CELLS = ("RBC", "WBC", "Platelets")
WHITE = ("BASOPHIL", "EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL")
PARTS = ("train", "val", "test")
SIDES = ("xmin", "ymin", "xmax", "ymax")


def load_bccd(fetch: Fetch) -> Collection:
    """Load BCCD: 364 pictures of 640 x 480, 4,886 boxes of three classes of cells, the white cell's sort.

    Inputs ``picture`` (read when asked for); targets ``cells`` (detection, the classes RBC, WBC and Platelets),
    ``white`` (multiclass, one of five sorts) and ``sorts`` (multilabel (n, 5), with every sort that is named).
    348 pictures name one white cell. 15 name two: where both are of one sort (7) that is the label; where they differ
    (8) ``white`` is missing, and ``sorts`` holds both. One names none (both missing). Two boxes of the 4,888
    in the files have no area and are left out. Splits train, val and test as published (205, 87, 72).

    Licence: MIT. Source: Shenggan/BCCD_Dataset, and apple2373/BCCD for the sorts.
    """
    splits = {part: fetch(f"bccd/ImageSets/Main/{part}.txt").read_text().split() for part in PARTS}
    names = sorted(name for part in splits.values() for name in part)
    place = {name: row for row, name in enumerate(names)}
    with fetch("bccd/wbc_labels.csv").open(encoding="utf-8", newline="") as stream:
        told = {int(row["Image"]): row["Category"] for row in csv.DictReader(stream)}
    white = np.full(len(names), MISSING)
    sorts = np.full((len(names), len(WHITE)), MISSING)
    for row, name in enumerate(names):
        found = {WHITE.index(word.strip()) for word in told[int(name[-5:])].split(",") if word}
        if found:
            sorts[row] = [k in found for k in range(len(WHITE))]
        if len(found) == 1:
            white[row] = found.pop()
    return Collection(
        name="bccd",
        inputs={"picture": PictureFiles([f"bccd/JPEGImages/{name}.jpg" for name in names], fetch)},
        targets={
            "cells": [_boxes(fetch(f"bccd/Annotations/{name}.xml")) for name in names],
            "white": white,
            "sorts": sorts,
        },
        kinds={"cells": "detection", "white": "multiclass", "sorts": "multilabel"},
        classes={"cells": CELLS, "white": WHITE, "sorts": WHITE},
        splits={part: np.array(sorted(place[name] for name in found)) for part, found in splits.items()},
        source="github.com/Shenggan/BCCD_Dataset @ d272fb14cdff; github.com/apple2373/BCCD : labels.csv",
        licence=ENTRIES[0].licence,
    )


def _boxes(path: Path) -> dict[str, Any]:
    boxes, labels = [], []
    for thing in ElementTree.parse(path).getroot().iter("object"):
        box = [float(thing.findtext(f"bndbox/{side}", "nan")) for side in SIDES]
        if box[2] > box[0] and box[3] > box[1]:
            boxes.append(box)
            labels.append(CELLS.index(thing.findtext("name", "")))
    return {"boxes": np.array(boxes, dtype=np.float32).reshape(-1, 4), "labels": np.array(labels, dtype=np.int64)}


ENTRIES = (
    Entry(
        name="bccd",
        title="pictures of blood, with a box around each cell and the sort of the white one (BCCD)",
        licence="MIT",
        tasks="cells (detection), white (multiclass, some missing), sorts (multilabel)",
        rows=364,
        files=(),
        folder="bccd",
        loader=load_bccd,
    ),
)
