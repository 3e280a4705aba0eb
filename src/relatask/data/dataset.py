"""What a loaded data set is: features, labels, the tasks they belong to, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relatask.notices import InputError

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Many related tasks in one value: grouped rows, or one column of labels per task.

    Parameters
    ----------
    name : str
        The name under which `load` gives it.
    X : ndarray of shape (n, d)
        Features: float64, or objects where some columns hold text. NaN (None for text) is a missing value.
    y : ndarray of shape (n,) or (n, t)
        Labels, float64. NaN is a missing label. (n,) goes with `tasks`; (n, t) has one column per task.
    tasks : ndarray of shape (n,), or None
        The task that each row belongs to, or None where the columns of `y` are the tasks.
    features : tuple of str
        Names of the d columns of `X`.
    targets : tuple of str
        Names of the columns of `y` (one name where `y` is (n,)).
    source : str
        Where the file comes from: repository, commit and path, or the package that carries it.
    licence : str
        The licence as the source states it.
    by : str
        What a task is ("school"), and the name of that column in `to_table`; empty without `tasks`.
    splits : mapping of str to (train rows, test rows)
        Published splits, empty where there are none.

    Raises
    ------
    InputError
        Where lengths or names do not fit together.

    Examples
    --------
    >>> from relatask.data import load
    >>> data = load("diabetes")
    >>> data.X.shape, data.y.shape, data.n_tasks
    ((442, 9), (442,), 6)
    >>> data.to_table().column_names[-2:]
    ['group', 'progression']
    """

    name: str
    X: npt.NDArray[Any]
    y: npt.NDArray[np.float64]
    tasks: npt.NDArray[Any] | None
    features: tuple[str, ...]
    targets: tuple[str, ...]
    source: str = ""
    licence: str = ""
    by: str = ""
    splits: Mapping[str, tuple[Rows, Rows]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, d = self.X.shape
        columns = 1 if self.y.ndim == 1 else self.y.shape[1]
        if len(self.y) != n or (self.tasks is not None and len(self.tasks) != n):
            raise InputError(f"data set {self.name!r}: X has {n} rows; y and tasks must have as many.")
        if len(self.features) != d or len(self.targets) != columns:
            raise InputError(
                f"data set {self.name!r}: {d} features and {columns} targets, but {len(self.features)} and "
                f"{len(self.targets)} names."
            )
        if (self.tasks is None) != (self.y.ndim == 2) or (self.tasks is None) != (not self.by):
            raise InputError(
                f"data set {self.name!r}: expected y (n,) with tasks (n,) and by, or y (n, t) without either."
            )

    @property
    def task_names(self) -> tuple[Any, ...]:
        """The tasks' labels: sorted for grouped rows, in column order otherwise."""
        return self.targets if self.tasks is None else tuple(np.unique(self.tasks).tolist())

    @property
    def n_tasks(self) -> int:
        """How many tasks there are."""
        return len(self.task_names)

    def to_table(self) -> pa.Table:
        """Give one table: features, then the task column (named `by`), then targets; missing values are null."""
        columns = {name: pa.array(self.X[:, j], from_pandas=True) for j, name in enumerate(self.features)}
        if self.tasks is not None:
            columns[self.by] = pa.array(self.tasks)
        labels = self.y.reshape(len(self.y), -1)
        columns |= {name: pa.array(labels[:, k], from_pandas=True) for k, name in enumerate(self.targets)}
        return pa.table(columns)
