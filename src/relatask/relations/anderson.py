"""Anderson acceleration of a fixed-point iteration y -> T(y), with a safeguard."""

from __future__ import annotations

import numpy as np

TIE = 1e-10
"""Ridge of the small least squares problem, relative to its trace."""

PATIENCE = 20
"""Steps in which the residual must fall to `FALLEN` of what it was, for the acceleration to go on."""

FALLEN = 0.9


class Anderson:
    """Extrapolates the images T(y) of the last few points (Walker and Ni 2011, type II).

    The combination of past residuals T(y) - y that is smallest says how to combine the images. A step after which the
    residual is more than `slack` times what it was is taken back, for the plain image; what is remembered is then
    forgotten. Where the residual has not fallen for some steps the plain iteration, which converges for an averaged T,
    goes on alone for a while, twice as long each time.

    Parameters
    ----------
    memory : int
        Points remembered.
    slack : float
        Growth of the residual that is allowed.
    reach : float
        Weights that add up to more than this, in absolute value, lead too far away, and are not used.
    """

    def __init__(self, memory: int, slack: float = 1.0, reach: float = 10.0) -> None:
        self.memory = memory
        self.slack = slack
        self.reach = reach
        self._images = np.zeros((0, 0))
        self._residuals = np.zeros((0, 0))
        self._count = 0
        self._plain: np.ndarray | None = None
        self._size = np.inf
        self._mark = np.inf
        self._stale = 0
        self._pause = 0
        self._rest = PATIENCE

    def step(self, y: np.ndarray, image: np.ndarray, *, plain: bool = False) -> np.ndarray:
        """Give the next point, from the present one and its image under T; with `plain`, one that cannot be far off.

        Whoever changes T must do so at a plain point: an extrapolated one that is taken back only at the next step
        could not be taken back any more.
        """
        flat = image.ravel()
        residual = flat - y.ravel()
        size = float(np.sqrt(residual @ residual))
        if self._plain is not None and not size <= self.slack * self._size:
            back, self._plain = self._plain, None
            self._count = 0
            self._stale += 1
            return back
        self._size = min(self._size, size)
        if self._is_resting(size):
            self._plain, self._count = None, 0
            return image
        known = min(self._count, self.memory)
        moved = None if plain or known < 2 or size == 0 else self._extrapolated(known, flat, residual)
        self._remember(flat, residual)
        self._plain = None if moved is None else image
        return image if moved is None else moved.reshape(image.shape)

    def _is_resting(self, size: float) -> bool:
        """Whether the plain iteration goes on alone, because the residual does not fall."""
        if self._pause:
            self._pause -= 1
            return True
        self._stale += 1
        if size < FALLEN * self._mark:
            self._mark, self._stale = size, 0
        if self._stale < PATIENCE:
            return False
        self._mark, self._stale = size, 0
        self._pause, self._rest = self._rest, 2 * self._rest
        return True

    def _extrapolated(self, known: int, image: np.ndarray, residual: np.ndarray) -> np.ndarray | None:
        # Differences to the present point.
        R = self._residuals[:known] - residual
        gram = R @ R.T
        gram.flat[:: known + 1] += TIE * np.trace(gram)
        if not gram[0, 0] > 0:
            return None
        weights = np.linalg.solve(gram, -(R @ residual))
        if not np.abs(weights).sum() < self.reach:
            self._count = 0
            return None
        return (1 - weights.sum()) * image + weights @ self._images[:known]

    def _remember(self, image: np.ndarray, residual: np.ndarray) -> None:
        """Keep a point, in place of the oldest."""
        if self._images.shape[1] != image.size:
            self._images = np.zeros((self.memory, image.size))
            self._residuals = np.zeros((self.memory, image.size))
        place = self._count % self.memory
        self._images[place], self._residuals[place] = image, residual
        self._count += 1
