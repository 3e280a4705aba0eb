"""What is known of a data set before it is loaded: the record that each loader file carries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from relatask.data.collection import Collection
from relatask.data.dataset import Dataset

Fetch = Callable[[str], Path]
"""Gives the local path of a file named as in `relatask.data.files.FILES`, downloading it where needed."""


@dataclass(frozen=True)
class Entry:
    """One line of `relatask data`.

    Parameters
    ----------
    name : str
        What `load` takes.
    title : str
        What the data are.
    licence : str
        The licence as the source states it.
    tasks : str
        What the tasks are, in words.
    rows : int
        How many rows.
    files : tuple of str
        The files it needs, relative to the data folder; empty where a package carries the data.
    loader : callable
        ``loader(fetch, **options)``, which gives a `Dataset` or a `Collection`.
    folder : str
        The folder of its files, where there are too many to name (`relatask.data.files.under`).
    where : str or None
        Where the files were found; None where they would be downloaded first. Filled in by `datasets`.
    """

    name: str
    title: str
    licence: str
    tasks: str
    rows: int
    files: tuple[str, ...]
    loader: Callable[..., Dataset | Collection]
    folder: str = ""
    where: str | None = None
