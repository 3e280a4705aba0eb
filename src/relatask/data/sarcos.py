"""Loader of Sarcos: inverse dynamics of a robot arm with seven joints."""

from __future__ import annotations

import numpy as np

from relatask.data.dataset import Dataset
from relatask.data.entry import Entry, Fetch

FEATURES = tuple(f"{what}_{joint}" for what in ("position", "velocity", "acceleration") for joint in range(1, 8))
TARGETS = tuple(f"torque_{joint}" for joint in range(1, 8))


def load_sarcos(fetch: Fetch) -> Dataset:
    """Load Sarcos: 4,449 states of a robot arm, 21 features, seven joint torques as tasks on shared inputs.

    X is (4449, 21): positions, velocities and accelerations of the joints; y (4449, 7). This is the official test file
    only: draw your own splits, and do not compare with figures that were trained on the official training file.

    Licence: none stated. Source: probml/pmtkdata.
    """
    from scipy.io import loadmat

    content = loadmat(fetch("sarcos/sarcos_inv_test.mat"))["sarcos_inv_test"].astype(np.float64)
    return Dataset(
        name="sarcos",
        X=content[:, :21],
        y=content[:, 21:],
        tasks=None,
        features=FEATURES,
        targets=TARGETS,
        source="github.com/probml/pmtkdata @ 1f3ffa3 : sarcos_inv_test.mat",
        licence=ENTRIES[0].licence,
    )


ENTRIES = (
    Entry(
        name="sarcos",
        title="inverse dynamics of a robot arm (the official test file)",
        licence="none stated",
        tasks="7 joint torques, regression, shared inputs",
        rows=4_449,
        files=("sarcos/sarcos_inv_test.mat",),
        loader=load_sarcos,
    ),
)
