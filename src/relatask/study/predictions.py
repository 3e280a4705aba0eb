"""Predictions of cells as a table, for files and for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from relatask.measure.metrics import has_several
from relatask.measure.several import of_several
from relatask.study.cells import Cell


def predictions_of(cells: Sequence[Cell], names: Sequence[str], kinds: Sequence[str]) -> Any:
    """Give a pyarrow.Table: split, seed, row, task, y, prediction; and the chances of several classes.

    Parameters
    ----------
    cells : sequence of Cell
        Of one method.
    names, kinds : sequences of t str
        The tasks, as text, and their kinds.
    """
    import pyarrow as pa

    labels = np.array(names, dtype=object)
    parts: Mapping[str, list[Any]] = {
        "split": [np.full(len(cell.y), cell.split, dtype=object) for cell in cells],
        "seed": [np.full(len(cell.y), cell.seed) for cell in cells],
        "row": [cell.row for cell in cells],
        "task": [labels[cell.code] for cell in cells],
        "y": [cell.y for cell in cells],
        "prediction": [_told(cell, kinds) for cell in cells],
    }
    table = pa.table({name: np.concatenate(values) for name, values in parts.items()})
    if not has_several(kinds):
        return table
    several = np.concatenate([of_several(kinds)[cell.code] for cell in cells])
    chances = np.concatenate([cell.prediction for cell in cells])
    for k in range(chances.shape[1]):
        own = np.where(several, chances[:, k], np.nan)
        table = table.append_column(f"chance {k}", pa.array(own, from_pandas=True))
    return table


def _told(cell: Cell, kinds: Sequence[str]) -> Any:
    """One number a label (m,): the prediction, or of several classes the position of the likeliest."""
    if cell.prediction.ndim == 1:
        return cell.prediction
    likeliest = np.argmax(np.where(np.isnan(cell.prediction), -np.inf, cell.prediction), axis=1)
    return np.where(of_several(kinds)[cell.code], likeliest, cell.prediction[:, 0])
