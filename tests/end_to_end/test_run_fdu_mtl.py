"""FDU-MTL: every method tells every domain; a net a domain where alone; what is held out is no training row."""

from __future__ import annotations

import numpy as np
import pytest
from examples.runs import fdu_mtl

pytestmark = [pytest.mark.data, pytest.mark.usefixtures("data_folder")]
SMALL = fdu_mtl.Settings(**{**fdu_mtl.QUICK, "rows": 12})


@pytest.mark.parametrize("method", [*fdu_mtl.LINEAR, *(name for name in fdu_mtl.NETS if name != "single")])
def test_every_method_tells_every_domain(method: str) -> None:
    found = dict(fdu_mtl.one(method, 0, SMALL))
    assert len(found) == 17
    assert found["mean", "error"] == pytest.approx(np.mean([v for (d, _), v in found.items() if d != "mean"]))


def test_single_is_a_net_a_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = dict(list(fdu_mtl.read(False, 12).items())[:2])
    monkeypatch.setattr(fdu_mtl, "read", lambda *_: parts)
    fdu_mtl.numbers.cache_clear()
    made = []
    build = fdu_mtl.build
    monkeypatch.setattr(
        fdu_mtl, "build", lambda method, names, *rest: made.append(names) or build(method, names, *rest)
    )
    assert set(fdu_mtl.net("single", 0, SMALL)) == set(parts)
    fdu_mtl.numbers.cache_clear()
    assert made == [[domain] for domain in parts]


def test_what_is_held_out_is_not_trained_on() -> None:
    whole, part = fdu_mtl.read(False, None), fdu_mtl.read(True, None)
    for domain, reviews in part.items():
        assert len(reviews["score"].texts) == 200
        assert len(reviews["learn"].texts) == len(whole[domain]["learn"].texts) - 200
        both = sorted(map(tuple, [*reviews["learn"].texts, *reviews["score"].texts]))
        assert both == sorted(map(tuple, whole[domain]["learn"].texts))


def test_the_quick_run_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    fdu_mtl.main(["--quick", "--rows", "12", "--methods", "linear pooled", "hard"])
    assert "mean error" in capsys.readouterr().out
