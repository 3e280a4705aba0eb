"""Finding and downloading files, against a server on this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from relatask.data import datasets
from relatask.data import files as files_module
from relatask.data.fetch import cache_folder, fetch, find
from relatask.data.files import FILES, File
from relatask.notices import InputError

CONTENT = bytes(range(256)) * 1000
GOOD = File("set/good.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "good")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/absent":
            self.send_error(404, "Not Found")
            return
        body = {"/short": CONTENT[:-7], "/other": CONTENT[::-1], "/long": CONTENT * 50}.get(self.path, CONTENT)
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) if self.path == "/broken" else len(body)))
        self.end_headers()
        self.wfile.write(body[:1000] if self.path == "/broken" else body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    monkeypatch.setattr(files_module, "RAW", f"http://127.0.0.1:{httpd.server_port}")
    monkeypatch.setenv("RELATASK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RELATASK_DATA", raising=False)
    yield
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def get(file: File, **options: Any) -> Path:
    return fetch(file.path, files={file.path: file}, **options)


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("server")
def test_a_download_is_verified_kept_and_shown() -> None:
    calls: list[tuple[str, int, int]] = []
    path = get(GOOD, progress=lambda *call: calls.append(call))
    assert path == cache_folder() / "data" / "set" / "good.bin"
    assert path.read_bytes() == CONTENT
    assert calls[-1] == ("set/good.bin", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)
    # The second time nothing is downloaded: the address may be gone.
    assert get(replace(GOOD, upstream="absent")) == path


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("short", r"set/good.bin: .*has SHA-256 .*cut short: 255993 of 256000 bytes.*expected"),
        ("broken", r"set/good.bin: .*(cut short: 1000 of 256000 bytes|cannot be downloaded)"),
        ("other", rf"has SHA-256 [0-9a-f]{{64}} \(256000 bytes\), expected {GOOD.sha256}. Nothing was kept"),
        ("long", r"has SHA-256"),
        ("absent", r"cannot be downloaded from .*absent \(Not Found\). You can put the file there by hand"),
    ],
)
def test_a_bad_download_leaves_nothing_behind(address: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get(replace(GOOD, upstream=address))
    assert left(cache_folder()) == []


def test_without_a_network_the_message_says_where_to_put_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELATASK_CACHE", str(tmp_path))
    monkeypatch.delenv("RELATASK_DATA", raising=False)
    monkeypatch.setattr(files_module, "RAW", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=rf"by hand: {tmp_path}/data/set/good.bin \(or set/good.bin under"):
        get(GOOD)
    with pytest.raises(InputError, match=r"no download address is known. You can put the file there by hand"):
        get(replace(GOOD, upstream=None))


def test_a_changed_file_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELATASK_DATA", str(tmp_path))
    path = tmp_path / "set" / "good.bin"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert get(GOOD) == path
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=rf"{path}: this is not the file expected: SHA-256 .*it has 255999"):
        get(GOOD)


def test_an_unwritable_cache_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RELATASK_CACHE", str(tmp_path / "file"))
    monkeypatch.delenv("RELATASK_DATA", raising=False)
    with pytest.raises(InputError, match=r"cannot write into the cache .* Set RELATASK_CACHE"):
        get(GOOD)


def test_the_cache_is_where_the_platform_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RELATASK_CACHE", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "relatask"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert cache_folder() == Path.home() / ".cache" / "relatask"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == Path.home() / "Library" / "Caches" / "relatask"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache_folder() == tmp_path / "relatask" / "Cache"


def test_what_was_not_found_is_listed_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELATASK_CACHE", str(tmp_path))
    monkeypatch.delenv("RELATASK_DATA", raising=False)
    assert datasets()["school"].where is None
    assert find("school/school.mat") is None
    (tmp_path / "data" / "school").mkdir(parents=True)
    (tmp_path / "data" / "school" / "school.mat").write_bytes(b"")
    assert datasets()["school"].where == str(tmp_path / "data" / "school")


def test_addresses_are_pinned() -> None:
    for file in FILES.values():
        if file.upstream is not None:
            commit = file.upstream.split("/")[2]
            assert len(commit) >= 12
            assert set(commit) <= set("0123456789abcdef")
        assert len(file.sha256) == 64
