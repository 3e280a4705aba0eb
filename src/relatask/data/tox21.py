"""Loader of Tox21: twelve toxicity assays of molecules, with missing labels."""

from __future__ import annotations

import csv
import gzip

import numpy as np

from relatask.data.dataset import Dataset
from relatask.data.entry import Entry, Fetch


def load_tox21(fetch: Fetch) -> Dataset:
    """Load Tox21: 8,014 molecules, twelve assays as binary tasks, 17.3% of the labels missing.

    X is (8014, 1) of objects: the molecule as a SMILES string, which is not a numeric feature. Turn it into
    fingerprints with a chemistry library before fitting. y is (8014, 12): 0, 1 or NaN. No published splits in the file.

    Licence: MIT (the repository's). Source: deepchem/deepchem.
    """
    with gzip.open(fetch("tox21/tox21.csv.gz"), "rt", encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    targets = tuple(name for name in header if name not in ("mol_id", "smiles"))
    y = [[float(row[header.index(name)] or "nan") for name in targets] for row in rows]
    return Dataset(
        name="tox21",
        X=np.array([[row[header.index("smiles")]] for row in rows], dtype=object),
        y=np.array(y),
        tasks=None,
        features=("smiles",),
        targets=targets,
        source="github.com/deepchem/deepchem @ fbe3b911a94a : datasets/tox21.csv.gz",
        licence=ENTRIES[0].licence,
    )


ENTRIES = (
    Entry(
        name="tox21",
        title="toxicity of molecules in twelve assays (SMILES strings, no numeric features)",
        licence="MIT (the repository's)",
        tasks="12 assays, binary, missing labels",
        rows=8_014,
        files=("tox21/tox21.csv.gz",),
        loader=load_tox21,
    ),
)
