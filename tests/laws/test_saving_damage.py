"""Saved models that were changed, cut short or forged are refused by name; nothing in them can run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relatask.linear import MultiTaskRegressor
from relatask.notices import InputError


def rows(labels: list[Any], n: int = 40) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    rng = np.random.default_rng(0)
    codes = np.arange(n) % len(labels)
    X = rng.normal(size=(n, 3))
    return X, X.sum(1) + codes + rng.normal(size=n), [labels[k] for k in codes]


def saved(folder: Path) -> tuple[Path, Path]:
    X, y, tasks = rows(["a", "b"])
    MultiTaskRegressor().fit(X, y, tasks).save(folder / "m")
    return folder / "m.json", folder / "m.npz"


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    for file, message in zip(saved(tmp_path), ("damaged|changed|not a saved|has version", "damaged"), strict=True):
        whole = file.read_bytes()
        for size in {0, 1, len(whole) - 2, len(whole) - 1, *range(0, len(whole), max(1, len(whole) // 60))}:
            file.write_bytes(whole[:size])
            with pytest.raises(InputError, match=message):
                MultiTaskRegressor.load(tmp_path / "m")
        file.write_bytes(whole + b"\n")
        with pytest.raises(InputError, match="checksum"):
            MultiTaskRegressor.load(tmp_path / "m")
        file.write_bytes(whole)
    MultiTaskRegressor.load(tmp_path / "m")


@given(which=st.booleans(), share=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_byte_changed_is_refused(tmp_path: Path, which: bool, share: float, flip: int) -> None:
    file = (tmp_path / "m.json", tmp_path / "m.npz")[which]
    if not file.exists():
        saved(tmp_path)
    whole = file.read_bytes()
    place = int(share * len(whole))
    file.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
    try:
        with pytest.raises(InputError, match=r"m\.(json|npz)"):
            MultiTaskRegressor.load(tmp_path / "m")
    finally:
        file.write_bytes(whole)


def test_what_means_the_same_to_json_is_a_change_too(tmp_path: Path) -> None:
    json_file, _ = saved(tmp_path)
    body = json.loads(json_file.read_text())
    for text in (json.dumps(body), json_file.read_text().replace("\n ", "\n\t", 1)):
        json_file.write_text(text)
        with pytest.raises(InputError, match="was changed after it was written"):
            MultiTaskRegressor.load(tmp_path / "m")


def forged(folder: Path, change: Any, **arrays: Any) -> None:
    """Files with right checksums that no model wrote: checksums are no signatures."""
    json_file, npz_file = saved(folder)
    with np.load(npz_file) as stored:
        held = dict(stored) | arrays
    with npz_file.open("wb") as file:
        np.savez(file, **held)
    body = json.loads(json_file.read_text())
    body.pop("sha256")
    change(body)
    body["arrays_sha256"] = hashlib.sha256(npz_file.read_bytes()).hexdigest()
    body["sha256"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    json_file.write_text(json.dumps(body, indent=1, ensure_ascii=False))


class Wicked:
    def __reduce__(self) -> Any:
        return pytest.fail, ("a pickle was loaded",)


def test_nothing_that_could_run_is_loaded(tmp_path: Path) -> None:
    forged(tmp_path, lambda body: None, a0=np.array([Wicked()], dtype=object))
    with pytest.raises(InputError, match="hold a pickle, which is never loaded"):
        MultiTaskRegressor.load(tmp_path / "m")
    for change in (
        lambda body: body["fitted"]["items"].update(coef_={"type": "record", "name": "Popen", "fields": {}}),
        lambda body: body["fitted"]["items"].update(coef_={"type": "array", "key": "nowhere", "writeable": True}),
        lambda body: body["fitted"]["items"].update(coef_={"type": "os.system"}),
        lambda body: body.pop("fitted"),
    ):
        forged(tmp_path, change)
        with pytest.raises(InputError, match=r"hold what no model is made of|is unknown here"):
            MultiTaskRegressor.load(tmp_path / "m")
    forged(tmp_path, lambda body: body["fitted"]["items"].update(predict=1.0))
    with pytest.raises(InputError, match="hold what no model is made of"):
        MultiTaskRegressor.load(tmp_path / "m")
    forged(tmp_path, lambda body: body["params"]["items"].update(other=1.0))
    with pytest.raises(InputError, match="hold what no model is made of"):
        MultiTaskRegressor.load(tmp_path / "m")


def test_version_1_predicts_and_does_not_go_on(tmp_path: Path) -> None:
    def older(body: dict[str, Any]) -> None:
        body["version"] = 1
        for name in ("_statistics", "_seen", "_end", "drift_"):
            body["fitted"]["items"].pop(name, None)
        body["params"]["items"].pop("track_rows")

    X, y, tasks = rows(["a", "b"])
    forged(tmp_path, older)
    model = MultiTaskRegressor.load(tmp_path / "m")
    assert (model.predict(X, tasks) == MultiTaskRegressor().fit(X, y, tasks).predict(X, tasks)).all()
    with pytest.raises(InputError, match=r"saved by an older relatask\): fit again on all rows"):
        model.partial_fit(X, y, tasks)
