"""`Inputs`: what an encoder must know of a table's arrays to take them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Inputs:
    """What an encoder must know of the arrays to take them.

    Attributes
    ----------
    numeric : int
        Columns of the array "numeric" (n, numeric) float32, missing marks included.
    categories : tuple of int
        How many codes each column of the array "categorical" (n, c) int64 has.
    texts : dict of str to int
        Arrays (n, T) int32 by key ("text__review"), and how many numbers each has; 0 pads.
    images : dict of str to (3, height, width)
        Arrays (n, 3, height, width) uint8 by key ("image__photo").
    sounds : dict of str to int
        Arrays (n, L) float32 by key ("sound__clip"), NaN behind the end, and their samples a second.
    """

    numeric: int = 0
    categories: tuple[int, ...] = ()
    texts: dict[str, int] = field(default_factory=dict)
    images: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    sounds: dict[str, int] = field(default_factory=dict)
