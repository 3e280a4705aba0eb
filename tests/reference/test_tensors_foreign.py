"""Torch's own data sets and loaders: read as torch reads them, repeated, resumed or refused."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, WeightedRandomSampler

from relatask.data.tensors import Loader, Multimodal, TorchDataset, TorchLoaders
from relatask.notices import InputError


class Noisy(Dataset[Any]):
    """Rows with noise from all three generators."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Any:
        noise = [float(torch.rand(())), float(np.random.rand()), random.random()]  # noqa: NPY002
        return torch.tensor([float(i), *noise]), {"a": float(i), "b": i % 2}


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return ((torch.tensor([float(i)]), i) for i in range(6))


class Counted(Stream):
    def __len__(self) -> int:
        return 6


def told(batches: Any) -> list[Any]:
    return [[(part.x.tolist(), {k: v.tolist() for k, v in part.y.items()}) for part in batch] for batch in batches]


def test_a_torch_dataset_is_collated_as_torch_does() -> None:
    rows = TensorDataset(torch.randn(6, 2), torch.arange(6))
    part = TorchDataset(rows, ["digit"]).part(np.array([4, 1]))
    x, y = next(iter(DataLoader(torch.utils.data.Subset(rows, [4, 1]), batch_size=2)))
    assert torch.equal(part.x, x)
    assert torch.equal(part.y["digit"], y)
    assert part.index.tolist() == [4, 1]


def test_its_noise_is_drawn_from_the_batch() -> None:
    made = Loader(TorchDataset(Noisy(9), ["a", "b"]), 4, seed=3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    first = told(made.epoch(2))
    torch.manual_seed(99)
    random.seed(99)
    again = Loader(TorchDataset(Noisy(9), ["a", "b"]), 4, seed=3)
    assert told(again.epoch(2, start=1)) == first[1:]
    torch.set_rng_state(before[0])
    random.setstate(before[2])
    list(made.epoch(0))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert random.getstate() == before[2]
    assert len({row[1] for batch in first for x, _ in batch for row in x}) == 9  # and differs from row to row


def test_labels_that_cannot_be_stacked_stay_a_list() -> None:
    rows = [(torch.zeros(1), {"box": {"boxes": torch.zeros(2, 4)}, "n": 1.5}), (torch.ones(1), {"box": None, "n": 2.5})]
    source = TorchDataset(rows, ["box", "n"])
    part = source.part(np.array([0, 1]))
    assert part.y["box"][1] is None
    assert part.y["n"].dtype == torch.float32
    assert source.labelled("box").tolist() == [True, False]


def test_a_dataset_that_is_not_as_said() -> None:
    with pytest.raises(InputError, match=r"Stream has no length and no rows to choose from; give a map-style"):
        TorchDataset(Stream(), ["a"])
    with pytest.raises(InputError, match=r"the dataset gives 1 values a row; expected \(x, y\)"):
        TorchDataset(TensorDataset(torch.zeros(3, 1)), ["a"])
    with pytest.raises(InputError, match="labels of 'a', 'b', but none of task 'c'"):
        TorchDataset(Noisy(3), ["a", "c"])
    with pytest.raises(InputError, match="one label a row for 2 tasks"):
        TorchDataset(TensorDataset(torch.zeros(3, 1), torch.zeros(3)), ["a", "b"])


def both(shuffle: bool, seed: int = 5, **options: Any) -> TorchLoaders:
    a = TensorDataset(torch.arange(10.0)[:, None], torch.arange(10.0))
    b = TensorDataset(torch.arange(4.0)[:, None], torch.arange(4))
    loaders = {"a": DataLoader(a, batch_size=3, shuffle=shuffle), "b": DataLoader(b, batch_size=2, shuffle=shuffle)}
    return TorchLoaders(loaders, seed=seed, **options)


def test_loaders_side_by_side() -> None:
    made = both(shuffle=False)
    batches = told(made.epoch(0))
    assert len(batches) == made.steps() == 4
    assert all([tuple(y) for _, y in batch] == [("a",), ("b",)] for batch in batches)
    seen = [value for batch in batches for x, y in batch if "a" in y for value in y["a"]]
    assert seen == list(range(10))
    assert [y["b"] for batch in batches for x, y in batch if "b" in y] == [[0, 1], [2, 3]] * 2
    counts = made.counts(0)
    assert counts["b"].rows == counts["b"].labels == sum(len(y["b"]) for batch in batches for _, y in batch if "b" in y)
    assert counts["a"].steps == 4


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("chosen", ["together", "proportional", "round_robin"])
def test_loaders_are_repeated_and_resumed(shuffle: bool, chosen: str) -> None:
    whole = both(shuffle, sampler=chosen)
    epochs = [told(whole.epoch(k)) for k in range(3)]
    torch.manual_seed(77)
    later = both(shuffle, sampler=chosen)
    assert told(later.epoch(2, start=2)) == epochs[2][2:]
    if shuffle:
        assert epochs[0] != epochs[1]
        assert told(both(shuffle, seed=6, sampler=chosen).epoch(0)) != epochs[0]
    noisy = [TorchLoaders({"z": DataLoader(Noisy(7), batch_size=2, shuffle=shuffle)}, seed=1) for _ in range(2)]
    assert noisy[0].tasks == ("a", "b")
    first = told(noisy[0].epoch(1))
    random.seed(5)
    assert told(noisy[1].epoch(1, start=2)) == first[2:]


def test_what_cannot_be_repeated_is_refused() -> None:
    rows = TensorDataset(torch.zeros(6, 1), torch.zeros(6))
    own = TorchLoaders({"a": DataLoader(rows, sampler=WeightedRandomSampler([1.0] * 6, 6))})
    assert len(list(own.epoch(0))) == 6
    assert len(list(own.epoch(1))) == 6
    with pytest.raises(InputError, match="of task 'a' cannot go on at epoch 1, step 2: it has a sampler of its own"):
        next(own.epoch(1, start=2))
    stream = TorchLoaders({"a": DataLoader(Counted(), batch_size=2)})
    assert stream.steps() == 3
    with pytest.raises(InputError, match="its dataset is a stream, so its order cannot be repeated"):
        next(stream.epoch(2))
    with pytest.raises(InputError, match="stream without a length, so an epoch has no end; give the dataset a __len__"):
        TorchLoaders({"a": DataLoader(Stream())})
    with pytest.raises(InputError, match="the DataLoader of task 'a' gives no batch; leave it out"):
        TorchLoaders({"a": DataLoader(rows, batch_size=7, drop_last=True)})
    with pytest.raises(InputError, match="there is no DataLoader; give one for each task"):
        TorchLoaders({})
    with pytest.raises(InputError, match="task 'a': expected a torch DataLoader, got a list"):
        TorchLoaders({"a": [1]})  # type: ignore[dict-item]


def test_a_loader_of_foreign_data_is_trained_on_and_predicted_for() -> None:
    from relatask.nets import HardSharing
    from relatask.tasks import Task
    from relatask.train import fit

    torch.manual_seed(0)
    model = HardSharing(torch.nn.Linear(1, 4), {"a": torch.nn.Linear(4, 1), "b": torch.nn.Linear(4, 1)})
    data = TorchLoaders(
        {
            "a": DataLoader(TensorDataset(torch.randn(12, 1), torch.randn(12)), batch_size=4, shuffle=True),
            "b": DataLoader(TensorDataset(torch.randn(6, 1), torch.randint(0, 2, (6,))), batch_size=3),
        }
    )
    trained = fit(model, [Task("a"), Task("b", "binary")], data, data, epochs=2, device="cpu")
    answers = trained.predict(data)
    assert len(answers["a"]) == 12
    assert len(answers["b"]) == 6


def test_no_thread_reads_ahead_of_what_draws_from_the_generator_training_draws_from() -> None:
    """Dropout drawn meanwhile would be that of the dataset's seed, or not, as the threads happen to run."""
    noisy = TorchDataset(Noisy(9), ["a", "b"])
    both = Multimodal({"x": noisy}, {"a": torch.zeros(9)})
    for source in (noisy, both):
        with pytest.raises(InputError, match=r"prefetch=2: source 0 .* draws from torch's own generator"):
            Loader(source, 4, prefetch=2)
    assert len(list(Loader(both, 4).epoch(0))) == 3
