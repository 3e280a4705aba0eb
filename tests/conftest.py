"""What tests share: how hard they try, and where the public data sets are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from tests.effort import THOROUGH

settings.register_profile("quick", max_examples=50, deadline=None)
settings.register_profile("thorough", max_examples=200, deadline=None)
settings.load_profile("thorough" if THOROUGH else "quick")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what takes long to thorough runs."""
    if THOROUGH:
        return
    later = pytest.mark.skip(reason="takes long: `make test-thorough` runs it")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(later)


@pytest.fixture
def data_folder() -> Path:
    """The folder of public data sets; a test that asks for it is skipped where there is none."""
    folder = os.environ.get("RELATASK_DATA")
    if not folder:
        pytest.skip("RELATASK_DATA is not set: the public data sets are not here")
    if not Path(folder).is_dir():
        pytest.skip(f"RELATASK_DATA={folder} is no folder: the public data sets are not here")
    return Path(folder)
