"""What the linear classifiers share: chances, predictions and their score."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin

from relatask.linear.input import reading
from relatask.linear.input.design import each_label
from relatask.linear.input.labels import encode_labels
from relatask.linear.losses.model import linear_predictor
from relatask.linear.multitask import MultiTaskEstimator
from relatask.linear.sums.forms import Array
from relatask.notices import InputError


class LinearClassifier(ClassifierMixin, MultiTaskEstimator):
    """Logistic models of several tasks. Abstract: `MultiTaskClassifier`, `MultiTaskClassifierCV`."""

    _takes_sparse: ClassVar[bool] = True

    classes_: NDArray

    def decision_function(self, X: Any, tasks: Any = None) -> Array:
        """Log-odds of the second class, or each class's log weight.

        Parameters
        ----------
        X, tasks
            As in predict.

        Returns
        -------
        (n,), or (n, t) where the model was fitted on y (n, t); with more than two classes a last axis (C,).
        """
        X, codes = self._rows(X, tasks)
        return linear_predictor(X, codes, self.coef_, self.intercept_)

    def predict_proba(self, X: Any, tasks: Any = None) -> Array:
        """Chances of the classes.

        Parameters
        ----------
        X, tasks
            As in predict.

        Returns
        -------
        (n, C), or (n, t, C) where the model was fitted on y (n, t); columns in the order of `classes_`.
        """
        eta = self.decision_function(X, tasks)
        if len(self.classes_) > 2:
            return np.asarray(softmax(eta, axis=-1))
        return np.stack([expit(-eta), expit(eta)], axis=-1)

    def predict(self, X: Any, tasks: Any = None) -> NDArray:
        """The likeliest class of each row for its own task, or for every task.

        Parameters
        ----------
        X : (n, d)
            Features, as in fit.
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
        eta = self.decision_function(X, tasks)
        best = eta.argmax(-1) if len(self.classes_) > 2 else (eta > 0).astype(np.intp)
        return np.asarray(self.classes_[best])

    def score(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> float:
        """Share of the observed labels that are predicted right; rows weighted.

        Parameters
        ----------
        X, y, tasks, sample_weight
            As in fit.
        """
        predicted = self.predict(X, tasks)
        labels = reading.in_order(y, self.tasks_) if predicted.ndim == 2 else y
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = True
        # y (n, t) has a task a column, not several labels of one task.
        tags.target_tags.multi_output = False
        return tags
