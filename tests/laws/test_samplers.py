"""Laws of the samplers and the loader: what an epoch reads, that it can be repeated and resumed, what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from relatask.data.tensors import (
    SAMPLERS,
    Columns,
    Explicit,
    Loader,
    Proportional,
    RoundRobin,
    Sampler,
    Temperature,
    Together,
    Uniform,
    sampler,
)
from relatask.data.tensors.prefetch import ahead
from relatask.notices import InputError

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=5)
BATCH = st.integers(1, 20)
SEED = st.integers(0, 2**32)
T = st.one_of(st.floats(1, 20), st.just(math.inf))
CAP = st.one_of(st.none(), st.integers(1, 80))
ANY: st.SearchStrategy[Sampler] = st.one_of(
    st.sampled_from([Proportional(), Uniform(), RoundRobin()]),
    st.builds(Temperature, T=T, cap=CAP),
    st.builds(Together, T=T, cap=CAP),
)


def plan(chosen: Sampler, sizes: list[int], batch: int, seed: int) -> list[Any]:
    return list(chosen.draws(sizes, batch, np.random.default_rng(seed)))


def read(draws: list[Any], sizes: list[int]) -> list[np.ndarray]:
    """How often each row of each source is read."""
    found = [np.zeros(size, dtype=int) for size in sizes]
    for draw in draws:
        for source, rows in draw:
            np.add.at(found[source], rows, 1)
    return found


def batches(sizes: list[int], batch: int) -> int:
    return sum(math.ceil(size / batch) for size in sizes)


@given(SIZES, BATCH, SEED)
def test_proportional_reads_every_row_once(sizes: list[int], batch: int, seed: int) -> None:
    draws = plan(Proportional(), sizes, batch, seed)
    assert all((times == 1).all() for times in read(draws, sizes))
    assert len(draws) == batches(sizes, batch)


@given(ANY, SIZES, BATCH, SEED)
def test_rows_of_a_source_are_read_as_often_as_each_other(
    chosen: Sampler, sizes: list[int], batch: int, seed: int
) -> None:
    for times in read(plan(chosen, sizes, batch, seed), sizes):
        assert times.max() - times.min() <= 1


@given(ANY, SIZES, BATCH, SEED)
def test_an_epoch_costs_the_same_whatever_the_sampler(chosen: Sampler, sizes: list[int], batch: int, seed: int) -> None:
    steps = len(plan(chosen, sizes, batch, seed))
    if isinstance(chosen, Together):
        assert steps == math.ceil(sum(sizes) / batch)
    elif isinstance(chosen, RoundRobin):
        assert batches(sizes, batch) <= steps < batches(sizes, batch) + len(sizes)
    else:
        assert steps == batches(sizes, batch)


@given(T, CAP, SIZES, BATCH, SEED)
def test_weighted_counts_are_within_a_batch_of_what_is_expected(
    temperature: float, cap: int | None, sizes: list[int], batch: int, seed: int
) -> None:
    share = np.array([min(size, cap or size) ** (1 / temperature) for size in sizes])
    expected = batches(sizes, batch) * share / share.sum()
    got = np.zeros(len(sizes))
    for ((source, rows),) in plan(Temperature(temperature, cap), sizes, batch, seed):
        assert len(rows) == min(batch, sizes[source])
        got[source] += 1
    assert (np.abs(got - expected) < 1 + 1e-9).all()


@given(st.lists(st.floats(0, 10), min_size=1, max_size=5).filter(lambda w: sum(w) > 0.01), BATCH, SEED)
def test_explicit_counts(weights: list[float], batch: int, seed: int) -> None:
    sizes = [7 * k + 3 for k in range(len(weights))]
    got = np.bincount([d[0][0] for d in plan(Explicit(weights), sizes, batch, seed)], minlength=len(sizes))
    expected = batches(sizes, batch) * np.array(weights) / sum(weights)
    assert (np.abs(got - expected) < 1 + 1e-9).all()
    assert (got[np.array(weights) == 0] == 0).all()


@given(SIZES, BATCH, SEED)
def test_temperature_goes_from_proportional_to_uniform(sizes: list[int], batch: int, seed: int) -> None:
    uniform = plan(Uniform(), sizes, batch, seed)
    hot = plan(Temperature(math.inf), sizes, batch, seed)
    assert all(a[0][0] == b[0][0] and (a[0][1] == b[0][1]).all() for a, b in zip(uniform, hot, strict=True))
    assert np.allclose(Temperature(1.0).weights(sizes), sizes)


@given(T, CAP, SIZES, BATCH, SEED)
def test_together_has_every_source_in_every_step(
    temperature: float, cap: int | None, sizes: list[int], batch: int, seed: int
) -> None:
    draws = plan(Together(temperature, cap), sizes, batch, seed)
    share = np.array([min(size, cap or size) ** (1 / temperature) for size in sizes])
    expected = sum(sizes) * share / share.sum()
    for source in range(len(sizes)):
        lengths = [len(draw[source][1]) for draw in draws]
        assert min(lengths) >= 1
        assert max(lengths) - min(lengths) <= 1
        assert all(draw[source][0] == source for draw in draws)
        assert abs(sum(lengths) - max(expected[source], len(draws))) < 1 + 1e-6
    if temperature == 1 and cap is None:
        for times, size in zip(read(draws, sizes), sizes, strict=True):
            assert (times == 1).all() or size < len(draws)


@given(SIZES, BATCH, SEED)
def test_round_robin_goes_round(sizes: list[int], batch: int, seed: int) -> None:
    order = [draw[0][0] for draw in plan(RoundRobin(), sizes, batch, seed)]
    assert order == [k % len(sizes) for k in range(len(order))]
    assert len(order) % len(sizes) == 0


def loader(sizes: list[int], batch: int, chosen: Sampler | str | None, seed: int, prefetch: int = 0) -> Loader:
    sources = [
        Columns(torch.arange(size).float()[:, None], {f"t{k}": torch.arange(size).float()})
        for k, size in enumerate(sizes)
    ]
    return Loader(sources, batch, chosen, seed, prefetch)


def told(found: Any) -> list[Any]:
    return [[(part.index.tolist(), {k: v.tolist() for k, v in part.y.items()}) for part in batch] for batch in found]


@given(ANY, SIZES, BATCH, SEED, st.integers(0, 5), st.integers(0, 30), st.integers(0, 2))
def test_an_epoch_can_be_repeated_and_resumed_anywhere(
    chosen: Sampler, sizes: list[int], batch: int, seed: int, epoch: int, start: int, prefetch: int
) -> None:
    whole = told(loader(sizes, batch, chosen, seed).epoch(epoch))
    other = loader(sizes, batch, chosen, seed, prefetch)
    list(other.epoch(epoch + 1))  # what was read before does not matter
    assert told(other.epoch(epoch, start)) == whole[start:]
    assert other.steps(epoch) == len(whole)


@given(ANY, SIZES, BATCH, SEED)
def test_counts_are_what_is_read(chosen: Sampler, sizes: list[int], batch: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sources = []
    for k, size in enumerate(sizes):
        values = rng.normal(size=(size, 2))
        values[rng.random((size, 2)) < 0.4] = np.nan
        sources.append(Columns(np.zeros((size, 1)), {f"t{k}": values[:, 0], "all": values[:, 1]}))
    made = Loader(sources, batch, chosen, seed)
    rows, labels, steps = (dict.fromkeys(made.tasks, 0) for _ in range(3))
    for found in made.epoch(1):
        there = dict.fromkeys(made.tasks, 0)
        for part in found:
            for task, values in part.y.items():
                rows[task] += len(values)
                there[task] += int((~values.isnan()).sum())
        for task, n in there.items():
            labels[task] += n
            steps[task] += n > 0
    counts = made.counts(1)
    assert {task: count.rows for task, count in counts.items()} == rows
    assert {task: count.labels for task, count in counts.items()} == labels
    assert {task: count.steps for task, count in counts.items()} == steps


def test_epochs_differ_and_seeds_differ() -> None:
    made = loader([50], 10, None, 0)
    assert told(made.epoch(0)) != told(made.epoch(1))
    assert told(made.epoch(0)) != told(loader([50], 10, None, 1).epoch(0))


def test_defaults() -> None:
    assert isinstance(loader([5], 2, None, 0).sampler, Proportional)
    assert isinstance(loader([5, 5], 2, None, 0).sampler, Together)
    assert isinstance(loader([5, 5], 2, "round_robin", 0).sampler, RoundRobin)


def test_explicit_weights_by_task() -> None:
    made = loader([40, 40], 10, Explicit({"t1": 3, "t0": 1}), 0)
    assert made.sampler == Explicit((1, 3))
    assert [made.counts(0)[task].steps for task in ("t0", "t1")] == [2, 6]


def test_bad_input_says_what_to_do() -> None:
    with pytest.raises(
        InputError, match=r"sampler 'temprature' is unknown. There are: proportional, uniform, temperatu"
    ):
        sampler("temprature")
    with pytest.raises(InputError, match=r"'temperature' has no option 't'. Its options: T, cap"):
        sampler("temperature", t=2)
    with pytest.raises(InputError, match=r"'uniform' has no option 'T'. It has no options"):
        sampler("uniform", T=2)
    with pytest.raises(InputError, match=r"T=0.5; expected a number >= 1"):
        sampler("temperature", T=0.5)
    with pytest.raises(InputError, match="cap=0; expected a number of rows >= 1"):
        sampler("together", cap=0)
    with pytest.raises(InputError, match="expected numbers >= 0, one at least above 0"):
        sampler("explicit", given=(0, 0))
    with pytest.raises(InputError, match="1 weights for 2 sources"):
        loader([5, 5], 2, Explicit((1,)), 0)
    with pytest.raises(InputError, match="a weight for task 'x', which no source has; they have"):
        loader([5, 5], 2, Explicit({"x": 1}), 0)
    with pytest.raises(InputError, match="no weight for the source of 't1'; give one"):
        loader([5, 5], 2, Explicit({"t0": 1}), 0)
    with pytest.raises(InputError, match="sampler is a int; expected a Sampler or one of the names"):
        loader([5, 5], 2, 3, 0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="batch_size=0; expected a whole number >= 1"):
        loader([5], 0, None, 0)
    with pytest.raises(InputError, match="a loader needs a source"):
        Loader([])
    with pytest.raises(InputError, match=r"source 0 \(of 't0'\) has no row; leave it out"):
        loader([0], 2, None, 0)
    with pytest.raises(InputError, match="source 0 is a dict; expected a Source"):
        Loader([{}])  # type: ignore[list-item]
    assert set(SAMPLERS) == {"proportional", "uniform", "temperature", "explicit", "round_robin", "together"}


@given(st.lists(st.integers(), max_size=20), st.integers(1, 4))
def test_reading_ahead_changes_nothing(items: list[int], most: int) -> None:
    assert list(ahead(items, most)) == items


def test_reading_ahead_passes_errors_on_and_stops_when_closed() -> None:
    def broken() -> Any:
        yield 1
        raise InputError("row 7 is broken")

    found = ahead(broken(), 2)
    assert next(found) == 1
    with pytest.raises(InputError, match="row 7 is broken"):
        next(found)
    taken: list[int] = []

    def endless() -> Any:
        k = 0
        while True:
            taken.append(k)
            yield k
            k += 1

    many = ahead(endless(), 2)
    assert next(many) == 0
    many.close()  # type: ignore[attr-defined]
    n = len(taken)
    assert n <= 4
    assert len(taken) == n
