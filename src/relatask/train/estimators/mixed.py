"""Tasks of different kinds from one network: numbers, classes, classes in order, counts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.balance import Balancer
from relatask.data.features import TableFeatures
from relatask.relations import Relation
from relatask.train.estimators.base import DeepEstimator
from relatask.train.estimators.deviance import share_explained
from relatask.train.estimators.labels import Labels, read_kinds


class DeepMultiTask(DeepEstimator):
    """Tasks of different kinds from one network, each with its own loss: numbers, classes, classes in order, counts.

    Losses are divided by that of the best constant answer, so that kinds count alike; `balance` weighs them.

    Parameters
    ----------
    kinds : {task: kind}, a sequence of t kinds in the order of the columns, or "auto"
        ``"regression"``, ``"binary"``, ``"multiclass"``, ``"ordinal"`` or ``"count"``. "auto": text is classes, numbers
        that are only 0 and 1 are two classes, other numbers are numbers.
    encoder, hidden, sharing, relation, balance, epochs, lr, weight_decay, batch_size, dropout, normalization
        As in `DeepMultiTaskRegressor`.
    class_weight : "balanced" or None
        Lets the classes that a task has weigh alike in it.
    threshold : float, "accuracy", "balanced_accuracy" or "f1"
        As in `DeepMultiTaskClassifier`, for binary tasks.
    patience, validation_fraction, text, features, task_column, random_state, device, verbose
        As in `DeepMultiTaskRegressor`.

    Attributes
    ----------
    kinds_ : dict of task to kind
    classes_ : dict of task to array (C,)
        Of the tasks that have classes.
    thresholds_ : array (t,)
        Of two classes.
    tasks_, nets_, n_iter_, n_labels_, n_features_in_, feature_names_in_
        As in `DeepMultiTaskRegressor`.

    Raises
    ------
    InputError
        For kinds that are unknown, or not one for each task; labels that their kind cannot have.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = {"price": X[:, 0] ** 2, "sold": np.where(X[:, 1] > 0, "yes", "no")}
    >>> model = DeepMultiTask(hidden=(32,), epochs=40).fit(X, y)
    >>> model.kinds_
    {'price': 'regression', 'sold': 'binary'}
    >>> model.predict(X[:2]).shape, model.predict_proba(X[:2])["sold"].shape
    ((2, 2), (2, 2))
    """

    kinds_: dict[Hashable, str]
    classes_: dict[Hashable, NDArray[Any]]
    thresholds_: NDArray[np.float64]

    def __init__(
        self,
        kinds: Mapping[Hashable, str] | Sequence[str] | str = "auto",
        encoder: str | Callable[..., Any] = "auto",
        hidden: Sequence[int] = (128, 64),
        sharing: str | Callable[..., Any] = "hard",
        relation: Relation | None = None,
        balance: str | Balancer = "equal",
        *,
        epochs: int = 100,
        lr: float = 3e-3,
        weight_decay: float = 1e-2,
        batch_size: int | str = "auto",
        dropout: float = 0.1,
        normalization: str | None = "batch",
        class_weight: str | None = None,
        threshold: float | str = 0.5,
        patience: int = 15,
        validation_fraction: float = 0.15,
        text: str = "ngrams",
        features: TableFeatures | None = None,
        task_column: Hashable | None = None,
        random_state: int = 0,
        device: str = "auto",
        verbose: bool = False,
    ) -> None:
        self.kinds = kinds
        self.encoder = encoder
        self.hidden = hidden
        self.sharing = sharing
        self.relation = relation
        self.balance = balance
        self.epochs = epochs
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.dropout = dropout
        self.normalization = normalization
        self.class_weight = class_weight
        self.threshold = threshold
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.text = text
        self.features = features
        self.task_column = task_column
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def predict_mean(self, X: Any, tasks: Any = None) -> NDArray[np.float64]:
        """Expected labels: numbers, chances of the second class, mean counts; of several classes the mean place.

        Parameters
        ----------
        X, tasks
            As in `predict`.

        Returns
        -------
        (n,), or (n, t) where the model was fitted on y (n, t).
        """
        answers = self._answers(X, tasks)
        means = [v if v.ndim == 1 else v @ np.arange(v.shape[1]) for v in answers.values]
        return means[0] if answers.codes is not None else np.stack(means, axis=1)

    def predict_proba(self, X: Any, tasks: Any = None) -> dict[Hashable, NDArray[np.float64]]:
        """Chances of the classes, of every task that has classes.

        Parameters
        ----------
        X, tasks
            As in `predict`.

        Returns
        -------
        {task: (n, C)}, columns in the order of `classes_`; of groups the rows of each task only, in their order.
        """
        answers = self._answers(X, tasks)
        out: dict[Hashable, NDArray[np.float64]] = {}
        for k, task in enumerate(self.tasks_.tolist()):
            if task not in self.classes_:
                continue
            found = answers.values[k] if answers.codes is None else answers.values[0][answers.codes == k]
            out[task] = np.stack([1 - found, found], axis=-1) if found.ndim == 1 else found
        return out

    def predict(self, X: Any, tasks: Any = None) -> NDArray[Any]:
        """Predict labels: numbers, the likeliest class (of two by `thresholds_`), mean counts.

        Parameters
        ----------
        X : (n, d) array, frame or table
            As in fit; NaN is a missing value.
        tasks : (n,), optional
            The task of each row; needed where the model was fitted with tasks.

        Returns
        -------
        (n,), or (n, t): floats, or objects where a task's classes are no numbers.

        Raises
        ------
        InputError
            For a task that fit has not seen, or tasks missing where they are needed.
        """
        answers = self._answers(X, tasks)
        if answers.codes is None:
            columns = [self._label(k, found) for k, found in enumerate(answers.values)]
            kind = np.float64 if all(column.dtype.kind in "fiub" for column in columns) else object
            return np.stack([column.astype(kind) for column in columns], axis=1)
        parts = {k: self._label(k, answers.values[0][answers.codes == k]) for k in np.unique(answers.codes).tolist()}
        kind = np.float64 if all(part.dtype.kind in "fiub" for part in parts.values()) else object
        out = np.empty(len(answers.codes), dtype=kind)
        for k, part in parts.items():
            out[answers.codes == k] = part
        return out

    def score(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> float:
        """Mean over tasks of the share of deviance explained, 1 - D_k / D_k(task k's mean in this sample).

        For numbers this is R squared; of classes the mean is their shares. Tasks whose labels do not vary are left out.

        Parameters
        ----------
        X, y, tasks, sample_weight
            As in fit.

        Returns
        -------
        float, at most 1; NaN where no task's labels vary.
        """
        return share_explained(self, self._answers(X, tasks), y, sample_weight)

    def _label(self, k: int, found: NDArray[np.float64]) -> NDArray[Any]:
        """Labels of task k from its answers."""
        classes = self.classes_.get(self.tasks_.tolist()[k])
        if classes is None:
            return found
        place = found.argmax(-1) if found.ndim == 2 else (found > self.thresholds_[k]).astype(np.intp)
        return np.asarray(classes[place])

    def _read(self, y: Any, tasks: Any, sample_weight: Any, n: int) -> Labels:
        return read_kinds(self.kinds, y, tasks, sample_weight, n)

    def _own_facts(self, labels: Labels) -> dict[str, Any]:
        names = labels.tasks.tolist()
        return {
            "kinds_": dict(zip(names, labels.kinds, strict=True)),
            "classes_": {n: c for n, c in zip(names, labels.classes, strict=True) if c is not None},
        }
