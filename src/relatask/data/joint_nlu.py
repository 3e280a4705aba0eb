"""Loader of ATIS: what travellers asked, the intent of each sentence, and the slot of each word."""

from __future__ import annotations

import numpy as np

from relatask.data.collection import Collection
from relatask.data.entry import Entry, Fetch

PARTS = ("train", "dev", "test")


def load_atis(fetch: Fetch) -> Collection:
    """Load ATIS: 4,478 sentences for training, 500 for development, 893 for testing.

    Inputs ``tokens`` (a list of words each); targets ``intent`` (multiclass) and ``slots`` (a BIO tag for each word).
    The classes are those of the upstream lists, without their entries for padding and unknown (21 intents, 120 tags),
    then those that the parts hold besides; ``splits`` are the published ones.

    Licence: Apache-2.0 (the repository's). Source: monologg/JointBERT.
    """
    words, intents, slots, sizes = [], [], [], []
    for part in PARTS:
        lines = {name: _lines(fetch, f"{part}/{name}") for name in ("seq.in", "seq.out", "label")}
        words += [line.split() for line in lines["seq.in"]]
        slots += [line.split() for line in lines["seq.out"]]
        intents += lines["label"]
        sizes.append(len(lines["label"]))
    classes = {
        "intent": _classes(_lines(fetch, "intent_label.txt"), intents),
        "slots": _classes(_lines(fetch, "slot_label.txt"), [tag for row in slots for tag in row]),
    }
    place = {task: {name: k for k, name in enumerate(names)} for task, names in classes.items()}
    ends = np.cumsum([0, *sizes])
    return Collection(
        name="atis",
        inputs={"tokens": words},
        targets={
            "intent": np.array([place["intent"][name] for name in intents]),
            "slots": [[place["slots"][tag] for tag in row] for row in slots],
        },
        kinds={"intent": "multiclass", "slots": "tagging"},
        classes=classes,
        splits={part: np.arange(ends[k], ends[k + 1]) for k, part in enumerate(PARTS)},
        source="github.com/monologg/JointBERT @ 00324f60dda4 : data/atis",
        licence=ENTRIES[0].licence,
    )


def _lines(fetch: Fetch, path: str) -> list[str]:
    return [line.strip() for line in fetch(f"joint_nlu/atis/{path}").read_text(encoding="utf-8").splitlines()]


def _classes(listed: list[str], found: list[str]) -> tuple[str, ...]:
    known = [name for name in listed if name not in ("UNK", "PAD")]
    return (*known, *sorted(set(found) - set(known)))


ENTRIES = (
    Entry(
        name="atis",
        title="sentences of travellers, with an intent each and a slot for each word (ATIS)",
        licence="Apache-2.0 (the repository's)",
        tasks="intent (multiclass), slots (tagging)",
        rows=5_871,
        files=(),
        folder="joint_nlu",
        loader=load_atis,
    ),
)
