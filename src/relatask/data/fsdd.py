"""Loader of FSDD: ten spoken digits by six speakers."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from relatask.data.collection import Collection
from relatask.data.entry import Entry, Fetch
from relatask.data.files import under
from relatask.data.media import SoundFiles
from relatask.data.mnist import DIGITS

RATE = 8_000
"""Samples a second."""
TEST_TAKES = 5
"""The official test set: takes 0 to 4 of each digit by each speaker."""


def load_fsdd(fetch: Fetch) -> Collection:
    """Load FSDD (the free spoken digit dataset): 3,000 sounds, ten digits by six speakers, 50 takes of each.

    Inputs ``sound`` (read when asked for: (samples,) of float32 at 8 kHz, of different lengths); targets ``digit`` and
    ``speaker`` (multiclass); ``groups["take"]``. Splits: test is the official one, takes 0 to 4 (300 sounds), train the
    rest (2,700). Every speaker is in both.

    Licence: CC BY-SA 4.0. Source: Jakobovski/free-spoken-digit-dataset.
    """
    paths = under("fsdd")
    told = [PurePosixPath(path).stem.split("_") for path in paths]
    speakers = tuple(sorted({speaker for _, speaker, _ in told}))
    takes = np.array([int(take) for _, _, take in told])
    return Collection(
        name="fsdd",
        inputs={"sound": SoundFiles(paths, fetch)},
        targets={
            "digit": np.array([int(digit) for digit, _, _ in told]),
            "speaker": np.array([speakers.index(speaker) for _, speaker, _ in told]),
        },
        kinds={"digit": "multiclass", "speaker": "multiclass"},
        classes={"digit": DIGITS, "speaker": speakers},
        splits={"train": np.flatnonzero(takes >= TEST_TAKES), "test": np.flatnonzero(takes < TEST_TAKES)},
        groups={"take": takes},
        source="github.com/Jakobovski/free-spoken-digit-dataset @ 26eb9aaf76e8 : recordings",
        licence=ENTRIES[0].licence,
    )


ENTRIES = (
    Entry(
        name="fsdd",
        title="spoken digits, six speakers, 8 kHz (free spoken digit dataset)",
        licence="CC BY-SA 4.0",
        tasks="digit, speaker (multiclass)",
        rows=3_000,
        files=(),
        folder="fsdd",
        loader=load_fsdd,
    ),
)
