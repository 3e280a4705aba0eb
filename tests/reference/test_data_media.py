"""The collections of texts, pictures and sounds against the figures that their documentation states."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from relatask.data import Collection, datasets, load, read_table
from relatask.data.bccd import WHITE
from relatask.data.fetch import fetch
from relatask.data.files import listed, under
from relatask.data.media import MaskFiles, PictureFiles, SoundFiles
from relatask.notices import InputError
from relatask.tasks import KINDS

# name: rows, splits, labels by task
FACTS = {
    "atis": (5_871, {"train": 4_478, "dev": 500, "test": 893}, {"intent": 5_871, "slots": 5_871}),
    "fdu_mtl": (62_255, {"train": 25_380, "test": 6_400, "unlabelled": 30_475}, {"liked": 31_780}),
    "bccd": (364, {"train": 205, "val": 87, "test": 72}, {"cells": 364, "white": 355, "sorts": 363}),
    "coco128": (256, {"train": 128, "val": 64, "test": 64}, {"things": 256, "shown": 256, "mask": 200}),
    "mnist": (20_000, {"train": 10_000, "test": 10_000}, {"digit": 20_000}),
    "multi_mnist": (20_000, {"train": 16_000, "val": 2_000, "test": 2_000}, {"left": 20_000, "right": 20_000}),
    "fsdd": (3_000, {"train": 2_700, "test": 300}, {"digit": 3_000, "speaker": 3_000}),
}
here = pytest.mark.usefixtures("data_folder")


@pytest.mark.data
@here
@pytest.mark.parametrize("name", FACTS)
def test_sizes(name: str) -> None:
    data, entry = load(name), datasets()[name]
    assert isinstance(data, Collection)
    rows, splits, labels = FACTS[name]
    assert len(data) == rows == entry.rows
    assert {part: len(found) for part, found in data.splits.items()} == splits
    assert {task: int(data.labelled(task).sum()) for task in data.targets} == labels
    assert sorted(np.concatenate(list(data.splits.values()))) == list(range(rows))
    assert set(data.kinds.values()) <= set(KINDS)
    assert entry.where == str(fetch(under(entry.folder)[0]).parents[len(Path(under(entry.folder)[0]).parts) - 2])
    assert data.source
    assert data.licence


@pytest.mark.data
@here
def test_the_list_of_files_is_that_of_the_data(data_folder: Path) -> None:
    folders = {entry.folder for entry in datasets().values() if entry.folder}
    assert {path.split("/")[0] for path in listed()} == folders
    for path, file in listed().items():
        assert (data_folder / path).stat().st_size == file.bytes
    for path in sorted(listed())[::97]:
        assert hashlib.sha256((data_folder / path).read_bytes()).hexdigest() == listed()[path].sha256


def test_addresses_of_listed_files() -> None:
    root = "https://raw.githubusercontent.com/"
    files = listed()
    assert files["bccd/JPEGImages/BloodImage_00000.jpg"].url == (
        f"{root}Shenggan/BCCD_Dataset/d272fb14cdff/BCCD/JPEGImages/BloodImage_00000.jpg"
    )
    assert (
        files["bccd/wbc_labels.csv"].url == f"{root}apple2373/BCCD/73e268a747db2f39d21850e71baceb94d058f8af/labels.csv"
    )
    assert files["joint_nlu/atis/train/seq.in"].url == f"{root}monologg/JointBERT/00324f60dda4/data/atis/train/seq.in"
    assert files["mnist/mnist20k.npz"].url is None


@pytest.mark.data
@here
def test_atis_words_and_tags_agree() -> None:
    data = load("atis")
    tokens, slots = data.inputs["tokens"], data.targets["slots"]
    assert all(len(words) == len(tags) for words, tags in zip(tokens, slots, strict=True))
    names = data.classes["slots"]
    assert tokens[0][:6] == ["i", "want", "to", "fly", "from", "baltimore"]
    assert names[slots[0][5]] == "B-fromloc.city_name"
    # The upstream lists have 21 intents and 120 tags besides their entries for padding and unknown.
    assert data.classes["intent"][20] == "atis_restriction"
    train = data.splits["train"]
    assert len(np.unique(data.targets["intent"][train])) == 21
    assert len({tag for row in train for tag in slots[row]}) == 120
    assert data.to_table().column("intent")[0].as_py() == "atis_flight"


@pytest.mark.data
@here
def test_fdu_domains() -> None:
    data = load("fdu_mtl")
    domain, liked = data.groups["domain"], data.targets["liked"]
    assert len(np.unique(domain)) == 16
    for part, least, most in (("train", 1_500, 1_600), ("test", 400, 400), ("unlabelled", 475, 2_000)):
        sizes = np.unique(domain[data.splits[part]], return_counts=True)[1]
        assert (sizes.min(), sizes.max()) == (least, most)
    assert (domain[data.splits["unlabelled"]] == "software").sum() == 475
    assert set(liked[data.splits["train"]]) == set(liked[data.splits["test"]]) == {0, 1}
    assert (liked[data.splits["unlabelled"]] == -100).all()
    assert all(data.inputs["text"][row] for row in data.splits["test"])


@pytest.mark.data
@here
def test_bccd_boxes_and_sorts() -> None:
    data = load("bccd")
    cells = data.targets["cells"]
    counts = np.bincount(np.concatenate([row["labels"] for row in cells]))
    # Of 4,888 boxes in the files, two have no area; both are of red cells or platelets, none of white ones.
    assert counts.sum() == 4_886
    assert counts[1] == 372
    boxes = np.concatenate([row["boxes"] for row in cells])
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert boxes.min() >= 0
    assert (boxes[:, 2].max(), boxes[:, 3].max()) <= (640, 480)
    assert data.inputs["picture"][0].shape == (480, 640, 3)
    one = data.targets["sorts"].sum(1) == 1
    two = data.targets["sorts"].sum(1) == 2
    assert (one.sum(), two.sum()) == (355, 8)
    assert (data.targets["white"][two] == -100).all()
    assert (np.argmax(data.targets["sorts"][one], axis=1) == data.targets["white"][one]).all()
    # BloodImage_00000 and the two rows after it are neutrophils, as the file of labels has it.
    assert [WHITE[k] for k in data.targets["white"][:3]] == ["NEUTROPHIL"] * 3
    with pytest.raises(InputError, match="'bccd' cannot be written as a table: the labels of 'cells' are boxes"):
        data.to_table()


@pytest.mark.data
@here
def test_coco_boxes_masks_and_classes() -> None:
    data = load("coco128")
    things, sizes = data.targets["things"], data.inputs["size"]
    assert sum(len(thing["labels"]) for thing in things) == 1_827  # lines of the files (their README says 1,839)
    assert len(data.classes["things"]) == 80
    for row in range(0, 256, 17):
        picture, mask = data.inputs["picture"][row], data.targets["mask"][row]
        assert picture.shape[1::-1] == tuple(sizes[row])
        assert mask is None or mask.shape == picture.shape[:2]
    for thing, size in zip(things, sizes, strict=True):
        assert (thing["boxes"] >= -0.5).all()
        assert (thing["boxes"][:, 2:] <= size + 0.5).all()
    # Where a box says "person" the mask has that category (numbered from 1, by its own list) inside the box.
    person = data.classes["mask"].index("person")
    inside = [
        (data.targets["mask"][row][int(y1) : int(y2) + 1, int(x1) : int(x2) + 1] == person).any()
        for row in np.flatnonzero(data.labelled("mask"))[:40]
        for (x1, y1, x2, y2), label in zip(things[row]["boxes"], things[row]["labels"], strict=True)
        if label == 0
    ]
    assert len(inside) > 20
    assert np.mean(inside) > 0.9


@pytest.mark.data
@here
def test_multi_mnist_is_two_digits_of_its_part() -> None:
    single, pairs = load("mnist"), load("multi_mnist", seed=3, train=50, val=20, test=30)
    assert {part: len(rows) for part, rows in pairs.splits.items()} == {"train": 50, "val": 20, "test": 30}
    pictures, digits = single.inputs["picture"], single.targets["digit"]
    for part, allowed in (("train", single.splits["train"]), ("test", single.splits["test"])):
        row = pairs.splits[part][0]
        # The upper left 8 rows hold only the left digit's ink, the last 8 only the right one's.
        strip, end = pairs.inputs["picture"][row][:8, :28], pairs.inputs["picture"][row][-8:, 8:]
        left = [i for i in allowed if (pictures[i][:8] == strip).all() and digits[i] == pairs.targets["left"][row]]
        right = [i for i in allowed if (pictures[i][-8:] == end).all() and digits[i] == pairs.targets["right"][row]]
        whole = np.zeros((36, 36), dtype=np.uint8)
        found = []
        for i in left:
            for j in right:
                whole[:] = 0
                whole[:28, :28] = pictures[i]
                whole[8:, 8:] = np.maximum(whole[8:, 8:], pictures[j])
                found.append((whole == pairs.inputs["picture"][row]).all())
        assert any(found)
    again = load("multi_mnist", seed=3, train=50, val=20, test=30)
    assert (again.inputs["picture"] == pairs.inputs["picture"]).all()


@pytest.mark.data
@here
def test_fsdd_is_balanced_and_read_as_scipy_reads_it(data_folder: Path) -> None:
    data = load("fsdd")
    assert len(data.classes["speaker"]) == 6
    for part, takes in (("train", 45), ("test", 5)):
        rows = data.splits[part]
        codes = data.targets["digit"][rows] * 6 + data.targets["speaker"][rows]
        assert (np.bincount(codes, minlength=60) == takes).all()
    assert set(data.groups["take"][data.splits["test"]]) == set(range(5))
    rate, expected = wavfile.read(data_folder / data.inputs["sound"].paths[7])
    assert rate == 8_000
    assert (data.inputs["sound"][7] * 32768 == expected).all()


def test_files_are_read_when_asked_for(tmp_path: Path) -> None:
    colours = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    Image.fromarray(colours).save(tmp_path / "a.png")
    Image.fromarray(colours[..., 0]).save(tmp_path / "m.png")
    pictures = PictureFiles([str(tmp_path / "a.png"), str(tmp_path / "absent.png")])
    assert (pictures[0] == colours).all()
    assert len(pictures[:1]) == len(pictures.take([1])) == 1
    masks = MaskFiles([None, str(tmp_path / "m.png")])
    assert masks[0] is None
    assert (masks[1] == colours[..., 0]).all()
    with pytest.raises(InputError, match=r"absent\.png: cannot be read"):
        pictures[1]
    (tmp_path / "short.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"short.wav: cannot be read.*whole"):
        SoundFiles([str(tmp_path / "short.wav")])[0]
    wavfile.write(tmp_path / "two.wav", 8_000, np.zeros((10, 2), dtype=np.int16))
    with pytest.raises(InputError, match="2 channels of 16 bits; expected one channel"):
        SoundFiles([str(tmp_path / "two.wav")])[0]


def test_a_collection_that_does_not_fit_together_is_refused() -> None:
    good = {
        "name": "d",
        "inputs": {"text": ["a b", "c"]},
        "targets": {"y": np.array([0, -100])},
        "kinds": {"y": "binary"},
    }
    data = Collection(**good, splits={"train": np.array([1])})
    assert data.to_table().to_pydict() == {"text": ["a b", "c"], "y": [0, None], "split": ["", "train"]}
    part = data.split("train")
    assert (part.inputs["text"], part.targets["y"].tolist(), len(part)) == (["c"], [-100], 1)
    with pytest.raises(InputError, match="no split 'test'; it has train"):
        data.split("test")
    for change, message in (
        ({"targets": {"y": np.array([0])}}, "need one length"),
        ({"inputs": {}}, "need one length"),
        ({"kinds": {}}, "expected the same tasks"),
        ({"splits": {"a": np.array([0]), "b": np.array([0])}}, "splits overlap"),
        ({"splits": {"a": np.array([2])}}, "splits overlap, or name rows outside of 0 to 1"),
    ):
        with pytest.raises(InputError, match=message):
            Collection(**{**good, **change})


@pytest.mark.data
@here
def test_the_command_writes_texts_and_refuses_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from relatask.cli.main import run

    assert run(["data", "atis", "--output", str(tmp_path / "atis.parquet"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["targets"] == ["intent", "slots"]
    assert read_table(tmp_path / "atis.parquet").num_rows == 5_871
    assert run(["data", "bccd", "--output", str(tmp_path / "bccd.csv")]) == 2
    assert "cannot be written as a table" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "bccd.csv").exists()
    assert run(["data", "fsdd"]) == 0
