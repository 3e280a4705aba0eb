"""The classifier: classes of several tasks, two or more of them, from one network."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from relatask.balance import Balancer
from relatask.data.features import TableFeatures
from relatask.given.frames import in_order
from relatask.given.labels import encode_labels
from relatask.given.numbers import each_label
from relatask.notices import InputError
from relatask.relations import Relation
from relatask.train.estimators.base import DeepEstimator
from relatask.train.estimators.labels import Labels, read_classes


class DeepMultiTaskClassifier(ClassifierMixin, DeepEstimator):
    """Classes of several tasks from one network: ``p_k = softmax(head_k(body(x)))``, a sigmoid where there are two.

    Tasks are the columns of y (n, t), a missing label NaN or None, or groups of rows (`tasks`). All tasks have the same
    classes; a task may never show one. For tasks with classes of their own use `DeepMultiTask`.

    Parameters
    ----------
    encoder, hidden, sharing, relation, balance, epochs, lr, weight_decay, batch_size, dropout, normalization
        As in `DeepMultiTaskRegressor`.
    class_weight : "balanced", {class: weight} or None
        Multiplies the loss of a class's labels; "balanced" lets the classes that a task has weigh alike in it.
    threshold : float, "accuracy", "balanced_accuracy" or "f1"
        Of two classes the second is predicted where its chance is above it. By name: the threshold of each task that
        is best in this on the validation rows (0.5 where there are none).
    patience, validation_fraction, text, features, task_column, random_state, device, verbose
        As in `DeepMultiTaskRegressor`.

    Attributes
    ----------
    classes_ : array (C,)
        Sorted; the same for all tasks.
    thresholds_ : array (t,)
        Of two classes.
    tasks_, nets_, n_iter_, n_labels_, n_features_in_, feature_names_in_
        As in `DeepMultiTaskRegressor`.

    Raises
    ------
    InputError
        For input or parameters that cannot be used, labels of one class, or numbers that are no classes.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
    >>> model = DeepMultiTaskClassifier(hidden=(32,), epochs=60).fit(X, y)
    >>> model.predict_proba(X[:2]).shape, model.score(X, y) > 0.8
    ((2, 2), True)
    """

    classes_: NDArray[Any]
    thresholds_: NDArray[np.float64]

    def __init__(
        self,
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
        class_weight: Mapping[Any, float] | str | None = None,
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

    def predict_proba(self, X: Any, tasks: Any = None) -> NDArray[np.float64]:
        """Chances of the classes.

        Parameters
        ----------
        X, tasks
            As in predict.

        Returns
        -------
        (n, C), or (n, t, C) where the model was fitted on y (n, t); columns in the order of `classes_`.
        """
        found = self._table(self._answers(X, tasks))
        return np.stack([1 - found, found], axis=-1) if len(self.classes_) == 2 else found

    def predict(self, X: Any, tasks: Any = None) -> NDArray[Any]:
        """The likeliest class of each row for its own task, or for every task; of two, by `thresholds_`.

        Parameters
        ----------
        X : (n, d) array, frame or table
            As in fit; NaN is a missing value.
        tasks : (n,), optional
            The task of each row; needed where the model was fitted with tasks.

        Returns
        -------
        (n,) or (n, t) of `classes_`.

        Raises
        ------
        InputError
            For a task that fit has not seen, or tasks missing where they are needed.
        """
        answers = self._answers(X, tasks)
        found = self._table(answers)
        if len(self.classes_) > 2:
            return np.asarray(self.classes_[found.argmax(-1)])
        limits = self.thresholds_ if answers.codes is None else self.thresholds_[answers.codes]
        return np.asarray(self.classes_[(found > limits).astype(np.intp)])

    def score(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> float:
        """Share of the observed labels that are predicted right; rows weighted.

        Parameters
        ----------
        X, y, tasks, sample_weight
            As in fit.
        """
        predicted = self.predict(X, tasks)
        labels = in_order(y, self.tasks_) if predicted.ndim == 2 else y
        array = labels.to_numpy() if hasattr(labels, "to_numpy") else np.asarray(labels)
        array = array.reshape(predicted.shape) if array.size == predicted.size else array
        if array.shape != predicted.shape:
            raise InputError(f"y has shape {array.shape}, but predictions have {predicted.shape}.")
        names, position = encode_labels(array)
        weights = each_label(sample_weight, array.shape, self.tasks_)
        right = np.zeros(array.shape, dtype=bool)
        for place, name in enumerate(names.tolist()):
            right |= (position == place) & (predicted == name)
        seen = position >= 0
        return float(weights[seen] @ right[seen] / weights[seen].sum())

    def _read(self, y: Any, tasks: Any, sample_weight: Any, n: int) -> Labels:
        return read_classes(y, tasks, sample_weight, n)

    def _own_facts(self, labels: Labels) -> dict[str, Any]:
        return {"classes_": labels.classes[0]}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = True
        # y (n, t) has a task a column, not several labels of one task.
        tags.target_tags.multi_output = False
        return tags
