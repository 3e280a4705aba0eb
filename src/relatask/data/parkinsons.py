"""Loader of Parkinsons: telemonitored voice measures and symptom scores of 42 patients."""

from __future__ import annotations

import numpy as np

from relatask.data.dataset import Dataset
from relatask.data.entry import Entry, Fetch
from relatask.data.options import one_of
from relatask.data.table import read_csv_columns

TARGETS = ("motor_UPDRS", "total_UPDRS")


def load_parkinsons(fetch: Fetch, target: str = "total_UPDRS") -> Dataset:
    """Load Parkinsons: 5,875 recordings, 19 features, one task per patient (42).

    X is (5875, 19): age, sex, test_time (days) and 16 voice measures; y (5875,) the UPDRS score; tasks (5875,) the
    patients 1 to 42. Age and sex are constant within a patient. With ``target="both"`` y is (5875, 2) and the two
    scores are the tasks: rows of one patient are then related, so split by patient. No published splits.

    Licence: none stated (UCI). Source: behnazrzf/Parkinson-s_Telemonitoring.
    """
    target = one_of(target, (*TARGETS, "both"), "target", "parkinsons")
    columns = read_csv_columns(fetch("parkinsons/parkinsons_updrs.data"))
    features = tuple(name for name in columns if name != "subject#" and name not in TARGETS)
    targets = TARGETS if target == "both" else (target,)
    y = np.column_stack([columns[name] for name in targets]).astype(np.float64)
    return Dataset(
        name="parkinsons",
        X=np.column_stack([columns[name] for name in features]).astype(np.float64),
        y=y if target == "both" else y[:, 0],
        tasks=None if target == "both" else columns["subject#"],
        features=features,
        targets=targets,
        source="github.com/behnazrzf/Parkinson-s_Telemonitoring @ f603774b38bf : parkinsons_updrs.data",
        licence=ENTRIES[0].licence,
        by="" if target == "both" else "patient",
    )


ENTRIES = (
    Entry(
        name="parkinsons",
        title="voice measures and symptom scores of people with Parkinson's disease",
        licence="none stated (UCI)",
        tasks="42 patients, regression of total_UPDRS (or motor_UPDRS, or both as two outputs)",
        rows=5_875,
        files=("parkinsons/parkinsons_updrs.data",),
        loader=load_parkinsons,
    ),
)
