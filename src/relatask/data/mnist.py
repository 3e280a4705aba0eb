"""Loaders of MNIST: 20,000 written digits, and pairs of them overlaid (Multi-MNIST)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from relatask.data.collection import Collection
from relatask.data.entry import Entry, Fetch

SHIFT = 8
"""Pixels between the two digits of a pair."""
DIGITS = tuple("0123456789")
_SOURCE = "cazala/mnist (10,000 for training), t10k of xzhang2523/libmoon (10,000 for testing)"


def load_mnist(fetch: Fetch) -> Collection:
    """Load MNIST: 10,000 pictures for training, the official 10,000 for testing.

    Inputs ``picture`` (20000, 28, 28) of uint8; target ``digit``. Of the official 60,000 for training these are 10,000.

    Licence: MIT (the repositories'). Source: cazala/mnist, xzhang2523/libmoon.
    """
    pictures, digits = _digits(fetch)
    return Collection(
        name="mnist",
        inputs={"picture": pictures},
        targets={"digit": digits},
        kinds={"digit": "multiclass"},
        classes={"digit": DIGITS},
        splits={"train": np.arange(10_000), "test": np.arange(10_000, 20_000)},
        source=_SOURCE,
        licence=ENTRIES[0].licence,
    )


def load_multi_mnist(
    fetch: Fetch, seed: int = 0, train: int = 16_000, val: int = 2_000, test: int = 2_000
) -> Collection:
    """Load Multi-MNIST: two digits in one picture, one to the upper left, one to the lower right.

    The right digit is laid over the left one, `SHIFT` pixels down and right, the larger value counting where both have
    ink. Inputs ``picture`` (n, 36, 36) of uint8; targets ``left`` and ``right``. Pairs are drawn with `seed`: those for
    testing from MNIST's official test pictures, those for training and validation from 8,000 and the other 2,000 of the
    10,000 training pictures, so that no digit is in two parts. As in the literature there is no one official set: each
    paper draws its own pairs, after Sabour 2017 and Sener and Koltun 2018.

    Licence: MIT (the repositories'). Source: as "mnist".
    """
    pictures, digits = _digits(fetch)
    rng = np.random.default_rng(seed)
    mixed = rng.permutation(10_000)
    pools = {"train": mixed[:8_000], "val": mixed[8_000:], "test": np.arange(10_000, 20_000)}
    sizes = {"train": train, "val": val, "test": test}
    drawn = {part: (rng.choice(pool, sizes[part]), rng.choice(pool, sizes[part])) for part, pool in pools.items()}
    left, right = (np.concatenate([pair[side] for pair in drawn.values()]) for side in (0, 1))
    ends = np.cumsum([0, *sizes.values()])
    return Collection(
        name="multi_mnist",
        inputs={"picture": overlaid(pictures[left], pictures[right])},
        targets={"left": digits[left], "right": digits[right]},
        kinds={"left": "multiclass", "right": "multiclass"},
        classes={"left": DIGITS, "right": DIGITS},
        splits={part: np.arange(ends[k], ends[k + 1]) for k, part in enumerate(sizes)},
        source=f"pairs drawn from {_SOURCE}",
        licence=ENTRIES[1].licence,
    )


def overlaid(left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Lay the right digits over the left ones, (n, 28, 28) each; (n, 36, 36).

    Examples
    --------
    >>> overlaid(np.zeros((1, 28, 28), np.uint8), np.ones((1, 28, 28), np.uint8)).sum()
    np.uint64(784)
    """
    n, height, width = left.shape
    canvas = np.zeros((n, height + SHIFT, width + SHIFT), dtype=np.uint8)
    canvas[:, :height, :width] = left
    np.maximum(canvas[:, SHIFT:, SHIFT:], right, out=canvas[:, SHIFT:, SHIFT:])
    return canvas


def _digits(fetch: Fetch) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    with np.load(fetch("mnist/mnist20k.npz")) as held:
        pictures = np.concatenate([held["x_train"], held["x_test"]])
        return pictures, np.concatenate([held["y_train"], held["y_test"]]).astype(np.int64)


ENTRIES = (
    Entry(
        name="mnist",
        title="written digits, 28 x 28 pixels (a sixth of MNIST's training set, its whole test set)",
        licence="MIT (the repositories')",
        tasks="digit (multiclass)",
        rows=20_000,
        files=(),
        folder="mnist",
        loader=load_mnist,
    ),
    Entry(
        name="multi_mnist",
        title="two written digits overlaid in one picture, drawn with a seed (Multi-MNIST)",
        licence="MIT (the repositories')",
        tasks="left, right (multiclass)",
        rows=20_000,
        files=(),
        folder="mnist",
        loader=load_multi_mnist,
    ),
)
