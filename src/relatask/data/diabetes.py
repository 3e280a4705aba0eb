"""Loader of Diabetes: disease progression, in groups of sex and age; scikit-learn carries the data."""

from __future__ import annotations

import numpy as np

from relatask.data.dataset import Dataset
from relatask.data.entry import Entry, Fetch

FEATURES = (
    *("age", "bmi", "blood_pressure", "total_cholesterol", "ldl", "hdl", "cholesterol_hdl_ratio"),
    *("log_triglycerides", "glucose"),
)
BANDS = ((19, "19 to 39"), (40, "40 to 54"), (55, "55 to 79"))  # from this age on, and named so that names sort


def load_diabetes(fetch: Fetch) -> Dataset:
    """Load Diabetes: 442 patients, 9 features in original units, one task per sex and age band (6).

    X is (442, 9); y (442,) the progression of the disease one year later (25 to 346); tasks (442,) such as "sex 1, 40
    to 54" (46 to 103 patients each). The source codes sex as 1 and 2 and does not say which is which. Sex is left out
    of the features, being constant within each task. No published splits.

    Licence: none stated; carried by scikit-learn (BSD-3). Source: Efron, Hastie, Johnstone and Tibshirani, Least angle
    regression, Annals of Statistics 32, 2004.
    """
    from sklearn.datasets import load_diabetes as carried

    content = carried(scaled=False)
    age, sex = content.data[:, 0], content.data[:, 1].astype(int)
    band = np.digitize(age, [low for low, _ in BANDS[1:]])
    labels = np.array([f"sex {s}, {BANDS[b][1]}" for s, b in zip(sex, band, strict=True)])
    return Dataset(
        name="diabetes",
        X=np.delete(content.data, 1, axis=1).astype(np.float64),
        y=content.target.astype(np.float64),
        tasks=labels,
        features=FEATURES,
        targets=("progression",),
        source="scikit-learn: sklearn.datasets.load_diabetes(scaled=False)",
        licence=ENTRIES[0].licence,
        by="group",
    )


ENTRIES = (
    Entry(
        name="diabetes",
        title="progression of diabetes after one year (scikit-learn carries it: nothing to download)",
        licence="none stated (carried by scikit-learn, BSD-3)",
        tasks="6 groups of sex and age, regression of progression",
        rows=442,
        files=(),
        loader=load_diabetes,
    ),
)
