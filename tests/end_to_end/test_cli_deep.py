"""Whole commands with a network: a table with text, numbers and categories, targets of three kinds, labels missing."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
import yaml

pytest.importorskip("torch")

from relatask.cli.main import run
from relatask.report import RunRecord

GOOD = ("lovely", "bright", "sunny", "quiet", "spacious", "modern")
BAD = ("dark", "noisy", "damp", "old", "cramped", "broken")
FILL = ["the", "flat", "is", "near", "a", "park", "and", "has", "rooms", "with", "windows", "to", "the", "street"]
SMALL = ["-o", "model.hidden=[16]", "-o", "model.epochs=4", "-o", "data.split.repeats=1"]
EVERY = ("price", "sold", "level")


def write_flats(path: Path, rows: int = 160, seed: int = 0) -> None:
    """Flats: size (some missing), city, a note in words, price, sold, level (a fifth of each missing)."""
    draw = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "city", "note", *EVERY])
        for _ in range(rows):
            size, city, quality = draw.uniform(20, 150), draw.choice(["Rome", "Oslo", "Bonn"]), draw.gauss(0, 1)
            chance = 1 / (1 + 2.7 ** (-2 * quality))
            words = [draw.choice(GOOD if draw.random() < chance else BAD) for _ in range(4)] + draw.sample(FILL, 5)
            draw.shuffle(words)
            labels = [
                f"{1000 * (2 * size + 40 * quality + draw.gauss(0, 15)):.0f}",
                "yes" if 0.8 * quality + draw.gauss(0, 0.7) > 0 else "no",
                ("low", "middle", "high")[0 if quality < -0.5 else 1 if quality < 0.5 else 2],
            ]
            shown = ["" if draw.random() < 0.2 else label for label in labels]
            writer.writerow(["" if draw.random() < 0.05 else f"{size:.1f}", city, " ".join(words), *shown])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with flats.csv, the configuration that init wrote, and a run of it."""
    folder = tmp_path_factory.mktemp("deep")
    write_flats(folder / "flats.csv")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert run(["init", "flats.csv", "-t", "price,sold,level"]) == 0
        assert run(["train", "flats.yaml", *SMALL]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_flats(tmp_path / "flats.csv", 120)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flats.yaml").write_text(
        yaml.safe_dump(
            {
                "data": {"path": "flats.csv", "split": {"repeats": 1}},
                "tasks": {"price": None, "sold": {"kind": "binary"}},
                "model": {"kind": "text", "hidden": [8], "epochs": 2},
                "output": {"folder": "runs/flats"},
            }
        )
    )
    return tmp_path


def test_init_reads_the_note_and_proposes_a_network(trained):
    text = (trained / "flats.yaml").read_text()
    found = yaml.safe_load(text)
    assert found["model"]["kind"] == "text"
    assert "# note is read as text" in text
    assert {name: task["kind"] for name, task in found["tasks"].items()} == {
        "price": "regression",
        "sold": "binary",
        "level": "multiclass",
    }
    assert found["features"]["exclude"] == []
    assert "high, low or middle" in text


def test_check_tells_what_is_read_as_what_and_what_it_costs(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    assert run(["check", "flats.yaml", *SMALL]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Read as numeric: size; categorical: city; text: note." in out
    assert "3 classes: level is high, low or middle." in out
    assert "baselines: single, linear" in out
    assert "4 networks x 1 splits x 4 epochs at most = 16 epochs" in out


def test_a_run_folder_holds_the_network_and_how_it_was_trained(trained):
    folder = trained / "runs" / "flats"
    names = {path.name for path in folder.iterdir()}
    assert {"model.safetensors", "model.json", "history.jsonl", "weights.jsonl", "checkpoints", "baseline"} <= names
    assert not {"linear.json", "encoder.json"} & names
    assert {"last.safetensors", "best.safetensors"} <= {path.name for path in (folder / "checkpoints").iterdir()}
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert {row["task"] for row in lines} >= set(EVERY)
    record = RunRecord.load(folder / "record.json")
    assert {method.name for method in record.methods} == {"hard", "single", "linear"}
    assert record.training is not None
    assert record.training.epochs == 4
    assert {course.task for course in record.training.of("loss", "train")} == set(EVERY)
    assert record.training.shared < record.training.parameters
    assert json.loads((folder / "env.json").read_text())["torch"] != "absent"
    assert len((folder / "report.html").read_bytes()) < 500_000
    assert "How did training go?" in (folder / "report.html").read_text()
    assert "linear" in " ".join(record.verdict)
    cost = {row.method: row for row in record.costs}
    assert cost["hard"].iterations == 4


def test_one_head_is_predicted(trained, tmp_path):
    out = tmp_path / "p.csv"
    assert (
        run(
            [
                "predict",
                str(trained / "runs/flats"),
                "--data",
                str(trained / "flats.csv"),
                "--tasks",
                "sold",
                "-o",
                str(out),
            ]
        )
        == 0
    )
    table = pyarrow.csv.read_csv(out)
    assert table.column_names == ["row", "sold", "sold, chance of yes"]
    assert table.num_rows == 160
    chance = np.array(table["sold, chance of yes"])
    assert [one == "yes" for one in table["sold"].to_pylist()] == (chance > 0.5).tolist()


def test_of_several_classes_the_likeliest_and_all_chances(trained, tmp_path):
    out = tmp_path / "p.parquet"
    assert run(["predict", str(trained / "runs/flats"), "--data", str(trained / "flats.csv"), "-o", str(out)]) == 0
    table = pyarrow.parquet.read_table(out).to_pandas()
    chances = table[[f"level, chance of {label}" for label in ("high", "low", "middle")]].to_numpy()
    np.testing.assert_allclose(chances.sum(1), 1, atol=1e-6)
    assert table["level"].tolist() == np.array(["high", "low", "middle"])[chances.argmax(1)].tolist()
    assert table["price"].notna().all()


def test_evaluate_knows_the_rows_it_was_trained_on(trained, capsys):
    assert (
        run(
            [
                "evaluate",
                str(trained / "runs/flats"),
                "--data",
                str(trained / "flats.csv"),
                "--json",
                "--bootstrap",
                "20",
            ]
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["seen_in_training"] == 1
    assert {(row["task"], row["metric"]) for row in found["scores"]} >= {
        ("price", "d2"),
        ("sold", "log_loss"),
        ("level", "error_rate"),
    }


def test_report_renders_again_and_the_run_resumes_from_its_cells(trained, tmp_path, monkeypatch, capsys):
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    before = Path("runs/flats/model.safetensors").read_bytes()
    text = Path("runs/flats/config.resolved.yaml").read_text()
    Path("runs/flats/config.resolved.yaml").write_text(text.replace(str(trained), str(Path.cwd())))
    assert run(["report", "runs/flats"]) == 0
    assert run(["train", "flats.yaml", *SMALL, "--resume"]) == 0
    assert "kept from before" in capsys.readouterr().err
    assert Path("runs/flats/model.safetensors").read_bytes() == before


def test_overrides_and_json(here, capsys):
    assert run(["train", "flats.yaml", "-o", "model.balance.method=pcgrad", "-o", "baselines=[single]", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["model"] == "hard+pcgrad"
    record = RunRecord.load(here / "runs/flats/record.json")
    assert record.training.of("share")  # PCGrad sees the Gramian
    assert record.relation.title.startswith("Cosine between the tasks' gradients")
    assert "model.balance.method=pcgrad" not in record.configuration
    assert "method: pcgrad" in record.configuration


def test_compare_says_whether_anything_beats_equal_weights(here, capsys):
    methods = "equal,uncertainty,mmoe"
    assert run(["compare", "flats.yaml", "--methods", methods, "--output", "cmp", "--seeds", "2"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "beats equal weights (equal) beyond noise" in out or "Better than equal weights (equal)" in out
    facts = json.loads((here / "cmp/comparison.json").read_text())
    assert [row["method"] for row in facts["methods"]] == ["equal", "uncertainty", "mmoe", "single", "linear"]
    assert {check["code"] for check in facts["checks"]} >= {"RT010"}
    assert len(list((here / "cmp/cells").iterdir())) == 4 * 2 + 1  # the linear models have no seed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "flats.yaml", "-o", "model.sharing=hardd"], "no way of sharing 'hardd'. Did you mean hard?"),
        (["check", "flats.yaml", "-o", "model.sharing=single"], "single is a baseline, and runs anyway"),
        (["check", "flats.yaml", "-o", "model.balance=pcgrat"], "no balancer 'pcgrat'. Did you mean PCGrad?"),
        (["check", "flats.yaml", "-o", "model.balance={method: cagrad, d: 1}"], "CAGrad has no option 'd'"),
        (["check", "flats.yaml", "-o", "model.balance={method: cagrad, c: -1}"], "model.balance: "),
        (["check", "flats.yaml", "-o", "features.roles={nte: text}"], "not among the inputs. Did you mean note?"),
        (["train", "flats.yaml", "-o", "model.kind=image"], "needs a column that is read as image"),
        (
            ["compare", "flats.yaml", "--methods", "equl"],
            "no way of sharing, balancer or relation. Did you mean Equal?",
        ),
        (["compare", "flats.yaml", "--methods", "Pairwise"], "does not choose the strength of Pairwise"),
        (["compare", "flats.yaml", "--methods", "hard(lr=-1)"], "lr: Input should be greater than 0"),
        (["compare", "flats.yaml", "--methods", "single"], "single is a baseline, and runs anyway"),
    ],
)
def test_bad_input_is_told_before_any_work(here, arguments, words, capsys):
    assert run(arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (here / "runs").exists()


def test_several_classes_and_a_relation_on_heads_of_one_shape_exclude_each_other(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    assert run(["check", "flats.yaml", "-o", "model.relation={name: Pairwise, strength: 0.1}"]) == 2
    assert "ties heads of one shape, and a task of several classes (level)" in capsys.readouterr().err


def test_groups_share_a_network_too(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    lines = ["site,x,z,score"]
    lines += [
        f"{'abc'[k % 3]},{x:.3f},{z:.3f},{x * z + k % 3:.3f}" for k, (x, z) in enumerate(rng.normal(size=(120, 2)))
    ]
    (tmp_path / "sites.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    assert run(["init", "sites.csv", "-t", "score", "--by", "site"]) == 0
    small = ["-o", "model={kind: mlp, hidden: [8], epochs: 3}", "-o", "data.split.repeats=1"]
    assert run(["train", "sites.yaml", *small, "-o", "baselines=[single, pooled]"]) == 0
    record = RunRecord.load("runs/sites/record.json")
    assert {method.name for method in record.methods} == {"hard", "single", "pooled", "linear"}
    assert run(["predict", "runs/sites", "--data", "sites.csv", "--tasks", "b", "-o", "p.csv"]) == 0
    assert pyarrow.csv.read_csv("p.csv").num_rows == 40


def test_pictures_beside_the_table_are_read_from_any_folder(tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    (tmp_path / "in" / "pictures").mkdir(parents=True)
    lines = ["photo,size,bright,wide"]
    for k in range(40):
        level = int(rng.integers(0, 200))
        pixels = np.clip(level + rng.integers(0, 40, size=(8, 8, 3)), 0, 255).astype(np.uint8)
        image.fromarray(pixels).save(tmp_path / "in" / "pictures" / f"{k}.png")
        lines.append(f"pictures/{k}.png,{rng.normal():.3f},{level},{'yes' if level > 100 else 'no'}")
    (tmp_path / "in" / "rooms.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    assert run(["init", "in/rooms.csv", "-t", "bright,wide", "--output", "rooms.yaml"]) == 0
    assert "kind: image  # photo is read as image" in Path("rooms.yaml").read_text()
    small = ["-o", "model.epochs=1", "-o", "model.image_size=[8, 8]", "-o", "data.split.repeats=1"]
    assert run(["train", "rooms.yaml", *small]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run(["predict", "../runs/rooms", "--data", "../in/rooms.csv", "-o", "p.csv"]) == 0
    assert pyarrow.csv.read_csv("p.csv").num_rows == 40


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(here):
    command = [
        sys.executable,
        "-m",
        "relatask",
        "train",
        "flats.yaml",
        "-o",
        "model.epochs=4000",
        "-o",
        "model.patience=4000",
    ]
    with subprocess.Popen(command, cwd=here, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 120
        while not (here / "runs/flats/cells").is_dir() and time.monotonic() < until:
            time.sleep(0.2)
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "kept. To go on: relatask train flats.yaml" in told
    assert "--resume" in told
