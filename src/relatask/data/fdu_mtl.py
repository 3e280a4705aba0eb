"""Loader of FDU-MTL: reviews of sixteen domains, liked or not, with unlabelled ones besides."""

from __future__ import annotations

import numpy as np

from relatask.data.collection import MISSING, Collection
from relatask.data.entry import Entry, Fetch

DOMAINS = (
    *("apparel", "baby", "books", "camera_photo", "dvd", "electronics", "health_personal_care", "imdb"),
    *("kitchen_housewares", "magazines", "MR", "music", "software", "sports_outdoors", "toys_games", "video"),
)
PARTS = {"train": "train", "test": "test", "unlabelled": "unlabel"}


def load_fdu_mtl(fetch: Fetch) -> Collection:
    """Load FDU-MTL: 16 domains of 1,500 to 1,600 reviews for training, 400 for testing, 475 or 2,000 without a label.

    Inputs ``text``; one target ``liked`` (binary, -100 in the unlabelled rows); ``groups["domain"]`` is the task that a
    review belongs to. Splits train, test (as published) and unlabelled. The text is tokenised already: split at blanks.

    Licence: MIT (the repository's). Source: ccsasuke/man.
    """
    texts: list[str] = []
    liked: list[int] = []
    domains: list[str] = []
    parts: list[str] = []
    for part, ending in PARTS.items():
        for domain in DOMAINS:
            content = fetch(f"fdu_mtl/{domain}.task.{ending}").read_bytes().decode("latin-1")
            lines = content.removesuffix("\n").split("\n")
            pairs = [line.split("\t", 1) if part != "unlabelled" else [str(MISSING), line] for line in lines]
            texts += [text.strip() for _, text in pairs]
            liked += [int(label) for label, _ in pairs]
            domains += [domain] * len(lines)
            parts += [part] * len(lines)
    where = np.array(parts)
    return Collection(
        name="fdu_mtl",
        inputs={"text": texts},
        targets={"liked": np.array(liked)},
        kinds={"liked": "binary"},
        splits={part: np.flatnonzero(where == part) for part in PARTS},
        groups={"domain": np.array(domains)},
        source="github.com/ccsasuke/man @ b57b4c14340d : data/fdu-mtl",
        licence=ENTRIES[0].licence,
    )


ENTRIES = (
    Entry(
        name="fdu_mtl",
        title="reviews of sixteen domains, liked or not, and unlabelled ones (FDU-MTL)",
        licence="MIT (the repository's)",
        tasks="16 domains, binary (liked)",
        rows=62_255,
        files=(),
        folder="fdu_mtl",
        loader=load_fdu_mtl,
    ),
)
