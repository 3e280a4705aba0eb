"""What `fit` refuses, before anything is trained or written, and what it says."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.train_cases import NAMES, TASKS, loader, net, same, table
from torch import nn

from relatask.balance import PCGrad
from relatask.data.tensors import Columns, Loader
from relatask.nets import HardSharing
from relatask.notices import InputError
from relatask.tasks import Task
from relatask.train import Alternating, Balanced, MoDo, fit
from relatask.train.packing import read, write


def heads(**widths: int) -> HardSharing:
    """A net with heads of these widths."""
    return HardSharing(nn.Linear(5, 4), {name: nn.Linear(4, width) for name, width in widths.items()})


class Misspelt:
    def on_steps(self, run: Any) -> None: ...


class Deaf:
    def step(self, run: Any) -> None: ...


def unlabelled() -> Loader:
    X, y = table()
    y["price"][:] = np.nan
    return Loader(Columns(X, y), 32)


def beyond() -> Loader:
    X, y = table()
    y["sold"][y["sold"] == 1] = 2
    return Loader(Columns(X, y), 32)


def halves() -> list[Task]:
    return [Task("price"), Task("sold", "binary")]


CASES: list[tuple[str, Callable[[], Any], str]] = [
    ("no model", lambda: fit(nn.Linear(5, 1), TASKS, loader()), "a Linear; a relatask.nets.Model is needed: HardShar"),
    ("no task", lambda: fit(net(), [], loader()), "give a list with a relatask.tasks.Task for each head"),
    ("a name", lambda: fit(net(), ["price"], loader()), r"tasks holds 'price'; give a relatask.tasks.Task: Task\('pri"),
    ("twice", lambda: fit(net(), [*TASKS, Task("sold")], loader()), "the task 'sold' is there twice"),
    (
        "no head",
        lambda: fit(heads(price=1), halves(), loader()),
        "task 'sold' has no head; the model has heads for 'pri",
    ),
    (
        "idle head",
        lambda: fit(net(), halves(), loader()),
        "the model has a head for 'PM2.5', which is none of the tasks",
    ),
    ("no loader", lambda: fit(net(), TASKS, [1, 2]), "train is .*, a list; give a relatask.data.tensors.Loader"),
    ("valid", lambda: fit(net(), TASKS, loader(), 3), "valid is 3, a int; give a relatask.data.tensors.Loader"),
    (
        "in no source",
        lambda: fit(heads(price=1, rent=1), [Task("price"), Task("rent")], loader()),
        "task 'rent' is in no source of the training data, which have 'price', 'sold', 'PM2.5'",
    ),
    ("no label", lambda: fit(net(), TASKS, unlabelled()), "task 'price' has no label at all in the training data"),
    (
        "held out",
        lambda: fit(net(), TASKS, loader(), beyond()),
        r"in the validation data: task 'sold' \(binary\): a label is 2; expected 0 to 1",
    ),
    (
        "width",
        lambda: fit(heads(price=1, sold=2, **{"PM2.5": 1}), TASKS, loader()),
        r"task 'sold' \(binary\): the head gives outputs of shape \(\d+, 2\) for \d+ rows, and \(\d+, 1\) is expected",
    ),
    ("step", lambda: fit(net(), TASKS, loader(), step="pcgrad"), "step is 'pcgrad', a str; give a Step"),
    ("a balancer", lambda: Balanced("pcgrad"), "balancer is 'pcgrad'; give an instance of a relatask.balance.Balancer"),
    (
        "monitor",
        lambda: fit(net(), TASKS, loader(), monitor="mean"),
        "monitor is 'mean'; expected 'mean_delta', 'worst'",
    ),
    (
        "task:",
        lambda: fit(net(), TASKS, loader(), monitor="task:rent"),
        "there is no task 'rent'; the tasks are price, s",
    ),
    ("stop", lambda: fit(net(), TASKS, loader(), stop="some"), "stop is 'some'; expected None, 'any', 'all' or 'mean'"),
    ("patience", lambda: fit(net(), TASKS, loader(), patience=0), "patience is 0; a whole number of epochs, 1 or more"),
    ("epochs", lambda: fit(net(), TASKS, loader(), epochs=0), "epochs is 0; a whole number, 1 or more, is needed"),
    ("accumulate", lambda: fit(net(), TASKS, loader(), accumulate=1.5), "accumulate is 1.5; a whole number"),
    ("lr", lambda: fit(net(), TASKS, loader(), lr=-1.0), "lr is -1.0; a number above 0 is needed"),
    ("lr_of", lambda: fit(net(), TASKS, loader(), lr_of={"rent": 0.1}), "lr_of names 'rent', which is no task"),
    ("lr_of value", lambda: fit(net(), TASKS, loader(), lr_of={"sold": 0}), r"lr_of\['sold'\] is 0; a number above 0"),
    ("clip", lambda: fit(net(), TASKS, loader(), clip=0.0), "clip is 0.0; a number above 0 is needed"),
    ("ema", lambda: fit(net(), TASKS, loader(), ema=1.0), "ema is 1.0; a decay between 0 and 1 is needed"),
    (
        "freeze",
        lambda: fit(net(), TASKS, loader(), freeze=["trunk"]),
        r"'trunk' names no parameter of HardSharing; give",
    ),
    ("freeze text", lambda: fit(net(), TASKS, loader(), freeze="encoder"), r"give a list: freeze=\['encoder'\]"),
    (
        "all frozen",
        lambda: fit(net(), TASKS, loader(), freeze=["encoder", *NAMES]),
        "no parameter is left to train: all are frozen",
    ),
    (
        "schedule",
        lambda: fit(net(), TASKS, loader(), schedule="cosin"),
        "schedule is 'cosin'; expected one of 'cosine'",
    ),
    (
        "optimizer",
        lambda: fit(net(), TASKS, loader(), optimizer=torch.optim.SGD(net().parameters())),
        "give a function from parameter groups to an optimizer, for example torch.optim.SGD",
    ),
    ("device", lambda: fit(net(), TASKS, loader(), device="gpuu"), "device='gpuu', precision='32-true' cannot be used"),
    ("precision", lambda: fit(net(), TASKS, loader(), precision="8"), "precision='8' cannot be used here"),
    (
        "hook",
        lambda: fit(net(), TASKS, loader(), callbacks=[Misspelt()]),
        "has a method on_steps, .* did you mean on_step",
    ),
    (
        "no hook",
        lambda: fit(net(), TASKS, loader(), callbacks=[Deaf()]),
        "give an object with one or more of the methods",
    ),
    ("a class", lambda: fit(net(), TASKS, loader(), callbacks=[Misspelt]), "on_steps"),
    ("resume", lambda: fit(net(), TASKS, loader(), resume=True), "resume=True needs folder="),
    (
        "in parts",
        lambda: fit(net(), TASKS, loader(), step=Alternating(), accumulate=2),
        "accumulate=2: Alternating takes",
    ),
    ("fp16", lambda: fit(net(), TASKS, loader(), step=MoDo(), precision="16-mixed"), "without a loss scaler"),
]


@pytest.mark.parametrize(("call", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_refused(call: Callable[[], Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        call()


def test_what_is_refused_leaves_model_and_folder_alone(tmp_path: Path) -> None:
    model, folder = net(norm=True), tmp_path / "run"
    X, y = table()
    bad = Loader(Columns(X, {**y, "sold": y["price"]}), 32)
    with pytest.raises(InputError, match="task 'sold'"):
        fit(model, TASKS, bad, folder=folder)
    assert same(model, net(norm=True))
    assert not folder.exists()


def test_nan_is_told_with_step_and_task() -> None:
    X, y = table(holes=False)
    rows = Loader(Columns(X, y), 32).plan(1)[2][0][1]
    X[rows] = np.nan
    with pytest.raises(InputError, match=r"^RT013: step \d+ \(epoch \d\): the loss of tasks 'price', 'sold'"):
        fit(net(), TASKS, Loader(Columns(X, y), 32), epochs=2)


@pytest.mark.parametrize("step", [Balanced(PCGrad()), MoDo(2), Alternating()])
def test_nan_is_told_by_every_step(step: Any) -> None:
    X, y = table(holes=False)
    y["sold"][:] = 1.0
    y["sold"][0] = 0.0
    tasks = [Task("price"), Task("sold", loss=lambda output, target: output[:, 0] / 0.0), Task("PM2.5")]
    with pytest.raises(InputError, match=r"^RT013: step \d+ \(epoch 1\): the loss of task 'sold' is NaN or inf"):
        fit(net(), tasks, Loader(Columns(X, y), 32), step=step)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A run of one epoch."""
    fit(net(), TASKS, loader(), loader(40, 20, 1), epochs=1, folder=tmp_path / "run")
    return tmp_path / "run"


def again(folder: Path, **how: Any) -> Any:
    return fit(how.pop("model", net()), how.pop("tasks", TASKS), loader(), loader(40, 20, 1), folder=folder, **how)


def test_a_run_is_not_written_over(finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="holds a run already; give resume=True to go on with it, or another folder"):
        again(finished)
    assert before == {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}


def test_another_model_is_refused(finished: Path) -> None:
    with pytest.raises(InputError, match=r"of another model: heads.modules_.0.weight is \(1, 8\) there and \(1, 9\) h"):
        again(finished, model=net(width=9), resume=True)
    with pytest.raises(InputError, match="its kinds is regression, binary, regression, and here it is regression, r"):
        again(finished, tasks=[TASKS[0], Task("sold"), TASKS[2]], resume=True)
    with pytest.raises(InputError, match="its step is 'Balanced', and here it is 'MoDo'"):
        again(finished, step=MoDo(2), resume=True)
    with pytest.raises(InputError, match=r"was trained without an average of the parameters \(ema\)"):
        again(finished, ema=0.9, resume=True)


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, 0.99])
def test_a_checkpoint_cut_short_is_refused(finished: Path, keep: float) -> None:
    path = finished / "checkpoints" / "last.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if keep < 1 else int(keep)])
    with pytest.raises(InputError, match=r"last\.safetensors is cut short"):
        again(finished, resume=True)


def test_a_changed_checkpoint_is_refused(finished: Path) -> None:
    path = finished / "checkpoints" / "last.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="was changed after it was written: its checksum differs"):
        again(finished, resume=True)


def test_a_newer_version_is_refused(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = finished / "checkpoints" / "last.safetensors"
    state = read(path, "checkpoint")
    monkeypatch.setattr("relatask.train.packing.VERSION", 2)
    write(path, "checkpoint", state)
    monkeypatch.setattr("relatask.train.packing.VERSION", 1)
    with pytest.raises(InputError, match="has version 2, and this relatask reads versions up to 1"):
        again(finished, resume=True)
    with pytest.raises(InputError, match="holds a weights, and a checkpoint is needed"):
        read(finished / "model.safetensors", "checkpoint")


def test_no_space_left_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"

    class Full:
        """The disk fills up in the second epoch."""

        def on_epoch_start(self, run: Any) -> None:
            if run.epoch == 1:
                self.before = (folder / "checkpoints" / "last.safetensors").read_bytes()
                monkeypatch.setattr(Path, "write_bytes", no_space)

    def no_space(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    full = Full()
    with pytest.raises(
        InputError, match=r"cannot be written: No space left on device .*; what was saved there before is"
    ):
        again(folder, epochs=3, callbacks=[full])
    assert (folder / "checkpoints" / "last.safetensors").read_bytes() == full.before
    assert not [path for path in folder.rglob("*") if path.suffix == ".part"]
    monkeypatch.undo()
    resumed, whole = again(folder, epochs=3, resume=True), again(tmp_path / "other", epochs=3)
    assert same(resumed.model, whole.model)


def test_state_that_needs_pickle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a object, which cannot be saved without pickle"):
        write(tmp_path / "x.safetensors", "weights", {"a": [1, object()]})
    assert not (tmp_path / "x.safetensors").exists()
