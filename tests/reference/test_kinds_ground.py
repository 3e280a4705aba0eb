"""Entities by seqeval's rules, average precision by COCO's program: against their own packages."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities

from relatask.boxes import Matches, distinct, overlap
from relatask.entities import agreement, entities, f1

TAGS = ["O", "B", "I", "B-a", "I-a", "E-a", "S-a", "B-b-c", "I-b-c", "S-b-c"]
SENTENCES = st.lists(st.sampled_from(TAGS), max_size=12)


@given(SENTENCES)
def test_entities_are_those_of_seqeval(tags):
    assert entities(tags) == get_entities(tags)


@given(st.lists(st.lists(st.tuples(*[st.sampled_from(TAGS)] * 2), min_size=1, max_size=8), min_size=1, max_size=6))
def test_f1_is_that_of_seqeval(pairs):
    truth, guess = ([[pair[k] for pair in sentence] for sentence in pairs] for k in (0, 1))
    counts = np.array([agreement(a, b) for a, b in zip(truth, guess, strict=True)]).sum(0)
    assert f1(*counts) == pytest.approx(float(f1_score(truth, guess, zero_division=0)), abs=1e-12)


def scene(rng, pictures=12, classes=4, size=200):
    """Pictures with boxes, and boxes told of them: shaken copies, doubles and strays; some pictures are empty."""
    truth, told = [], []
    for _ in range(pictures):
        m = int(rng.integers(0, 7))
        corner, side = rng.uniform(0, size, (m, 2)), rng.uniform(4, 80, (m, 2))
        boxes, labels = np.concatenate([corner, corner + side], 1), rng.integers(0, classes, m)
        again = rng.integers(0, m, 2 * m) if m else np.zeros(0, int)
        near = boxes[again] + rng.normal(0, 6, (len(again), 4))
        stray = rng.uniform(0, size, (5, 2))
        guess = np.concatenate([near, np.concatenate([stray, stray + 30], 1)])
        guess = np.concatenate([np.minimum(guess[:, :2], guess[:, 2:] - 1), guess[:, 2:]], 1)
        label = np.concatenate([np.where(rng.random(len(again)) < 0.8, labels[again], 0), rng.integers(0, classes, 5)])
        truth.append({"boxes": boxes, "labels": labels})
        told.append({"boxes": guess, "labels": label.astype(int), "scores": rng.random(len(guess)).round(1)})
    return truth, told


def coco(truth, told):
    """COCO's own two numbers, of .5 to .95 and of .5."""

    def corner(box):
        return [box[0], box[1], box[2] - box[0], box[3] - box[1]]

    real = [
        {"id": 1 + 1000 * i + j, "image_id": i, "category_id": int(label), "bbox": corner(box), "iscrowd": 0,
         "area": float((box[2] - box[0]) * (box[3] - box[1]))}
        for i, picture in enumerate(truth)
        for j, (box, label) in enumerate(zip(picture["boxes"], picture["labels"], strict=True))
    ]  # fmt: skip
    guess = [
        {"image_id": i, "category_id": int(label), "bbox": corner(box), "score": float(score)}
        for i, picture in enumerate(told)
        for box, label, score in zip(picture["boxes"], picture["labels"], picture["scores"], strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = {
            "info": {},
            "images": [{"id": i} for i in range(len(truth))],
            "annotations": real,
            "categories": [{"id": k} for k in range(10)],
        }
        data.createIndex()
        done = COCOeval(data, data.loadRes(guess), "bbox")
        done.evaluate()
        done.accumulate()
        done.summarize()
    return done.stats[:2]


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_coco(seed):
    truth, told = scene(np.random.default_rng(seed))
    matches = Matches.of(truth, told)
    wide, at_half = coco(truth, told)
    assert 0.03 < wide < at_half < 0.9
    assert matches.precision() == pytest.approx(wide, abs=1e-6)
    assert matches.precision([0.5]) == pytest.approx(at_half, abs=1e-6)


def test_only_the_best_hundred_boxes_of_a_class_count_as_with_coco():
    rng = np.random.default_rng(0)
    truth = [{"boxes": np.array([[0.0, 0, 10, 10], [50, 50, 70, 70]]), "labels": np.array([0, 0])}]
    stray = rng.uniform(100, 200, (150, 2))
    boxes = np.concatenate([np.concatenate([stray, stray + 5], 1), truth[0]["boxes"]])
    scores = np.concatenate([rng.uniform(0.4, 1, 150), [0.3, 0.9]])
    told = [{"boxes": boxes, "labels": np.zeros(152, int), "scores": scores}]
    assert Matches.of(truth, told).precision() == pytest.approx(coco(truth, told)[0], abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_a_picture_that_counts_twice_is_a_picture_given_twice(seed):
    rng = np.random.default_rng(seed)
    truth, told = scene(rng)
    for picture in told:  # with equal scores the order of pictures decides, which giving them twice changes
        picture["scores"] = rng.random(len(picture["scores"]))
    times = rng.integers(0, 3, len(truth))
    twice = np.repeat(np.arange(len(truth)), times)
    drawn = Matches.of([truth[i] for i in twice], [told[i] for i in twice])
    assert Matches.of(truth, told).precision(times=times) == pytest.approx(drawn.precision(), abs=1e-12)


def test_boxes_that_are_right_are_worth_everything_and_none_is_nan():
    truth, _ = scene(np.random.default_rng(1))
    same = [{**picture, "scores": np.ones(len(picture["labels"]))} for picture in truth]
    assert Matches.of(truth, same).precision() == 1
    empty = [{"boxes": [], "labels": []}]
    assert np.isnan(Matches.of(empty, [{"boxes": [], "labels": [], "scores": []}]).precision())


def test_overlap_by_counting_pixels():
    rng = np.random.default_rng(0)
    corner, side = rng.integers(0, 20, (8, 2)), rng.integers(0, 20, (8, 2))
    boxes = np.concatenate([corner, corner + side], 1)
    masks = np.zeros((8, 40, 40), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    both = (masks[:, None] & masks[None]).sum((-1, -2))
    either = (masks[:, None] | masks[None]).sum((-1, -2))
    np.testing.assert_allclose(overlap(boxes, boxes), both / np.maximum(either, 1), atol=1e-12)


@given(st.integers(0, 1000))
def test_kept_boxes_do_not_overlap_and_each_left_out_has_a_better_one(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 20, (15, 2))
    boxes, scores = np.concatenate([corner, corner + rng.uniform(1, 20, (15, 2))], 1), rng.random(15)
    labels = rng.integers(0, 2, 15)
    kept = distinct(boxes, scores, labels, 0.4)
    clash = (overlap(boxes, boxes) > 0.4) & (labels[:, None] == labels[None]) & ~np.eye(15, dtype=bool)
    assert not clash[np.ix_(kept, kept)].any()
    assert (np.diff(scores[kept]) <= 0).all()
    assert distinct(boxes, scores, labels, 0.4, limit=3).tolist() == kept[:3].tolist()
    for i in set(range(15)) - set(kept.tolist()):
        assert any(clash[i, j] and scores[j] > scores[i] for j in kept)
