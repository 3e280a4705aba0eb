"""The regressor: numbers of several tasks from one network."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from relatask.balance import Balancer
from relatask.data.features import TableFeatures
from relatask.given.frames import in_order, squares
from relatask.given.numbers import as_float, each_label
from relatask.notices import InputError
from relatask.relations import Relation
from relatask.train.estimators.base import DeepEstimator
from relatask.train.estimators.labels import Labels, read_numbers


class DeepMultiTaskRegressor(RegressorMixin, DeepEstimator):
    """Numbers of several tasks from one network: ``y_k = s_k head_k(body(x)) + m_k``.

    Targets are standardised by their training rows (m_k, s_k), losses are mean squares, equally weighted by default.
    Tasks are the columns of y (n, t), NaN where a label is missing, or groups of rows (`tasks`). Of groups, which share
    their unit, s is one for all, and m_k lies between the group's mean and the mean of all, the nearer to its own the
    more rows it has; rows count alike.

    Parameters
    ----------
    encoder : "auto", "mlp", "text", "image", "sound", or a function from `Inputs` to a Module
        What the body begins with. "auto" takes every column as what it is, "mlp" numbers and categories only; the
        others need such a column, and take the rest along. A function gets what it must know of the arrays and gives
        a module that takes them by key and has `features`, the width of what it gives.
    hidden : sequence of int
        Widths of the hidden layers behind it.
    sharing : str, or a function
        How tasks share the hidden layers: "hard", "soft", "cross_stitch", "mmoe" and other names of
        `relatask.nets.registry`; "single" gives each task a net of its own, trained by itself, "pooled" one net that
        does not know the task. A function gets `relatask.train.estimators.plan.Plan` and gives a `Model`.
    relation : Relation, optional
        What ties the tasks' heads (of "soft" sharing their bodies) together.
    balance : str or Balancer
        How tasks are weighed against each other: "equal", or another name of `relatask.balance.registry`.
    epochs : int
        The most passes over the training rows.
    lr, weight_decay : float
        Of AdamW.
    batch_size : int or "auto"
        Rows of a step; "auto" is a sixteenth of the training rows, at least 16 and at most 256.
    dropout : float
        Share of hidden units left out at each step.
    normalization : {"batch", "layer", None}
        Of hidden layers.
    patience : int
        Epochs without a better validation loss before training stops; the best epoch's weights are kept.
    validation_fraction : float
        Of the rows, drawn within tasks (and classes), for stopping; 0, or fewer than 20 rows, trains for all epochs.
    text : {"ngrams", "bilstm", "cnn", "transformer"}
        How text columns are read.
    features : TableFeatures, optional
        Unfitted, for other settings than its defaults; its `text` follows the argument above.
    task_column : optional
        Name of the column of a frame X that holds the tasks.
    random_state : int
        Two fits with the same one agree bit for bit on one device.
    device : str
        As in `relatask.train.fit`.
    verbose : bool
        Whether to show the progress.

    Attributes
    ----------
    tasks_ : array (t,)
        Labels: sorted for groups, in column order for columns.
    nets_ : tuple of Fitted
        What was trained: one net, or one a task; each with its `features`, `model`, `history` and `best_epoch`.
    n_iter_ : int
        Epochs trained, the most of any net.
    n_labels_ : array (t,)
        Observed labels.
    n_features_in_, feature_names_in_ : int, array (d,)
        Columns that fit saw, and their names where X was a frame.

    Raises
    ------
    InputError
        For input or parameters that cannot be used.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> y = np.stack([X[:, 0] ** 2, X[:, 0] ** 2 + X[:, 1]], axis=1)
    >>> model = DeepMultiTaskRegressor(hidden=(32,), epochs=60).fit(X, y)
    >>> model.predict(X).shape, model.score(X, y) > 0.8
    ((200, 2), True)
    """

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
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.text = text
        self.features = features
        self.task_column = task_column
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def predict(self, X: Any, tasks: Any = None) -> NDArray[np.float64]:
        """Predict each row for its own task, or for every task.

        Parameters
        ----------
        X : (n, d) array, frame or table
            As in fit; NaN is a missing value.
        tasks : (n,), optional
            The task of each row; needed where the model was fitted with tasks.

        Returns
        -------
        (n,), or (n, t) where the model was fitted on y (n, t).

        Raises
        ------
        InputError
            For a task that fit has not seen, or tasks missing where they are needed.
        """
        return self._table(self._answers(X, tasks))

    def score(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> float:
        """Explained variance within tasks: 1 - sum_k SSE_k / sum_k SST_k over the observed labels.

        SST_k is about task k's own mean in this very sample; with one task this is the usual R squared.

        Parameters
        ----------
        X, y, tasks, sample_weight
            As in fit.

        Returns
        -------
        float, at most 1; NaN where no task's labels vary.
        """
        found = self._answers(X, tasks)
        predicted = self._table(found)
        labels = as_float(in_order(y, self.tasks_) if predicted.ndim == 2 else y, "y")
        labels = labels.reshape(-1) if predicted.ndim == 1 else labels
        if labels.shape != predicted.shape:
            raise InputError(f"y has shape {labels.shape}, but predictions have {predicted.shape}.")
        weights = each_label(sample_weight, labels.shape, self.tasks_)
        codes = found.codes
        if codes is None:
            codes = np.broadcast_to(np.arange(labels.shape[1]), labels.shape).ravel()
        error, spread = squares(labels.ravel(), predicted.ravel(), codes, weights.ravel())
        return 1.0 - error / spread if spread > 0 else float("nan")

    def _read(self, y: Any, tasks: Any, sample_weight: Any, n: int) -> Labels:
        return read_numbers(y, tasks, sample_weight, n)
