"""What the commands say where the extra relatask[deep] is not installed: torch is blocked in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "lightning_fabric", "torchmetrics", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
sys.meta_path.insert(0, Blocker())
from relatask.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
CONFIG = """
data: {path: flats.csv, split: {repeats: 1}}
tasks: {price: , sold: {kind: binary}}
model: {kind: text}
output: {folder: runs/flats}
"""


@pytest.fixture
def here(tmp_path):
    notes = ["bright and quiet room", "dark old noisy room", "sunny modern place here", "damp cramped broken flat"]
    rows = [f"{k % 7},{notes[k % 4]} number {k},{k % 5}.{k % 3},{'yes' if k % 3 else 'no'}" for k in range(60)]
    (tmp_path / "flats.csv").write_text("\n".join(["size,note,price,sold", *rows]))
    (tmp_path / "flats.yaml").write_text(CONFIG)
    return tmp_path


def without_torch(here, *arguments):
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, *arguments], cwd=here, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "flats.yaml"],
        ["train", "flats.yaml"],
        ["compare", "flats.yaml", "--methods", "equal,pcgrad"],
    ],
)
def test_networks_say_which_extra_to_install(here, arguments):
    found = without_torch(here, *arguments)
    assert found.returncode == 2
    assert "model.kind: text needs torch" in found.stderr
    assert 'pip install "relatask[deep]"' in found.stderr
    assert not (here / "runs").exists()


def test_init_proposes_a_linear_model_and_says_what_a_network_would_read(here):
    (here / "flats.yaml").unlink()
    found = without_torch(here, "init", "flats.csv", "-t", "price,sold")
    assert found.returncode == 0
    assert "A network would read note (text): model.kind: text" in " ".join(found.stdout.split())
    text = (here / "flats.yaml").read_text()
    assert "kind: linear  # a network would read note: kind: text" in text
    assert without_torch(here, "check", "flats.yaml").returncode == 0


def test_doctor_and_methods_say_that_it_is_not_there(here):
    doctor = without_torch(here, "doctor")
    assert "Networks: torch, lightning_fabric, torchmetrics, safetensors absent" in " ".join(doctor.stdout.split())
    methods = without_torch(here, "methods")
    assert methods.returncode == 0
    assert 'pip install "relatask[deep]"' in methods.stdout
    assert "Kinds of tasks" in methods.stdout
