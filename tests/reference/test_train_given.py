"""What fit is given reaches where it counts, or is refused: weights, loaders, rates, settings on resume, monitors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from relatask import InputError, Task
from relatask.balance import PCGrad
from relatask.data.tensors import Columns, Loader, LongTable, TorchLoaders
from relatask.nets import ESMM, HardSharing, SoftSharing
from relatask.train import Balanced, fit
from relatask.train.normalise import null_losses, targets_of, weights_of


def test_a_null_loss_is_that_of_the_weighted_labels():
    rng = np.random.default_rng(0)
    y, other, weight = rng.normal(size=30), rng.integers(0, 2, 30).astype(float), rng.uniform(0, 5, 30)
    y[:5] = np.nan
    loader = Loader(Columns(np.zeros((30, 2)), {"a": y, "b": other}, weight))
    tasks = [Task("a"), Task("a2", where=("b", 1.0)), Task("b", kind="binary")]
    targets, weights = targets_of(loader), weights_of(loader)
    found = null_losses(tasks, {**targets, "a2": targets["a"]}, {**weights, "a2": weights["a"]})
    for name, rows in (("a", ~np.isnan(y)), ("a2", ~np.isnan(y) & (other == 1))):
        mean = np.average(y[rows], weights=weight[rows])
        assert found[name] == pytest.approx(np.average((y[rows] - mean) ** 2, weights=weight[rows]))
    p = np.average(other, weights=weight)
    assert found["b"] == pytest.approx(-p * np.log(p) - (1 - p) * np.log(1 - p))


def test_fit_takes_them_from_long_tables_too():
    y, weight = np.array([0.0, 1.0, 5.0, 0.0, 9.0]), np.array([1.0, 3.0, 1.0, 1.0, 1.0])
    x = np.zeros((5, 2), dtype="float32")
    loader = Loader(LongTable(x, ["a", "a", "b", "b", "b"], y.astype("float32"), weight.astype("float32")))
    model = HardSharing(nn.Identity(), {"a": nn.Linear(2, 1), "b": nn.Linear(2, 1)})
    trained = fit(model, [Task("a"), Task("b")], loader, epochs=1, device="cpu")
    nulls = {task.name: task.null_loss for task in trained.tasks}
    assert nulls["a"] == pytest.approx(3 / 16)
    assert nulls["b"] == pytest.approx(np.var(y[2:]))


def test_a_data_loader_is_read_twice_at_a_time():
    data = TensorDataset(torch.arange(8.0)[:, None], torch.arange(8.0))
    loaders = TorchLoaders({"a": DataLoader(data, batch_size=2)})
    first = loaders.epoch(0)
    seen = [next(first)[0].y["a"].tolist() for _ in range(2)]
    assert [batch[0].y["a"].tolist() for batch in loaders.epoch(0)] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert seen + [batch[0].y["a"].tolist() for batch in first] == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_a_rate_for_a_task_without_parameters_is_refused():
    model = ESMM(nn.Linear(2, 4), {"click": nn.Linear(4, 1), "buy": nn.Linear(4, 1)})
    y = torch.tensor([0.0, 1.0, 1.0, 0.0])
    loader = Loader(Columns(torch.randn(4, 2), {"click": y, "buy": y}))
    tasks = [Task("click", kind="binary"), Task("buy", kind="binary")]
    with pytest.raises(InputError, match=r"lr_of names task 'click', which has no parameters of its own in ESMM"):
        fit(model, tasks, loader, lr_of={"click": 1e-4}, epochs=1, device="cpu")


def _pair(width: int = 2) -> tuple[HardSharing, list[Task], Loader]:
    y = torch.arange(6.0)
    loader = Loader(Columns(torch.randn(6, 2), {"a": y, "b": y.flip(0)}), 3)
    return (
        HardSharing(nn.Linear(width, 4), {"a": nn.Linear(4, 1), "b": nn.Linear(4, 1)}),
        [Task("a"), Task("b")],
        loader,
    )


@pytest.mark.parametrize(
    ("changed", "told"), [({"lr": 0.5}, r"its lr is 0\.01, and here it is 0\.5"), ({"clip": 1.0}, "its clip is None")]
)
def test_a_run_goes_on_as_it_was_asked_for(tmp_path, changed, told):
    model, tasks, loader = _pair()
    fit(model, tasks, loader, lr=0.01, epochs=1, folder=tmp_path, device="cpu")
    with pytest.raises(InputError, match=told):
        fit(_pair()[0], tasks, loader, **{"lr": 0.01, **changed}, epochs=2, folder=tmp_path, resume=True, device="cpu")
    longer = fit(_pair()[0], tasks, loader, lr=0.01, epochs=2, folder=tmp_path, resume=True, device="cpu")
    assert {row["epoch"] for row in longer.history} == {0, 1}


def test_what_nobody_labelled_cannot_be_watched():
    model, tasks, loader = _pair()
    valid = Loader(Columns(torch.randn(3, 2), {"a": torch.full((3,), torch.nan), "b": torch.arange(3.0)}))
    with pytest.raises(InputError, match=r"monitor='task:a', and no row of valid has a label of task 'a'"):
        fit(model, tasks, loader, valid, monitor="task:a", epochs=1, device="cpu")


def test_inputs_that_a_model_cannot_read_are_told_with_their_shape():
    model, tasks, loader = _pair(width=3)
    with pytest.raises(InputError, match=r"cannot read the inputs of 'a', 'b', which are float32 \(2, 2\)"):
        fit(model, tasks, loader, epochs=1, device="cpu")


def test_parts_of_a_batch_of_a_model_that_shares_nothing():
    y = torch.arange(6.0)
    loader = Loader(Columns(torch.randn(6, 2), {"a": y, "b": y.flip(0)}), 3)
    model = SoftSharing({t: nn.Linear(2, 4) for t in "ab"}, {t: nn.Linear(4, 1) for t in "ab"})
    with pytest.raises(InputError, match="SoftSharing shares no parameters"):
        fit(model, [Task("a"), Task("b")], loader, step=Balanced(PCGrad()), accumulate=2, epochs=1, device="cpu")
