"""Metrics of rows with many parts: entities of sentences, boxes and pixels of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relatask.boxes import OVERLAPS, Matches
from relatask.entities import agreement, f1
from relatask.measure.structured.measured import MISSING, Floats, Ints, Measured, OfSums, ratio
from relatask.notices import InputError


def sentences(y: Any, answers: Any) -> list[tuple[list[Any], list[Any]]]:
    """Pair tags with those told, sentence by sentence, at the tokens that have one (not -100, not None)."""
    if len(y) != len(answers):
        raise InputError(f"{len(y)} sentences have labels and {len(answers)} answers; give as many.")
    found = []
    for row, (truth, guess) in enumerate(zip(y, answers, strict=True)):
        there, told = _plain(truth), _plain(guess)
        kept = [place for place, tag in enumerate(there) if tag is not None and tag != MISSING]
        if kept and kept[-1] >= len(told):
            raise InputError(f"sentence {row} has {kept[-1] + 1} tokens and {len(told)} tags told; give one for each.")
        found.append(([there[k] for k in kept], [told[k] for k in kept]))
    return found


def _plain(values: Any) -> list[Any]:
    if values is None:
        return []
    return values.tolist() if hasattr(values, "tolist") else list(values)


@dataclass(frozen=True)
class EntityF1(OfSums):
    """F1 of the entities, by seqeval's rules, of all sentences together."""

    def terms(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Floats:
        """Right ones, those there are, those told."""
        found = []
        for truth, guess in sentences(y, answers):
            if names is None and not all(isinstance(tag, str) for tag in (*truth, *guess)):
                raise InputError("entity_f1 reads the tags' names: give class_names=('O', 'B-city', ...), or names.")
            sides = ([tag if names is None else names[tag] for tag in tags] for tags in (truth, guess))
            found.append(agreement(*sides))
        return np.array(found, dtype=float).reshape(-1, 3)

    def of(self, sums: Floats) -> float:
        """F1; NaN where there is no entity, there or told."""
        return f1(*sums.tolist()) if sums[1] + sums[2] else float("nan")


@dataclass(frozen=True)
class TokenAccuracy(OfSums):
    """Share of tokens whose tag is right."""

    def terms(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Floats:
        """Right ones and all."""
        pairs = sentences(y, answers)
        counted = [(sum(a == b for a, b in zip(*pair, strict=True)), len(pair[0])) for pair in pairs]
        return np.array(counted, dtype=float).reshape(-1, 2)

    def of(self, sums: Floats) -> float:
        """The share."""
        return ratio(sums[0], sums[1])


def pixels(y: Any, answers: Any) -> list[tuple[Ints, Ints]]:
    """Pair the classes of pixels with those told, picture by picture, where there is a class."""
    if len(y) != len(answers):
        raise InputError(f"{len(y)} pictures have labels and {len(answers)} answers; give as many.")
    found = []
    for row, (truth, guess) in enumerate(zip(y, answers, strict=True)):
        if truth is None:
            found.append((np.zeros(0, dtype=np.int64),) * 2)
            continue
        there, told = np.asarray(truth), np.asarray(guess)
        if there.shape != told.shape:
            raise InputError(f"picture {row}: labels {there.shape} and answers {told.shape}; expected the same.")
        seen = there != MISSING
        found.append((there[seen].astype(np.int64), told[seen].astype(np.int64)))
    return found


@dataclass(frozen=True)
class MeanOverlap(OfSums):
    """Mean over the classes, there or told, of intersection by union, over the pixels of all pictures (mIoU)."""

    def terms(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Floats:
        """Of each class: pixels in both, there, and told."""
        pairs = pixels(y, answers)
        k = 1 + max((int(side.max()) for pair in pairs for side in pair if side.size), default=0)
        return np.array(
            [
                np.concatenate([np.bincount(side, minlength=k) for side in (truth[truth == guess], truth, guess)])
                for truth, guess in pairs
            ],
            dtype=float,
        ).reshape(len(pairs), -1)

    def of(self, sums: Floats) -> float:
        """The mean."""
        both, there, told = sums.reshape(3, -1)
        union = there + told - both
        return float((both[union > 0] / union[union > 0]).mean()) if union.any() else float("nan")


@dataclass(frozen=True)
class PixelAccuracy(OfSums):
    """Share of pixels whose class is right."""

    def terms(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Floats:
        """Right ones and all."""
        return np.array([((a == b).sum(), len(a)) for a, b in pixels(y, answers)], dtype=float).reshape(-1, 2)

    def of(self, sums: Floats) -> float:
        """The share."""
        return ratio(sums[0], sums[1])


@dataclass(frozen=True)
class BoxPrecision(Measured):
    """COCO's mean average precision of boxes, over some overlaps."""

    overlaps: Sequence[float] = OVERLAPS

    def prepare(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Any:
        """Which boxes are right, once; pictures without a label are left out."""
        if len(y) != len(answers):
            raise InputError(f"{len(y)} pictures have labels and {len(answers)} answers; give as many.")
        nothing: dict[str, Any] = {"boxes": [], "labels": [], "scores": []}
        truth = [nothing if picture is None else picture for picture in y]
        return Matches.of(
            truth, [nothing if picture is None else told for picture, told in zip(y, answers, strict=True)]
        )

    def value(self, prepared: Any, rows: Ints) -> float:
        """Of the pictures, as often as they are there."""
        return float(prepared.precision(self.overlaps, np.bincount(rows, minlength=prepared.there.shape[1])))
