"""Loaders of nine multi-target regression sets of the Mulan collection: mulan/enb, mulan/rf1 and so on."""

from __future__ import annotations

from functools import partial

import numpy as np

from relatask.data.dataset import Dataset
from relatask.data.entry import Entry, Fetch

# name: rows, targets (always the last columns), what it is
SETS = {
    "andro": (49, 6, "water quality of Andromeda, five days ahead"),
    "atp1d": (337, 6, "airline ticket prices on the next day"),
    "edm": (154, 2, "control of electrical discharge machining"),
    "enb": (768, 2, "heating and cooling load of buildings"),
    "jura": (359, 3, "heavy metals in the soil of the Swiss Jura"),
    "oes97": (334, 16, "employment in 16 occupations per city, 1997"),
    "rf1": (9_125, 8, "river flow at eight sites, 48 hours ahead"),
    "sf1": (323, 3, "solar flares of three classes in 24 hours"),
    "wq": (1_060, 14, "14 species as indicators of water quality"),
}


def load_mulan(fetch: Fetch, *, name: str) -> Dataset:
    """Load one Mulan multi-target regression set; its tasks are the targets, the file's last columns.

    X is (n, d), float64, or objects where the set has nominal columns (sf1); y is (n, t) with t as in `SETS`. A missing
    value is NaN (rf1 has some among its features). No published splits (the literature uses 10-fold cross-validation).

    Licence: none stated for the data; in a GPL-3 repository (rf1: MIT). Source: tsoumakas/mulan, and
    Zhendong-Wang/Probabilistic-Conformal-Prediction for rf1; Spyromitros-Xioufis et al., Machine Learning 104, 2016.
    """
    from scipy.io.arff import loadarff

    _, n_targets, _ = SETS[name]
    content, meta = loadarff(str(fetch(f"mulan_mtr/{name}.arff")))
    nominal = [kind == "nominal" for kind in meta.types()]
    columns = [
        np.array([value.decode() for value in content[column]], dtype=object) if is_nominal else content[column]
        for column, is_nominal in zip(meta.names(), nominal, strict=True)
    ]
    names = tuple(meta.names())
    X = np.column_stack([column.astype(object) if any(nominal) else column for column in columns[:-n_targets]])
    return Dataset(
        name=f"mulan/{name}",
        X=X,
        y=np.column_stack(columns[-n_targets:]).astype(np.float64),
        tasks=None,
        features=names[:-n_targets],
        targets=names[-n_targets:],
        source="github.com/Zhendong-Wang/Probabilistic-Conformal-Prediction : data/rf1.arff"
        if name == "rf1"
        else f"github.com/tsoumakas/mulan @ 43f6389095ad : data/multi-target/{name}.arff",
        licence=_licence(name),
    )


def _licence(name: str) -> str:
    return "none stated (in an MIT repository)" if name == "rf1" else "none stated (in a GPL-3 repository)"


ENTRIES = tuple(
    Entry(
        name=f"mulan/{name}",
        title=title,
        licence=_licence(name),
        tasks=f"{n_targets} outputs, regression, shared inputs",
        rows=rows,
        files=(f"mulan_mtr/{name}.arff",),
        loader=partial(load_mulan, name=name),
    )
    for name, (rows, n_targets, title) in SETS.items()
)
