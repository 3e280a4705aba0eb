"""Boxes: how two overlap, which of many tell the same thing, and average precision as COCO counts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

OVERLAPS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""COCO's thresholds of overlap: .5, .55, ..., .95."""

RECALLS = np.linspace(0, 1, 101)
MOST = 100
"""Boxes of one class that count in one picture: those with the highest scores."""


def overlap(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """Give the intersection over union of every two boxes.

    Parameters
    ----------
    a, b : (m, 4), (k, 4) arrays
        Corners x0, y0, x1, y1.

    Returns
    -------
    (m, k) array
        0 where both are empty.

    Examples
    --------
    >>> overlap([[0, 0, 2, 2]], [[1, 0, 3, 2], [5, 5, 6, 6]]).round(3).tolist()
    [[0.333, 0.0]]
    """
    one, other = (np.asarray(boxes, dtype=float).reshape(-1, 4) for boxes in (a, b))
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(-1)
    union = _area(one)[:, None] + _area(other)[None] - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)


def distinct(
    boxes: npt.ArrayLike, scores: npt.ArrayLike, labels: npt.ArrayLike, most: float = 0.5, limit: int | None = None
) -> Ints:
    """Leave out boxes that overlap a better one of their class (non-maximum suppression).

    Parameters
    ----------
    boxes, scores, labels : (m, 4), (m,), (m,) arrays
        What was found.
    most : float
        The largest overlap that two boxes of one class may have.
    limit : int, optional
        How many to keep.

    Returns
    -------
    (k,) array
        Positions of those kept, best first.

    Examples
    --------
    >>> distinct([[0, 0, 4, 4], [0, 0, 4, 5], [0, 0, 4, 4]], [0.8, 0.9, 0.7], [1, 1, 2]).tolist()
    [1, 2]
    """
    order = np.argsort(-np.asarray(scores, dtype=float), kind="stable")
    box, label = np.asarray(boxes, dtype=float).reshape(-1, 4)[order], np.asarray(labels)[order]
    left, kept = np.arange(len(order)), list[int]()
    while len(left) and len(kept) != limit:
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[(label[left] != label[best]) | (overlap(box[best], box[left])[0] <= most)]
    return order[np.array(kept, dtype=np.int64)]


def _area(boxes: Floats) -> Floats:
    return np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(-1)


@dataclass(frozen=True, eq=False)
class _Found:
    """Boxes told of one class, best first: their pictures, and whether they are right at each overlap (10, D)."""

    picture: Ints
    right: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Matches:
    """Which boxes told of which pictures are right: all that average precision needs, for any choice of pictures.

    A box is right at an overlap if, better ones first, it takes the box of its picture and class that it overlaps most
    among those not yet taken, and overlaps it at least so much.

    Parameters
    ----------
    there : (classes, pictures) int array
        Boxes there are.
    found : sequence of found boxes a class
        As made by `of`.

    References
    ----------
    Lin et al. 2014, Microsoft COCO: Common objects in context (detection evaluation; area "all", no crowds).

    Examples
    --------
    >>> truth = [{"boxes": [[0, 0, 10, 10]], "labels": [0]}, {"boxes": [[0, 0, 10, 10]], "labels": [0]}]
    >>> told = [{"boxes": [[0, 0, 10, 9]], "labels": [0], "scores": [0.9]}, {"boxes": [], "labels": [], "scores": []}]
    >>> matches = Matches.of(truth, told)
    >>> round(matches.precision([0.5]), 3), matches.precision([0.95])
    (0.505, 0.0)
    """

    there: Ints
    found: Sequence[_Found]

    @classmethod
    def of(cls, truth: Sequence[Mapping[str, Any]], told: Sequence[Mapping[str, Any]]) -> Self:
        """Match the boxes told with those there are, picture by picture.

        Parameters
        ----------
        truth : sequence of {"boxes": (m, 4), "labels": (m,)}
            What is in each picture.
        told : sequence of {"boxes": (k, 4), "labels": (k,), "scores": (k,)}
            What was found in each.
        """
        labels = [np.asarray(picture["labels"], dtype=np.int64).ravel() for picture in (*truth, *told)]
        classes = 1 + max((int(label.max()) for label in labels if label.size), default=-1)
        there = np.zeros((classes, len(truth)), dtype=np.int64)
        scores: list[list[Floats]] = [[] for _ in range(classes)]
        right: list[list[Any]] = [[] for _ in range(classes)]
        pictures: list[list[Ints]] = [[] for _ in range(classes)]
        for place, (real, guess) in enumerate(zip(truth, told, strict=True)):
            of_real, of_guess = labels[place], labels[len(truth) + place]
            there[:, place] = np.bincount(of_real, minlength=classes)
            real_box, box = (np.asarray(found["boxes"], dtype=float).reshape(-1, 4) for found in (real, guess))
            score = np.asarray(guess["scores"], dtype=float).ravel()
            for label in np.unique(of_guess):
                mine = np.flatnonzero(of_guess == label)
                mine = mine[np.argsort(-score[mine], kind="stable")][:MOST]
                scores[label].append(score[mine])
                right[label].append(_taken(overlap(box[mine], real_box[of_real == label])))
                pictures[label].append(np.full(len(mine), place))
        found = []
        for k in range(classes):
            if not scores[k]:
                found.append(_Found(np.zeros(0, dtype=np.int64), np.zeros((len(OVERLAPS), 0), dtype=bool)))
                continue
            order = np.argsort(-np.concatenate(scores[k]), kind="stable")
            found.append(_Found(np.concatenate(pictures[k])[order], np.concatenate(right[k], 1)[:, order]))
        return cls(there, found)

    def precision(self, overlaps: Sequence[float] = OVERLAPS, times: npt.ArrayLike | None = None) -> float:
        """Give the mean over classes and overlaps of the average precision at 101 recalls.

        Parameters
        ----------
        overlaps : sequence of float
            Some of `OVERLAPS`.
        times : (pictures,) array, optional
            How often each picture counts, for a bootstrap; once each if None.

        Returns
        -------
        float
            Classes of which no box is there are left out; NaN without any box.
        """
        weight = np.ones(self.there.shape[1]) if times is None else np.asarray(times, dtype=float)
        at = [OVERLAPS.index(round(level, 2)) for level in overlaps]
        classes = [
            _average(one.right[at], weight[one.picture], float(there @ weight))
            for one, there in zip(self.found, self.there, strict=True)
            if there @ weight > 0
        ]
        return float(np.mean(classes)) if classes else float("nan")


def _taken(overlaps: Floats) -> npt.NDArray[np.bool_]:
    """(10, D): whether each box told, best first, takes one that is there, by their overlaps (D, there)."""
    right = np.zeros((len(OVERLAPS), len(overlaps)), dtype=bool)
    if overlaps.size:
        free = np.ones((len(OVERLAPS), overlaps.shape[1]), dtype=bool)
        for d, row in enumerate(overlaps):
            left = np.where(free, row, -1.0)
            best = left.shape[1] - 1 - left[:, ::-1].argmax(1)  # the last of equals, as COCO's own program has it
            right[:, d] = left[np.arange(len(best)), best] >= np.array(OVERLAPS)
            free[right[:, d], best[right[:, d]]] = False
    return right


def _average(right: npt.NDArray[np.bool_], weight: Floats, there: float) -> float:
    """Mean over overlaps (rows) of the precision, made falling, at 101 recalls."""
    if not right.shape[1]:
        return 0.0
    hit = np.cumsum(right * weight, 1)
    told = np.cumsum(weight)
    precision = np.divide(hit, told, out=np.zeros_like(hit), where=told > 0)
    falling = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    reached = [np.searchsorted(row, RECALLS, side="left") for row in hit / there]
    padded = np.concatenate([falling, np.zeros((len(falling), 1))], 1)
    return float(np.mean([row[place] for row, place in zip(padded, reached, strict=True)]))
