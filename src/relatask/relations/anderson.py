"""Anderson acceleration of a fixed-point iteration y -> T(y), with a safeguard."""

from __future__ import annotations

import numpy as np

TIE = 1e-10
"""Ridge of the small least squares problem, relative to its trace."""

WILD = 1e4
"""Weights that add up to more than this extrapolate rounding."""


class Anderson:
    """Extrapolates the images T(y) of the last few points (Walker and Ni 2011, type II).

    The combination of past residuals T(y) - y that is smallest says how to combine the images. A step after which the
    residual is more than `slack` times what it was is taken back, for the plain image; what is remembered is then
    forgotten. For a nonexpansive T, whose plain residuals do not grow, the iteration so stays near them.

    Parameters
    ----------
    memory : int
        Points remembered.
    slack : float
        Growth of the residual that is allowed.
    """

    def __init__(self, memory: int, slack: float = 2.0) -> None:
        self.memory = memory
        self.slack = slack
        self._images: list[np.ndarray] = []
        self._residuals: list[np.ndarray] = []
        self._plain: np.ndarray | None = None
        self._size = np.inf

    def step(self, y: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Give the next point, from the present one and its image under T."""
        residual = image - y
        size = float(np.linalg.norm(residual))
        if self._plain is not None and not size <= self.slack * self._size:
            back, self._plain = self._plain, None
            self._images, self._residuals = [], []
            return back
        self._size = min(self._size, size)
        self._images = [*self._images[-self.memory :], image]
        self._residuals = [*self._residuals[-self.memory :], residual]
        if len(self._images) < 3 or size == 0:
            self._plain = None
            return image
        # Differences to the present point.
        R = np.stack([(r - residual).ravel() for r in self._residuals[:-1]])
        gram = R @ R.T
        gram[np.diag_indices_from(gram)] += TIE * np.trace(gram)
        weights = np.linalg.lstsq(gram, -(R @ residual.ravel()))[0]
        if not np.abs(weights).sum() < WILD:
            self._plain, self._images, self._residuals = None, [], []
            return image
        self._plain = image
        moved = image.copy()
        for weight, other in zip(weights, self._images[:-1], strict=True):
            moved += weight * (other - image)
        return moved
