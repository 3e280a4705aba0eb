"""Loader of Hillstrom: an e-mail campaign whose outcomes are nested, visit, conversion, spend."""

from __future__ import annotations

import numpy as np

from relatask.data.dataset import Dataset
from relatask.data.entry import Entry, Fetch
from relatask.data.table import read_csv_columns

TARGETS = ("visit", "conversion", "spend")


def load_hillstrom(fetch: Fetch, funnel: bool = False) -> Dataset:
    """Load Hillstrom: 64,000 customers, 9 features, three nested outcomes as tasks.

    X is (64000, 9) of objects (4 columns hold text); y (64000, 3): visit (0 or 1, 14.7%), conversion (0 or 1, 0.90%),
    spend (dollars). Conversion happens only after a visit and spend only with a conversion. With ``funnel=True``
    conversion is missing (NaN) where there was no visit, and spend where there was no conversion. The e-mail sent
    (treatment) was drawn at random. No published splits.

    Licence: none stated (MineThatData). Source: a-raulet/project-02-causal-inference.
    """
    columns = read_csv_columns(fetch("hillstrom/hillstrom.csv"))
    features = tuple(name for name in columns if name not in TARGETS)
    y = np.column_stack([columns[name] for name in TARGETS]).astype(np.float64)
    if funnel:
        y[y[:, 1] == 0, 2] = np.nan
        y[y[:, 0] == 0, 1] = np.nan
    return Dataset(
        name="hillstrom",
        X=np.column_stack([columns[name].astype(object) for name in features]),
        y=y,
        tasks=None,
        features=features,
        targets=TARGETS,
        source="github.com/a-raulet/project-02-causal-inference : data/raw/hillstrom.csv",
        licence=ENTRIES[0].licence,
    )


ENTRIES = (
    Entry(
        name="hillstrom",
        title="e-mail campaign: who visited, bought, and spent how much",
        licence="none stated (MineThatData)",
        tasks="3 nested outcomes: visit (binary), conversion (binary), spend (regression)",
        rows=64_000,
        files=("hillstrom/hillstrom.csv",),
        loader=load_hillstrom,
    ),
)
