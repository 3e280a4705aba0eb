"""Samplers: which sources each batch reads. A plan is a pure function of (seed, epoch), so that a run can resume.

An epoch has as many steps as reading every source once takes, ``sum_k ceil(n_k / B)`` with `Together` ``ceil(N / B)``,
whatever the sampler: runs of as many epochs cost as much. A source that is asked for more rows than it has goes round
again in a new order; one that is asked for fewer gives others in the next epoch.
"""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.data.tensors.dealing import (
    Draw,
    Sampler,
    apportioned,
    check_temperature,
    in_turn,
    rounds,
    steps_of,
    tempered,
)
from relatask.notices import InputError


@dataclass(frozen=True)
class Proportional(Sampler):
    """Every row of every source once an epoch; each batch is of one source, batches in random order.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sorted((source, len(rows)) for ((source, rows),) in Proportional().draws([3, 2], 2, rng))
    [(0, 1), (0, 2), (1, 2)]
    """

    def draws(self, sizes: Sequence[int], batch_size: int, rng: np.random.Generator) -> Iterator[Draw]:
        """Give the batches of one epoch."""
        found: list[Draw] = []
        for source, size in enumerate(sizes):
            order = rng.permutation(size)
            found += [((source, order[i : i + batch_size]),) for i in range(0, size, batch_size)]
        for i in rng.permutation(len(found)).tolist():
            yield found[i]


@dataclass(frozen=True)
class Weighted(Sampler):
    """Batches of one source each, shared out by weights, in random order.

    Of S steps source k gets ``S w_k / sum(w)``, rounded (largest remainders first): what comes is less than one batch
    from what is expected, in every epoch.
    """

    @abstractmethod
    def weights(self, sizes: Sequence[int]) -> npt.NDArray[np.float64]:
        """Give each source's weight."""

    def draws(self, sizes: Sequence[int], batch_size: int, rng: np.random.Generator) -> Iterator[Draw]:
        """Give the batches of one epoch."""
        times = apportioned(steps_of(sizes, batch_size), self.weights(sizes))
        order = rng.permutation(np.repeat(np.arange(len(sizes)), times))
        yield from in_turn(order, sizes, batch_size, rng)


@dataclass(frozen=True)
class Uniform(Weighted):
    """Every source as often as every other, whatever its size.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> np.bincount([source for ((source, _),) in Uniform().draws([90, 10], 10, rng)]).tolist()
    [5, 5]
    """

    def weights(self, sizes: Sequence[int]) -> npt.NDArray[np.float64]:
        """One each."""
        return np.ones(len(sizes))


@dataclass(frozen=True)
class Temperature(Weighted):
    """Between proportional (T = 1) and uniform (T to infinity): ``w_k = min(n_k, cap)^(1 / T)``.

    Parameters
    ----------
    T : float
        The temperature, at least 1.
    cap : int, optional
        The size beyond which a source counts no more; None for no cap.

    References
    ----------
    Raffel 2020, Exploring the limits of transfer learning with a unified text-to-text transformer, section 3.5.2.

    Examples
    --------
    >>> Temperature(T=2.0).weights([100, 25]).tolist(), Temperature(T=1.0, cap=50).weights([100, 25]).tolist()
    ([10.0, 5.0], [50.0, 25.0])
    """

    T: float = 2.0
    cap: int | None = None

    def __post_init__(self) -> None:
        check_temperature(self.T, self.cap)

    def weights(self, sizes: Sequence[int]) -> npt.NDArray[np.float64]:
        """``min(n_k, cap)^(1 / T)``."""
        return tempered(sizes, self.T, self.cap)


@dataclass(frozen=True)
class Explicit(Weighted):
    """Weights as given.

    Parameters
    ----------
    given : sequence of float, or mapping from task to float
        A weight for each source, in order or by any of its tasks; not negative, not all zero.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> np.bincount([source for ((source, _),) in Explicit((3, 1)).draws([20, 20], 10, rng)]).tolist()
    [3, 1]
    """

    given: Sequence[float] | Mapping[Hashable, float] = field(default=())

    def __post_init__(self) -> None:
        values = list(self.given.values() if isinstance(self.given, Mapping) else self.given)
        if not values or not all(0 <= value < math.inf for value in values) or not sum(values) > 0:
            raise InputError(
                f"sampler explicit: weights {self.given!r}; expected numbers >= 0, one at least above 0, one for each "
                "source: Explicit((3, 1)), or by task: Explicit({'a': 3, 'b': 1})."
            )

    def bind(self, names: Sequence[tuple[Hashable, ...]]) -> Explicit:
        """Find each source's weight by its tasks."""
        if not isinstance(self.given, Mapping):
            return self
        known = {task for tasks in names for task in tasks}
        for task in self.given:
            if task not in known:
                raise InputError(
                    f"sampler explicit: a weight for task {task!r}, which no source has; they have "
                    f"{', '.join(map(repr, known))}."
                )
        found: list[float] = []
        for tasks in names:
            told = {self.given[task] for task in tasks if task in self.given}
            if len(told) != 1:
                what = "no weight" if not told else f"several weights {sorted(told)}"
                raise InputError(f"sampler explicit: {what} for the source of {', '.join(map(repr, tasks))}; give one.")
            found.append(told.pop())
        return replace(self, given=tuple(found))

    def weights(self, sizes: Sequence[int]) -> npt.NDArray[np.float64]:
        """As given."""
        if isinstance(self.given, Mapping) or len(self.given) != len(sizes):
            raise InputError(
                f"sampler explicit: {len(self.given)} weights for {len(sizes)} sources; give one for each."
            )
        return np.array(self.given, dtype=np.float64)


@dataclass(frozen=True)
class RoundRobin(Sampler):
    """One source after another, in order, each as often: whole rounds, at least as many steps as the others' epoch.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> [source for ((source, _),) in RoundRobin().draws([30, 10], 10, rng)]
    [0, 1, 0, 1]
    """

    def draws(self, sizes: Sequence[int], batch_size: int, rng: np.random.Generator) -> Iterator[Draw]:
        """Give the batches of one epoch."""
        n = math.ceil(steps_of(sizes, batch_size) / len(sizes))
        yield from in_turn(np.tile(np.arange(len(sizes)), n), sizes, batch_size, rng)


@dataclass(frozen=True)
class Together(Sampler):
    """Every batch has a part of every source: what balancing gradients needs, which compares tasks within a step.

    Of the N rows of ``ceil(N / B)`` steps source k gives ``N w_k / sum(w)``, ``w_k = min(n_k, cap)^(1 / T)``, spread
    evenly over the steps, and at least one in each (so that a batch is larger than B where sources are tiny). With
    T = 1 every row is read once an epoch, but for sources with fewer rows than there are steps: those, more often.

    Parameters
    ----------
    T : float
        1 for shares by size, infinity for equal shares.
    cap : int, optional
        The size beyond which a source counts no more.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> [[(source, len(rows)) for source, rows in draw] for draw in Together().draws([6, 3], 3, rng)]
    [[(0, 2), (1, 1)], [(0, 2), (1, 1)], [(0, 2), (1, 1)]]
    """

    T: float = 1.0
    cap: int | None = None

    def __post_init__(self) -> None:
        check_temperature(self.T, self.cap)

    def draws(self, sizes: Sequence[int], batch_size: int, rng: np.random.Generator) -> Iterator[Draw]:
        """Give the batches of one epoch."""
        steps = math.ceil(sum(sizes) / batch_size)
        rows = np.maximum(apportioned(sum(sizes), tempered(sizes, self.T, self.cap)), steps)
        parts = [np.array_split(rounds(size, n, rng), steps) for size, n in zip(sizes, rows.tolist(), strict=True)]
        for step in range(steps):
            yield tuple((source, part[step]) for source, part in enumerate(parts))


SAMPLERS: dict[str, type[Sampler]] = {
    "proportional": Proportional,
    "uniform": Uniform,
    "temperature": Temperature,
    "explicit": Explicit,
    "round_robin": RoundRobin,
    "together": Together,
}


def sampler(name: str, **options: Any) -> Sampler:
    """Give a sampler by name, as configurations do.

    Parameters
    ----------
    name : str
        One of proportional, uniform, temperature, explicit, round_robin, together.
    **options
        The sampler's own, such as ``T=2`` for "temperature".

    Raises
    ------
    InputError
        For an unknown name or option, or a value out of range.

    Examples
    --------
    >>> sampler("temperature", T=2)
    Temperature(T=2, cap=None)
    """
    if name not in SAMPLERS:
        raise InputError(f"sampler {name!r} is unknown. There are: {', '.join(SAMPLERS)}.")
    known = inspect.signature(SAMPLERS[name]).parameters
    for option in options:
        if option not in known:
            told = f"Its options: {', '.join(known)}." if known else "It has no options."
            raise InputError(f"sampler {name!r} has no option {option!r}. {told}")
    return SAMPLERS[name](**options)
