"""Loader of School: examination scores in 139 London schools."""

from __future__ import annotations

import numpy as np

from relatask.data.dataset import Dataset
from relatask.data.entry import Entry, Fetch

FEATURES = (
    *(f"year_{k}" for k in (1, 2, 3)),
    "percent_free_meals",
    "percent_vr_band_1",
    *(f"gender_{k}" for k in (1, 2)),
    *(f"vr_band_{k}" for k in (1, 2, 3)),
    *(f"ethnic_{k}" for k in range(1, 12)),
    *(f"school_gender_{k}" for k in (1, 2, 3)),
    *(f"denomination_{k}" for k in (1, 2, 3)),
    "constant",
)


def load_school(fetch: Fetch) -> Dataset:
    """Load School: 15,362 students, 28 features, one task per school (139).

    X is (15362, 28), y (15362,) the examination score (1 to 70), tasks (15362,) the schools 1 to 139 in the file's
    order (22 to 251 students each). The file carries no names of columns: the names here follow the order of the ILEA
    description and the file's blocks of indicators. Seven columns (school_gender, denomination, constant) are constant
    within every school. No published splits in the file.

    Licence: none stated for the data; the file lies in a GPL-3 repository. Source: jiayuzhou/MALSAR.
    """
    from scipy.io import loadmat

    content = loadmat(fetch("school/school.mat"))
    blocks, labels = content["X"][0], content["Y"][0]
    return Dataset(
        name="school",
        X=np.vstack(blocks).astype(np.float64),
        y=np.vstack(labels)[:, 0].astype(np.float64),
        tasks=np.repeat(np.arange(1, len(blocks) + 1), [len(block) for block in blocks]),
        features=FEATURES,
        targets=("score",),
        source="github.com/jiayuzhou/MALSAR @ fb9751594983 : data/school.mat",
        licence=ENTRIES[0].licence,
        by="school",
    )


ENTRIES = (
    Entry(
        name="school",
        title="examination scores of students in London schools",
        licence="none stated (in a GPL-3 repository)",
        tasks="139 schools, regression of score",
        rows=15_362,
        files=("school/school.mat",),
        loader=load_school,
    ),
)
