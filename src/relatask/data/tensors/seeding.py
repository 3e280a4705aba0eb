"""Randomness of others, made repeatable."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: tuple[int, ...]) -> Iterator[None]:
    """Seed the global generators of torch, numpy and random, and put them back as they were."""
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    number = int(np.random.default_rng(seed).integers(2**32))
    torch.default_generator.manual_seed(number)
    np.random.seed(number)  # noqa: NPY002
    random.seed(number)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])
