"""What tests share: where the public data sets are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def data_folder() -> Path:
    """The folder of public data sets; a test that asks for it is skipped where there is none."""
    folder = os.environ.get("RELATASK_DATA")
    if not folder:
        pytest.skip("RELATASK_DATA is not set: the public data sets are not here")
    if not Path(folder).is_dir():
        pytest.skip(f"RELATASK_DATA={folder} is no folder: the public data sets are not here")
    return Path(folder)
