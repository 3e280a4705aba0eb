"""What is seen of a training: Ctrl-C, the live table, adapters, what is saved and predicted."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.train_cases import NAMES, TASKS, loader, net, same

from relatask.notices import InputError
from relatask.train import MLflow, TensorBoard, WandB, fit
from relatask.train.live import LiveTable


class CtrlC:
    """Presses Ctrl-C in the middle of a step, when the optimizer is about to move."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, groups: Any) -> torch.optim.Optimizer:
        press = self

        class Pressed(torch.optim.AdamW):
            def step(self, closure: Any = None) -> Any:
                press.left -= 1
                if press.left == 0:
                    os.kill(os.getpid(), signal.SIGINT)
                return super().step(closure)

        return Pressed(groups)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Ctrl-C as a person's shell has it: a process begun in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_ctrl_c_waits_for_the_step_and_the_run_goes_on(tmp_path: Path) -> None:
    def run(folder: Path, at: int = 0, **how: Any) -> Any:
        model = net(dropout=0.3)
        return fit(model, TASKS, loader(), loader(40, 20, 1), epochs=3, folder=folder, optimizer=CtrlC(at), **how)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", 6)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed, whole = run(tmp_path / "broken", resume=True), run(tmp_path / "whole")
    assert same(resumed.model, whole.model)
    assert resumed.history == whole.history


def test_without_a_terminal_each_epoch_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    fit(net(), TASKS, loader(), loader(40, 20, 1), epochs=2, live=True)
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("epoch")]
    assert out == ""
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2, step 4: price ")
    assert "PM2.5" in lines[1]
    assert "mean_delta" in lines[1]


def test_in_a_terminal_a_table_has_a_row_a_task() -> None:
    console = Console(force_terminal=True, width=100, file=open(os.devnull, "w"), record=True)  # noqa: SIM115
    fit(net(), TASKS, loader(), loader(40, 20, 1), epochs=2, callbacks=[LiveTable(console)])
    told = console.export_text()
    console.file.close()
    assert "epoch 2 of 2" in told
    assert all(name in told for name in NAMES)
    assert "better than constant" in told


class Writer:
    """A stand-in of SummaryWriter."""

    def __init__(self, folder: str) -> None:
        self.folder, self.rows, self.closed = folder, [], False

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.rows.append((name, value, step))

    def close(self) -> None:
        self.closed = True


def test_adapters_pass_the_history_on(monkeypatch: pytest.MonkeyPatch) -> None:
    board, flow = ModuleType("torch.utils.tensorboard"), ModuleType("mlflow")
    logged: list[tuple[dict[str, float], int]] = []
    board.SummaryWriter = Writer  # type: ignore[attr-defined]
    flow.log_metrics = lambda values, step: logged.append((values, step))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
    monkeypatch.setitem(sys.modules, "mlflow", flow)
    sent: list[tuple[dict[str, float], int]] = []
    run = SimpleNamespace(log=lambda values, step: sent.append((values, step)))
    first = TensorBoard("events")
    trained = fit(net(), TASKS, loader(), loader(40, 20, 1), epochs=2, callbacks=[first, MLflow(), WandB(run)])
    expected = {
        (row["step"], "/".join(str(row[k]) for k in ("split", "metric", "task") if row[k] is not None)): row["value"]
        for row in trained.history
    }
    assert {(step, name): value for name, value, step in first.writer.rows} == expected
    assert first.writer.closed
    for rows in (logged, sent):
        assert {(step, name): value for values, step in rows for name, value in values.items()} == expected


def test_an_adapter_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError, match="mlflow is not installed; pip install mlflow, or leave the callback out"):
        MLflow()


def test_stop_ends_training_and_says_why(tmp_path: Path) -> None:
    trained = fit(
        net(), TASKS, loader(), loader(40, 20, 1), epochs=30, lr=0.3, stop="any", patience=2, folder=tmp_path / "r"
    )
    last = max(row["epoch"] for row in trained.history)
    assert trained.stopped is not None
    assert "has not improved for 2 epochs" in trained.stopped
    assert min(trained.best_epochs.values()) == last - 2
    again = fit(net(), TASKS, loader(), epochs=30, lr=0.3, folder=tmp_path / "r", resume=True)
    assert again.stopped == trained.stopped


def test_answers_come_in_the_order_of_the_rows() -> None:
    data = loader(50, 16)
    trained = fit(net(), TASKS, data, epochs=1)
    (held,) = data.sources
    with torch.no_grad():
        outputs = trained.model(held.x)
    found = trained.predict(data, ["sold", "price"], batch_size=7)
    assert torch.allclose(found["price"], outputs["price"][:, 0])
    assert torch.allclose(found["sold"], outputs["sold"][:, 0].sigmoid())
    assert list(trained.predict(held.x)) == list(NAMES)
    with pytest.raises(InputError, match="there is no task 'rent'"):
        trained.predict(data, ["rent"])
