"""Finds the public files: $RELATASK_DATA, then the cache, else a download that is verified before it is kept."""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from relatask.data.files import FILES, File, listed
from relatask.files import replacing
from relatask.notices import InputError

Progress = Callable[[str, int, int], None]
"""Called as ``progress(path, bytes done, bytes in all)`` while a file downloads."""

_BLOCK = 1 << 16
_TIMEOUT = 30.0


def cache_folder() -> Path:
    """Give the folder for downloaded files.

    ``$RELATASK_CACHE`` if set, else the platform's own place: ``$XDG_CACHE_HOME/relatask`` or ``~/.cache/relatask``,
    ``~/Library/Caches/relatask`` on macOS, ``%LOCALAPPDATA%\\relatask\\Cache`` on Windows.
    """
    if chosen := os.environ.get("RELATASK_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "relatask"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "relatask" / "Cache"
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path there is to be ignored.
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "relatask"


def folders() -> tuple[Path, ...]:
    """Give the folders that are searched, in order."""
    own = os.environ.get("RELATASK_DATA")
    return (*((Path(own).expanduser(),) if own else ()), cache_folder() / "data")


def find(path: str) -> Path | None:
    """Give where a file lies already, or None. Its content is not looked at."""
    return next((folder / path for folder in folders() if (folder / path).is_file()), None)


def fetch(path: str, progress: Progress | None = None, files: Mapping[str, File] = FILES) -> Path:
    """Give the local path of a public file, downloaded if it has to be, its content verified.

    Parameters
    ----------
    path : str
        A key of `relatask.data.files.FILES`, or of `relatask.data.files.listed`.
    progress : callable, optional
        Called as ``progress(path, bytes done, bytes in all)`` during a download.
    files : mapping of str to File
        The files known (a parameter so that tests can serve their own).

    Returns
    -------
    Path
        In ``$RELATASK_DATA``, else in the cache.

    Raises
    ------
    InputError
        For a file that is not what is expected (another SHA-256), that cannot be downloaded, or whose address is not
        known. The message says where to put it by hand.
    """
    file = files[path] if path in files else listed()[path]
    found = find(path)
    if found is not None:
        stat = found.stat()
        got = _verified(str(found), stat.st_size, stat.st_mtime_ns)
        if got != file.sha256:
            raise InputError(
                f"{found}: this is not the file expected: SHA-256 {got}, expected {file.sha256} "
                f"({file.bytes} bytes; it has {stat.st_size}). Remove it, or replace it by the original."
            )
        return found
    return _download(file, progress)


@cache
def _verified(path: str, size: int, modified: int) -> str:
    """Hash a file once per process: size and time of change are part of the key, so a changed file is read again."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _download(file: File, progress: Progress | None) -> Path:
    target = cache_folder() / "data" / file.path
    by_hand = f"You can put the file there by hand: {target} (or {file.path} under $RELATASK_DATA)."
    if file.url is None:
        raise InputError(f"{file.path}: no download address is known. {by_hand}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write into the cache {target.parent} ({error.strerror}). Set RELATASK_CACHE to another folder."
        ) from None
    try:
        with replacing(target) as part:
            with part.open("wb") as stream:
                got, done = _receive(file, stream.write, progress)
            if got != file.sha256:
                short = f" (cut short: {done} of {file.bytes} bytes)" if done < file.bytes else f" ({done} bytes)"
                raise InputError(
                    f"{file.path}: the download from {file.url} has SHA-256 {got}{short}, expected {file.sha256}. "
                    f"Nothing was kept; try again. {by_hand}"
                )
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(f"{file.path}: cannot be downloaded from {file.url} ({reason}). {by_hand}") from None
    return target


def _receive(file: File, write: Callable[[bytes], int], progress: Progress | None) -> tuple[str, int]:
    """Download into `write`; give the SHA-256 and the number of bytes that came."""
    assert file.url is not None
    digest, done = hashlib.sha256(), 0
    request = urllib.request.Request(file.url, headers={"User-Agent": "relatask"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:
        while block := reply.read(_BLOCK):
            digest.update(block)
            write(block)
            done += len(block)
            if progress is not None:
                progress(file.path, done, file.bytes)
            if done > file.bytes:  # Whatever it is, it is not the file: stop before it fills the disk.
                break
    return digest.hexdigest(), done
