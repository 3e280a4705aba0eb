"""Which rows a run was trained on, kept small: whether new rows are among them can be told, the rows cannot be read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

KEPT = 4096
"""Of more rows, those with the smallest hashes are kept: a sample that any other table is compared with fairly."""
_DIGITS = 10


def fingerprints(X: np.ndarray, y: np.ndarray, tasks: np.ndarray | None) -> list[str]:
    """Return a hash of each row: its encoded inputs, its labels, its task. Rows without a label are left out.

    Formats, the order of rows and of columns, and columns that are no inputs make no difference.
    """
    labels = np.asarray(y, dtype=np.float64).reshape(len(X), -1)
    rows = np.ascontiguousarray(np.hstack([np.asarray(X, dtype=np.float64), labels])) + 0.0  # no negative zeros
    rows[np.isnan(rows)] = np.nan  # one way to be missing
    names = [""] * len(rows) if tasks is None else [str(task) for task in tasks.tolist()]
    seen: list[bool] = np.any(~np.isnan(labels), axis=1).tolist()
    return [
        hashlib.blake2b(row.tobytes() + name.encode(), digest_size=_DIGITS // 2).hexdigest()
        for row, name, kept in zip(rows, names, seen, strict=True)
        if kept
    ]


def raw_fingerprints(inputs: Any, y: np.ndarray, tasks: np.ndarray | None) -> list[str]:
    """Return such a hash of each row of a table of inputs as they are: what networks read."""
    labels = np.asarray(y, dtype=np.float64).reshape(inputs.num_rows, -1) + 0.0
    labels[np.isnan(labels)] = np.nan
    columns = [inputs.column(name).to_pylist() for name in sorted(inputs.column_names)]
    names = [""] * len(labels) if tasks is None else [str(task) for task in tasks.tolist()]
    found = []
    for k, row in enumerate(zip(*columns, strict=True)):
        if np.isnan(labels[k]).all():
            continue
        told = repr(tuple(float(value) if isinstance(value, int | float) else value for value in row))
        found.append(
            hashlib.blake2b(labels[k].tobytes() + (names[k] + told).encode(), digest_size=_DIGITS // 2).hexdigest()
        )
    return found


def sketch(prints: list[str]) -> dict[str, Any]:
    """Return what data.json keeps of the training rows: the smallest hashes, and whether these are all."""
    distinct = sorted(set(prints))
    return {"all": len(distinct) <= KEPT, "hashes": "".join(distinct[:KEPT])}


def share_seen(run: Path, prints: list[str]) -> float:
    """Return the share of rows that are, as far as can be told, rows that a run was trained on."""
    try:
        kept = json.loads((run / "data.json").read_text(encoding="utf-8"))["seen"]
        text, everything = kept["hashes"], kept["all"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
    known = {text[at : at + _DIGITS] for at in range(0, len(text), _DIGITS)}
    last = max(known, default="")
    told = prints if everything else [one for one in prints if one <= last]
    return sum(one in known for one in told) / len(told) if told else 0.0
