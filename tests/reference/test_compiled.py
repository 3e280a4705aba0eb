"""Compiled functions: nothing at import, cached where the disk allows it, right where it does not."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from relatask.compiled import compiled

MODULE = """
from relatask.compiled import compiled

@compiled
def square(x):
    return x * x

@compiled
def sum_of_squares(values):
    out = 0.0
    for value in values:
        out += square(value)
    return out
"""

SCRIPT = """
import sys
import kernels
assert "numba" not in sys.modules
import numpy as np
assert kernels.sum_of_squares(np.array([1.0, 2.0, 3.0])) == 14.0
print(sum(kernels.sum_of_squares._dispatcher.stats.cache_hits.values()))
"""


@compiled
def twice(x):
    return 2 * x


def run(folder: Path, **environment: str) -> str:
    paths = os.pathsep.join([str(folder), *sys.path])
    environ = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kernels.py").write_text(MODULE, encoding="utf-8")
    return tmp_path


def test_the_second_process_finds_the_code_on_disk(folder: Path) -> None:
    cache = str(folder / "cache")
    assert run(folder, NUMBA_CACHE_DIR=cache) == "0"
    assert run(folder, NUMBA_CACHE_DIR=cache) == "1"


def test_where_no_folder_can_be_written_it_compiles_uncached(folder: Path) -> None:
    # Neither the named folder, nor the one beside the source, nor the user's: each is below a file.
    file = folder / "file"
    file.write_text("", encoding="utf-8")
    (folder / "__pycache__").write_text("", encoding="utf-8")
    nowhere = {"NUMBA_CACHE_DIR": str(file / "cache"), "HOME": str(file), "XDG_CACHE_HOME": str(file / "cache")}
    for _ in range(2):
        assert run(folder, **nowhere) == "0"


def test_a_cut_cache_file_is_passed_over(folder: Path) -> None:
    cache = folder / "cache"
    run(folder, NUMBA_CACHE_DIR=str(cache))
    files = list(cache.rglob("*.nbc"))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:10])
    assert run(folder, NUMBA_CACHE_DIR=str(cache)) == "0"


def test_a_cache_that_stops_being_writable_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core.caching import IndexDataCacheFile

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(IndexDataCacheFile, "save", full)
    monkeypatch.setattr(IndexDataCacheFile, "load", lambda *_: None)
    assert twice(np.float64(1.5)) == 3.0
    assert not twice._cached


def test_pickled_by_name() -> None:
    assert pickle.loads(pickle.dumps(twice)) is twice
    assert twice.__name__ == "twice"
