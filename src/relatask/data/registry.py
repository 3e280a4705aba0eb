"""The data sets by name: what is known of each, and `load`."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial
from typing import Any, Literal, overload

from relatask.data import (
    bccd,
    beijing,
    coco128,
    diabetes,
    fdu_mtl,
    fsdd,
    hillstrom,
    joint_nlu,
    mnist,
    mulan,
    parkinsons,
    sarcos,
    school,
    student,
    tox21,
)
from relatask.data.collection import Collection
from relatask.data.dataset import Dataset
from relatask.data.entry import Entry
from relatask.data.fetch import Progress, fetch, find, folders
from relatask.data.files import under
from relatask.data.table import did_you_mean, shorten
from relatask.notices import InputError

_TABLES = (diabetes, school, parkinsons, student, sarcos, mulan, beijing, hillstrom, tox21)
_LOADERS = (*_TABLES, joint_nlu, fdu_mtl, bccd, coco128, mnist, fsdd)
_ENTRIES: dict[str, Entry] = {entry.name: entry for module in _LOADERS for entry in module.ENTRIES}


def datasets() -> dict[str, Entry]:
    """List the data sets that `load` knows, with where each was found.

    Returns
    -------
    dict of str to Entry
        `Entry.where` is the folder that holds all its files, "scikit-learn" where that carries the data, or None where
        the files would be downloaded first.

    Examples
    --------
    >>> datasets()["diabetes"].where
    'scikit-learn'
    >>> datasets()["school"].rows
    15362
    """
    return {name: replace(entry, where=_where(entry)) for name, entry in _ENTRIES.items()}


Collections = Literal["atis", "fdu_mtl", "bccd", "coco128", "mnist", "multi_mnist", "fsdd"]


@overload
def load(name: Collections, *, progress: Progress | None = ..., **options: Any) -> Collection: ...
@overload
def load(name: str, *, progress: Progress | None = ..., **options: Any) -> Dataset: ...
def load(name: str, *, progress: Progress | None = None, **options: Any) -> Dataset | Collection:
    """Load a public data set of related tasks.

    Its files are looked for in ``$RELATASK_DATA``, then in the cache (`relatask.data.fetch.cache_folder`), else
    downloaded from upstream at a pinned commit; their SHA-256 is verified.

    Parameters
    ----------
    name : str
        One of `datasets`.
    progress : callable, optional
        Called as ``progress(path, bytes done, bytes in all)`` during a download.
    **options
        The loader's own, such as ``target="motor_UPDRS"`` for "parkinsons"; see `options_of`.

    Returns
    -------
    Dataset or Collection
        Tables are a `Dataset`; texts, pictures and sounds a `Collection`.

    Raises
    ------
    InputError
        For an unknown name, option or value (with the closest known one), a changed file, or a failed download.

    Examples
    --------
    >>> data = load("diabetes")
    >>> data.targets, data.by
    (('progression',), 'group')
    """
    if name not in _ENTRIES:
        raise InputError(
            f"data set {name!r} is unknown{did_you_mean(name, _ENTRIES)} There are: {shorten(_ENTRIES, len(_ENTRIES))}."
        )
    known = options_of(name)
    for option in options:
        if option not in known:
            listed = f"Its options: {shorten(known)}." if known else "It has no options."
            raise InputError(f"data set {name!r} has no option {option!r}{did_you_mean(option, known)} {listed}")
    return _ENTRIES[name].loader(partial(fetch, progress=progress), **options)


def options_of(name: str) -> dict[str, Any]:
    """Give a data set's options and their defaults.

    Examples
    --------
    >>> options_of("parkinsons")
    {'target': 'total_UPDRS'}
    """
    loader = _ENTRIES[name].loader
    fixed = loader.keywords if isinstance(loader, partial) else {}
    parameters = list(inspect.signature(loader).parameters.values())[1:]
    return {parameter.name: parameter.default for parameter in parameters if parameter.name not in fixed}


def _where(entry: Entry) -> str | None:
    files = under(entry.folder) if entry.folder else entry.files
    if not files:
        return "scikit-learn"
    for folder in folders():
        if all((folder / file).is_file() for file in files):
            return str(folder / entry.folder if entry.folder else (folder / files[0]).parent)
    found = [find(file) for file in files]
    return "several folders" if all(found) else None
