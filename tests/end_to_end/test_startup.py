"""Starting costs little: asserted by which modules are absent, not by seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "matplotlib", "numba", "sklearn"}


def loaded(code: str) -> set[str]:
    """Top-level modules in `sys.modules` after running some code in a fresh interpreter."""
    script = f"import sys\n{code}\nprint('|'.join({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.strip().splitlines()[-1].split("|"))


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded("import relatask") & (HEAVY | {"numpy", "scipy", "pyarrow"})


def test_help_loads_nothing_heavy() -> None:
    code = "\n".join(
        [
            "import contextlib, io",
            "from relatask.cli.main import main",
            "sys.argv = ['relatask', '--help']",
            "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main()",
        ]
    )
    assert not loaded(code) & HEAVY


@pytest.mark.parametrize("room", ["relations", "linear", "measure", "study", "data", "report"])
def test_no_room_loads_torch_or_numba_or_pyplot(room: str) -> None:
    modules = loaded(f"import relatask.{room}")
    assert not modules & {"torch", "numba", "matplotlib"}


def test_public_names_resolve_and_unknown_ones_say_so() -> None:
    import relatask

    for name in relatask.__all__:
        assert getattr(relatask, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = relatask.nothing
