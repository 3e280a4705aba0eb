"""What the deep estimators share: reading, fitting whole or not at all, answers, twins, saving."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from relatask.given.frames import split_task_column
from relatask.given.labels import known_codes, listed
from relatask.notices import InputError
from relatask.train.estimators import saving
from relatask.train.estimators.answers import Answers, Floats, picked, scattered
from relatask.train.estimators.fitted import Fitted
from relatask.train.estimators.labels import Labels
from relatask.train.estimators.rows import Probe, read_rows
from relatask.train.estimators.settings import checked
from relatask.train.estimators.thresholds import best_threshold
from relatask.train.estimators.training import trained


class DeepEstimator(BaseEstimator):
    """A network of several tasks. Abstract: `DeepMultiTaskRegressor`, `DeepMultiTaskClassifier`, `DeepMultiTask`."""

    # Tasks travel with the rows; they are requested by default, so that cross_val_score(params={"tasks": ...}) works.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"tasks": True}
    __metadata_request__predict: ClassVar[dict[str, bool]] = {"tasks": True}
    __metadata_request__score: ClassVar[dict[str, bool]] = {"tasks": True}

    sharing: Any
    task_column: Hashable | None
    random_state: int

    tasks_: NDArray[Any]
    nets_: tuple[Fitted, ...]
    n_labels_: NDArray[np.intp]
    n_iter_: int
    thresholds_: Floats
    _fit_layout: str

    @abstractmethod
    def _read(self, y: Any, tasks: Any, sample_weight: Any, n: int) -> Labels:
        """Labels as they were given."""

    def _own_facts(self, labels: Labels) -> dict[str, Any]:
        """What else a class learns of labels."""
        return {}

    def fit(
        self,
        X: Any,
        y: Any,
        tasks: Any = None,
        sample_weight: Any = None,
        *,
        folder: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train the network on all tasks.

        Parameters
        ----------
        X : (n, d) array, pandas, polars or pyarrow table, or mapping of columns
            Columns may be numbers, categories, text, and paths of pictures or sounds (`TableFeatures`); NaN and None
            are missing values. Arrays hold numbers.
        y : (n,) or (n, t)
            Labels, NaN or None where one is missing. Two-dimensional y, or a frame or mapping: a task a column.
        tasks : (n,), optional
            The task of each row, any labels; with y (n,) only. Without it, y (n,) is one task.
        sample_weight : (n,), optional
            Weights >= 0 of the rows; a row of weight 0 is not seen.
        folder : path-like, optional
            Where logs and checkpoints of the training are kept, as `relatask.train.fit` does; a fit that was
            interrupted goes on there. With sharing "single", of the first task only.

        Returns
        -------
        self

        Raises
        ------
        InputError
            For input that cannot be used; the estimator is then as it was before.

        Warns
        -----
        RelataskWarning
            RT005: tasks with one label only.
        """
        settings = {**self._settings(), "folder": folder}
        X, tasks = _apart(X, tasks, self.task_column)
        probe = Probe()
        rows = read_rows(probe, X, reset=True)
        labels = self._read(y, tasks, sample_weight, rows.length)
        facts = {
            "tasks_": labels.tasks,
            "n_labels_": labels.counts(),
            "_fit_layout": labels.layout,
            **self._own_facts(labels),
        }
        seen = ~np.isnan(labels.values)
        kept = np.flatnonzero(seen if seen.ndim == 1 else seen.any(1))
        nets: list[Fitted] = []
        limits: list[float] = []
        if self.sharing == "single":
            for k in range(len(labels.tasks)):
                own, alone = labels.of(k)
                net, aside = trained(settings if k == 0 else {**settings, "folder": None}, rows.take(own), alone)
                nets.append(net)
                limits += self._thresholds(net, rows.take(own[aside]), alone.take(aside))
        else:
            kept, given = labels.pooled() if self.sharing == "pooled" else (kept, labels.take(kept))
            net, aside = trained(settings, rows.take(kept), given)
            nets.append(net)
            limits += self._thresholds(net, rows.take(kept[aside]), given.take(aside))
            limits = limits * len(labels.tasks) if self.sharing == "pooled" else limits
        facts |= {"nets_": tuple(nets), "n_iter_": max(net.n_epochs for net in nets)}
        if hasattr(self, "threshold"):
            facts["thresholds_"] = np.array(limits)
        return self._stored({**vars(probe), **facts})

    def twin(self, name: str) -> Self | None:
        """Give an unfitted estimator with the same settings but for how tasks share: a baseline to compare with.

        Parameters
        ----------
        name : {"single", "pooled"}
            Each task its own net, trained by itself; one net that does not know the task.

        Returns
        -------
        estimator, or None where there is no such twin: pooled, of tasks of several kinds.
        """
        kinds = getattr(self, "kinds", ())
        several = () if isinstance(kinds, str) else set(kinds.values() if isinstance(kinds, Mapping) else kinds)
        if name not in ("single", "pooled") or (name == "pooled" and len(several) > 1):
            return None
        found: Self = clone(self, safe=False).set_params(sharing=name, relation=None, balance="equal")
        return found

    def alone(self) -> Self:
        """Give the unfitted single-task twin: each task its own net, with the same settings."""
        return self.twin("single")  # type: ignore[return-value]

    def pooled(self) -> Self:
        """Give the unfitted pooled twin: one net that does not know the task."""
        return self.twin("pooled")  # type: ignore[return-value]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to `path.json` and `path.safetensors`: no pickle, safe to load from anyone.

        Parameters
        ----------
        path : path-like
            Without suffix, or with one of the two. Files of that name are replaced.

        Raises
        ------
        InputError
            For functions among the parameters (encoder, sharing), which cannot be written; labels other than numbers
            and text.

        Notes
        -----
        A balancer is written by its name: it takes no part in predictions.
        """
        check_is_fitted(self)
        saving.save(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model that `save` wrote; on the same device it predicts bit for bit as before.

        Parameters
        ----------
        path : path-like
            As given to `save`.

        Raises
        ------
        InputError
            If a file is missing, damaged, cut short, of another version, or holds another class.
        """
        params, facts = saving.load(path, cls.__name__, cls._get_param_names())
        return cls(**params)._stored(facts)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        tags.target_tags.required = True
        tags.input_tags.allow_nan = True
        tags.non_deterministic = False
        return tags

    def _answers(self, X: Any, tasks: Any) -> Answers:
        """What the nets say of rows, each for its own task or for every task."""
        check_is_fitted(self)
        X, tasks = _apart(X, tasks, self.task_column)
        rows = read_rows(self, X, reset=False)
        codes = self._codes(tasks, rows.length)
        t = len(self.tasks_)
        if self.sharing == "pooled":
            found = self.nets_[0].answers(rows, np.zeros(rows.length, dtype=np.intp))[0]
            return Answers([found], codes) if codes is not None else Answers([found] * t, None)
        if self.sharing != "single":
            inner = codes if self._fit_layout != "columns" else None
            values = self.nets_[0].answers(rows, inner)
            if codes is None or self._fit_layout != "columns":
                return Answers(values, codes)
            return Answers([picked(values, codes)], codes)
        if codes is None:
            return Answers([net.answers(rows, None)[0] for net in self.nets_], None)
        parts: list[Floats] = []
        for k, net in enumerate(self.nets_):
            own = np.flatnonzero(codes == k)
            parts.append(net.answers(rows.take(own), None)[0] if len(own) else np.zeros(0))
        return Answers([scattered(parts, codes)], codes)

    def _table(self, answers: Answers) -> Floats:
        """Answers as an array: (n, ...), or (n, t, ...)."""
        return answers.values[0] if answers.codes is not None else np.stack(answers.values, axis=1)

    def _codes(self, tasks: Any, n: int) -> NDArray[np.intp] | None:
        """The task of each of n rows; None where every row is for all tasks."""
        if self._fit_layout == "one":
            if tasks is not None:
                raise InputError(
                    "tasks are given, but the model was fitted without; fit it with tasks, or leave them out."
                )
            return np.zeros(n, dtype=np.intp)
        if tasks is not None:
            return known_codes(tasks, n, self.tasks_)
        if self._fit_layout == "columns":
            return None
        raise InputError(
            f"predict needs tasks: the model was fitted on {len(self.tasks_)} tasks "
            f"({listed(self.tasks_.tolist())}); pass predict(X, tasks=...), one label per row."
        )

    def _settings(self) -> dict[str, Any]:
        """The parameters by name, checked."""
        return checked({"class_weight": None, **self.get_params(deep=False)})

    def _thresholds(self, net: Fitted, rows: Any, labels: Labels) -> list[float]:
        """The threshold of each of a net's tasks, by the rows that were set aside."""
        limit = getattr(self, "threshold", 0.5)
        if not isinstance(limit, str):
            return [float(limit)] * len(net.tasks)
        if not len(labels):
            return [0.5] * len(net.tasks)
        found = net.answers(rows, labels.codes)
        out = []
        for k, task in enumerate(net.tasks):
            own = slice(None) if labels.codes is None else labels.codes == k
            chances = found[k] if labels.codes is None else found[0][own]
            values = labels.values[:, k] if labels.codes is None else labels.values[own]
            out.append(best_threshold(chances, values, limit) if task.kind == "binary" else 0.5)
        return out

    def _stored(self, fitted: dict[str, Any]) -> Self:
        """Take over what was learned, all of it or nothing; what an earlier fit learned, and this one did not, goes."""
        stale = {name for name in vars(self) if name.endswith("_") and not name.startswith("_")}
        self.__dict__ = {name: value for name, value in vars(self).items() if name not in stale} | fitted
        return self


def _apart(X: Any, tasks: Any, name: Hashable | None) -> tuple[Any, Any]:
    """X without its task column, and the tasks."""
    if name is not None and not hasattr(X, "columns") and hasattr(X, "keys"):
        if name not in X:
            raise InputError(f"task_column={name!r} is not among the columns {listed(list(X))}.")
        return {key: values for key, values in X.items() if key != name}, X[name] if tasks is None else tasks
    if name is not None and hasattr(X, "column_names"):
        if name not in X.column_names:
            raise InputError(f"task_column={name!r} is not among the columns {listed(X.column_names)}.")
        own = np.array(X.column(name).to_pylist(), dtype=object) if tasks is None else tasks
        return X.drop_columns([name]), own
    return split_task_column(X, tasks, name)
