"""Sources of rows against plain Python: columns, long tables, sequences, sounds, pictures with boxes and masks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.nn.utils.rnn import pad_sequence

from relatask.data.media import PictureFiles
from relatask.data.tensors import (
    Augment,
    Columns,
    Loader,
    LongTable,
    Multimodal,
    Pictures,
    Sequences,
    Sounds,
    Source,
    per_task,
)
from relatask.notices import InputError

ROWS = np.array([3, 0, 2])


def test_columns_side_by_side_give_what_single_ones_give() -> None:
    rng = np.random.default_rng(0)
    labels = {f"t{k}": rng.normal(size=6).astype("float32") for k in range(5)}
    labels |= {f"n{k}": rng.integers(0, 3, 6) for k in range(4)}
    labels["wide"] = rng.normal(size=(6, 2))
    labels["list"] = np.array([None, {"a": 1}, None, "x", None, 2], dtype=object)
    part = Columns(np.zeros((6, 1)), labels).part(ROWS)
    assert list(part.y) == list(labels)
    for task, values in labels.items():
        expected = values[ROWS].tolist()
        assert (part.y[task] if task == "list" else part.y[task].tolist()) == expected
        assert task == "list" or part.y[task].is_contiguous()


def test_columns_of_several_modalities_and_weights() -> None:
    source = Columns({"a": np.arange(4.0), "b": ["p", "q", "r", "s"]}, {"y": [0, 1, -100, 1]}, weight=np.arange(4.0))
    part = source.part(ROWS)
    assert part.x["a"].tolist() == [3, 0, 2]
    assert part.x["b"] == ["s", "p", "r"]
    assert part.weight.tolist() == [3, 0, 2]
    assert part.index.tolist() == ROWS.tolist()
    assert source.labelled("y").tolist() == [True, True, False, True]
    for bad, message in (
        ({"x": np.zeros((3, 1)), "y": {"y": [1.0]}}, "task 'y' has 1 labels and x 3 rows"),
        ({"x": {"a": np.zeros(3), "b": np.zeros(2)}, "y": {}}, "input 'b' has 2 rows and the first input 3"),
        ({"x": np.zeros(3), "y": {}, "weight": np.zeros(2)}, "there are 2 weights and 3 rows"),
    ):
        with pytest.raises(InputError, match=message):
            Columns(**bad)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.just(math.nan), st.floats(-5, 5))), min_size=1))
def test_a_long_table_is_the_wide_one_row_by_row(rows: list[tuple[str, float]]) -> None:
    names, values = zip(*rows, strict=True)
    y = np.array(values)
    long = LongTable(np.arange(len(rows)), names, y)
    wide = {task: np.where(np.array(names) == task, y, np.nan) for task in sorted(set(names))}
    assert long.tasks == tuple(wide)
    chosen = np.arange(len(rows))[::2]
    part = long.part(chosen)
    assert set(part.y) == {names[row] for row in chosen}
    for task, found in part.y.items():
        np.testing.assert_array_equal(found.numpy(), wide[task][chosen])
    for task in long.tasks:
        assert (long.labelled(task) == ~np.isnan(wide[task])).all()
        np.testing.assert_array_equal(long.target(task).numpy(), y[np.array(names) == task])


def test_a_long_table_of_classes() -> None:
    part = LongTable(np.zeros((3, 1)), [7, 5, 7], np.array([2, 0, 1])).part(np.arange(3))
    assert {task: values.tolist() for task, values in part.y.items()} == {5: [-100, 0, -100], 7: [2, -100, 1]}
    with pytest.raises(InputError, match="the column of tasks has 1 rows and x 3"):
        LongTable(np.zeros((3, 1)), ["a"], np.zeros(3))
    with pytest.raises(InputError, match="one number a row"):
        LongTable(np.zeros((3, 1)), list("abc"), np.zeros((3, 2)))


def test_a_data_set_for_each_task() -> None:
    sources = per_task({"a": (np.zeros((2, 1)), [1.0, 2.0], np.ones(2)), "b": Columns(np.zeros((1, 1)), {"b": [0]})})
    (parts,) = Loader(sources, batch_size=3).epoch(0)
    assert [tuple(part.y) for part in parts] == [("a",), ("b",)]
    assert parts[0].weight is not None
    with pytest.raises(InputError, match="the source given for task 'c' has 'b' only"):
        per_task({"c": sources[1]})
    with pytest.raises(InputError, match="the data of task 'd' are a list; expected"):
        per_task({"d": [1, 2]})


TOKENS = st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=8)


@given(TOKENS, st.randoms(use_true_random=False))
def test_sequences_are_padded_as_torch_pads(tokens: list[list[int]], random: object) -> None:
    tags = [[k % 3 for k in range(len(row))] for row in tokens]
    source = Sequences(tokens, {"tags": tags, "y": [float(len(row)) for row in tokens]}, mask=True)
    rows = np.arange(len(tokens))[::-1].copy()
    part = source.part(rows)
    expected = pad_sequence([torch.tensor(tokens[row], dtype=torch.long) for row in rows], batch_first=True)
    if expected.shape[1] == 0:
        expected = torch.zeros(len(rows), 1, dtype=torch.long)
    assert torch.equal(part.x["tokens"], expected)
    assert torch.equal(part.x["mask"], expected != 0)
    assert part.x["lengths"].tolist() == [len(tokens[row]) for row in rows]
    for found, row in zip(part.y["tags"].tolist(), rows, strict=True):
        assert found == tags[row] + [-100] * (expected.shape[1] - len(tags[row]))
    assert torch.equal(Sequences(tokens, {}).part(rows).x, expected)


def test_sequences_that_do_not_fit() -> None:
    source = Sequences([[1, 2], [3]], {"tags": [None, [4]]})
    assert source.target("tags").tolist() == [[-100, -100], [4, -100]]
    assert source.labelled("tags").tolist() == [False, True]
    with pytest.raises(InputError, match="sequence 1 has 2 labels for 1 tokens"):
        Sequences([[1, 2], [3]], {"tags": [[0, 0], [4, 4]]})
    with pytest.raises(InputError, match="labels of 1 sequences; there are 2"):
        Sequences([[1, 2], [3]], {"tags": [[0, 0]]})
    with pytest.raises(InputError, match="a token is 0, which stands for padding"):
        Sequences([[1, 0]], {})


def test_sounds_are_cut_padded_and_moved() -> None:
    sounds = [np.ones(3, dtype="float32"), np.arange(9, dtype="float32")]
    source = Sounds(sounds, {"y": [0, 1]}, length=6, shift=0.5, fill=0)
    seen = set()
    for seed in range(30):
        x = source.part(np.array([0, 1]), (seed,)).x
        move = int((x[0] != 0).nonzero()[0])
        seen.add(move)
        assert x[0].tolist() == [0.0] * move + [1.0] * 3 + [0.0] * (3 - move)
        assert x[1].max() in (5, 4, 3, 2)
        assert torch.equal(x, source.part(np.array([0, 1]), (seed,)).x)
    assert seen == {0, 1, 2, 3}
    ends = Sounds(sounds, {"y": [0, 1]}, length=6).part(np.array([0, 1])).x
    assert ends.isnan().tolist() == [[False] * 3 + [True] * 3, [False] * 6]
    with pytest.raises(InputError, match="length=0"):
        Sounds(sounds, {"y": [0, 1]}, length=0)


def painted(height: int, width: int, box: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A picture that is white in a box, and the mask of the same."""
    x0, y0, x1, y1 = box
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[y0:y1, x0:x1] = 1
    return np.repeat(mask[..., None] * 255, 3, axis=2), mask


@given(st.integers(0, 10**6), st.floats(0, 0.4))
def test_boxes_and_masks_follow_the_picture(seed: int, shift: float) -> None:
    box = (4, 6, 12, 10)
    picture, mask = painted(16, 24, box)
    y = {"things": [{"boxes": np.array([box], dtype="float32"), "labels": np.array([2])}], "mask": [mask], "n": [5]}
    source = Pictures([picture], y, (16, 24), Augment(flip=0.5, flip_vertical=0.5, shift=shift))
    part = source.part(np.array([0]), (seed,))
    white = part.x[0].mean(0) > 0.5
    assert torch.equal(white, part.y["mask"][0] == 1)
    thing = part.y["things"][0]
    if len(thing["boxes"]):
        x0, y0, x1, y1 = (int(side) for side in thing["boxes"][0].tolist())
        drawn = torch.zeros(16, 24, dtype=torch.bool)
        drawn[y0:y1, x0:x1] = True
        assert torch.equal(drawn, white)
        assert thing["labels"].tolist() == [2]
    else:
        assert white.sum() <= 0.2 * 8 * 4
    assert part.y["n"].tolist() == [5]
    assert (part.y["mask"] == -100).sum() == 0 or shift > 0


def test_pictures_are_brought_to_one_size(tmp_path: Path) -> None:
    picture, mask = painted(32, 32, (8, 16, 24, 32))
    Image.fromarray(picture).save(tmp_path / "a.png")
    grey = np.full((4, 4), 51, dtype=np.uint8)
    assert torch.equal(Pictures([grey], {}, (4, 4)).part(np.array([0])).x, torch.full((1, 1, 4, 4), 0.2))
    files = PictureFiles([str(tmp_path / "a.png")] * 2)
    boxes = {"boxes": np.array([[8, 16, 24, 32]]), "labels": np.array([0])}
    source = Pictures(files, {"mask": [mask, None], "things": [boxes, None]}, (16, 8))
    part = source.part(np.array([1, 0]))
    assert part.y["things"][0] is None
    assert part.y["things"][1]["boxes"].tolist() == [[2, 8, 6, 16]]
    assert (part.y["mask"][0] == -100).all()
    expected = np.array(Image.fromarray(mask).resize((8, 16), Image.Resampling.NEAREST))
    assert (part.y["mask"][1].numpy() == expected).all()
    smooth = np.array(Image.fromarray(picture).resize((8, 16), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(part.x[1].numpy() * 255 - smooth).max() <= 1.5
    assert source.labelled("mask").tolist() == source.labelled("things").tolist() == [True, False]
    (tmp_path / "a.png").unlink()
    assert torch.equal(source.part(np.array([0])).x, part.x[1:])  # decoded once, kept


def test_brightness_and_repeats() -> None:
    picture = np.full((2, 2, 3), 100, dtype=np.uint8)
    source = Pictures([picture] * 50, {}, (2, 2), Augment(brightness=0.5))
    x = source.part(np.arange(50), (1,)).x
    factors = x[:, 0, 0, 0] * 2.55
    assert 0.5 <= factors.min() < 0.6
    assert 1.4 < factors.max() <= 1.5
    assert torch.equal(x, source.part(np.arange(50), (1,)).x)
    assert not torch.equal(x, source.part(np.arange(50), (2,)).x)
    with pytest.raises(InputError, match="augment: flip=2; expected a number from 0 to 1"):
        Augment(flip=2)
    with pytest.raises(InputError, match="task 'm' has 1 labels and there are 50 pictures"):
        Pictures([picture] * 50, {"m": [np.zeros((2, 2))]}, (2, 2))


def test_a_table_run_is_read_by_few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of 100 tasks side by side is one gather, not a hundred."""
    calls = []
    whole = torch.Tensor.__getitem__
    monkeypatch.setattr(torch.Tensor, "__getitem__", lambda self, key: calls.append(1) or whole(self, key))
    source: Source = Columns(torch.zeros(50, 3), {k: torch.zeros(50) for k in range(100)})
    source.part(np.arange(7))
    assert len(calls) == 2


def test_modalities_are_paired_by_rows() -> None:
    sounds = Sounds([np.full(2, k, dtype="float32") for k in range(3)], {}, length=2)
    pictures = Columns(torch.arange(5, dtype=torch.uint8), {})
    rows = {"sound": [2, -1, 0], "picture": [4, 0, -1]}
    source = Multimodal({"sound": sounds, "picture": pictures}, {"digit": [1, 2, 3]}, rows)
    part = source.part(np.array([2, 0]))
    assert part.x["sound"].tolist() == [[0, 0], [2, 2]]
    assert part.x["picture"].isnan().tolist() == [True, False]
    assert part.x["picture"][1] == 4
    assert part.y["digit"].tolist() == [3, 1]
    assert source.target("digit").tolist() == [1, 2, 3]
    with pytest.raises(InputError, match="different numbers of rows"):
        Multimodal({"sound": sounds, "picture": pictures}, {})
    with pytest.raises(InputError, match="rows from 0 to 3; its source has 0 to 2, and -1 stands for none"):
        Multimodal({"sound": sounds}, {}, {"sound": [0, 3]})
    with pytest.raises(InputError, match="expected the same modalities"):
        Multimodal({"sound": sounds}, {}, {"picture": [0]})
