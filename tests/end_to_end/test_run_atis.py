"""ATIS: every way of sharing runs; words, rare ones and unseen ones are numbered as told; its F1 is seqeval's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from examples.runs import atis
from seqeval.metrics import f1_score

pytestmark = [pytest.mark.data, pytest.mark.usefixtures("data_folder")]
SMALL = atis.Settings(**{**atis.QUICK, "sentences": 60})


@pytest.mark.parametrize("method", atis.Settings().methods)
def test_every_method_tells_both_tasks(method: str) -> None:
    found = atis.one(method, 0, SMALL)
    assert set(found) == set(atis.COLUMNS)
    assert all(0 <= value <= 100 for value in found.values())


def test_the_quick_run_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    atis.main(["--quick", "--methods", "hard", "--sentences", "60"])
    assert "entity F1" in capsys.readouterr().out


def test_the_published_parts_are_whole() -> None:
    data = atis.read(None)
    assert {name: len(part) for name, part in data.parts.items()} == {"train": 4478, "dev": 500, "test": 893}
    seen = torch.cat([data.parts["train"].part(np.array([i])).x[0] for i in range(4478)])
    assert int(seen.max()) == data.unseen - 1
    counts = torch.bincount(seen, minlength=data.unseen)
    assert (counts[2 : data.rare] > 1).all()
    assert (counts[data.rare :] == 1).all()
    assert max(int(data.parts["test"].part(np.array([i])).x.max()) for i in range(893)) >= data.unseen


def test_padding_changes_nothing() -> None:
    data = atis.read(SMALL.sentences)
    for method in atis.Settings().methods:
        torch.manual_seed(0)
        model = atis.build(method, ["intent", "slots"], data, SMALL).eval()
        both = data.parts["dev"].part(np.array([0, 1])).x
        alone = data.parts["dev"].part(np.array([1])).x
        with torch.no_grad():
            padded, plain = model(torch.nn.functional.pad(both, (0, 3)))["intent"][1:], model(alone)["intent"]
        assert torch.allclose(padded, plain, atol=1e-5), method


def test_f1_is_that_of_seqeval() -> None:
    data = atis.read(SMALL.sentences)
    tags = data.tasks[1].class_names or ()
    truth = data.parts["test"].target("slots")
    rng = np.random.default_rng(0)
    guess = [[int(k) if rng.random() < 0.8 else int(rng.integers(len(tags))) for k in row] for row in truth]
    rows = [[k for k in row if k >= 0] for row in truth.tolist()]
    named = [[tags[k] for k in row] for row in rows]
    told = [[tags[max(k, 0)] for k in row[: len(one)]] for row, one in zip(guess, rows, strict=True)]
    guess = [[max(k, 0) for k in row] for row in guess]
    assert atis.entity_f1(truth, guess, tags) == pytest.approx(f1_score(named, told), abs=5e-4)


def test_recorded_rows_are_of_known_methods() -> None:
    path = Path(atis.__file__).parent / "results" / "atis.csv"
    if not path.exists():
        pytest.skip("no run is recorded yet")
    from examples.runs.common import Results

    assert {row.method for row in Results("atis", path).rows()} <= set(atis.Settings().methods)
