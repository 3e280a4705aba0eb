"""Rows that a run was trained on are known again, in another format, another order, or in part."""

from __future__ import annotations

import json

import numpy as np
import pytest

from relatask.cli.main import run
from relatask.cli.seen import KEPT, fingerprints, share_seen, sketch
from relatask.data import write_table


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seen")
    random = np.random.default_rng(0)

    def draw(n):
        x, z = random.normal(size=(2, n))
        city = np.array(["Rome", "Oslo"])[random.integers(0, 2, n)]
        return {"x": x, "z": z, "city": city, "school": np.arange(n) % 3, "score": x + z + random.normal(size=n)}

    old, new = draw(90), draw(40)
    order = random.permutation(90)
    write_table(old, folder / "old.csv")
    write_table(old, folder / "same.parquet")
    write_table({**{name: old[name][order] for name in reversed(old)}, "more": order}, folder / "shuffled.csv")
    write_table({name: old[name][:10] for name in old}, folder / "part.csv")
    write_table({name: np.append(new[name], old[name][:10]) for name in new}, folder / "mixed.csv")
    write_table(new, folder / "new.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["init", "old.csv", "-t", "score", "--by", "school"]) == 0
        assert run(["train", "old.yaml", "-o", "data.split.repeats=2", "--output", "run"]) == 0
    return folder


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("old.csv", "the rows of old.csv are rows that the run was trained on"),
        ("same.parquet", "the rows of same.parquet are"),
        ("shuffled.csv", "the rows of shuffled.csv are"),
        ("part.csv", "the rows of part.csv are"),
        ("mixed.csv", "about 20% of the rows of mixed.csv are"),
        ("new.csv", ""),
    ],
)
def test_training_rows_are_known_again(world, monkeypatch, capsys, name, said):
    monkeypatch.chdir(world)
    assert run(["evaluate", "run", "--data", name, "--bootstrap", "5"]) == 0
    told = capsys.readouterr().err
    assert said in told
    assert ("trained on" in told) == bool(said)


def test_what_is_kept_is_small_and_a_fair_sample(tmp_path):
    random = np.random.default_rng(1)
    X, y = random.normal(size=(50_000, 3)), random.normal(size=(50_000, 2))
    y[::7] = np.nan
    (tmp_path / "data.json").write_text(json.dumps({"seen": sketch(fingerprints(X, y, None))}))
    assert (tmp_path / "data.json").stat().st_size < 10 * KEPT + 200
    half = np.vstack([X[:5000], random.normal(size=(5000, 3))])
    assert 0.4 < share_seen(tmp_path, fingerprints(half, np.vstack([y[:5000], y[:5000]]), None)) < 0.6
    assert share_seen(tmp_path, fingerprints(X[20_000:30_000], y[20_000:30_000], None)) == 1
    assert share_seen(tmp_path, fingerprints(X + 1, y, None)) == 0
    assert share_seen(tmp_path / "absent", fingerprints(X[:5], y[:5], None)) == 0
