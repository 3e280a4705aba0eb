"""The classifier: logistic models of related tasks, for two classes or several."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.features import check_names
from relatask.linear.influence.attributes import LEAVE_TASK_OUT, TRANSFER_OF_CLASSES
from relatask.linear.influence.leave import leave_task_out_of_classes
from relatask.linear.input import reading
from relatask.linear.input.classes import class_weights, encode_classes
from relatask.linear.linear_classifier import LinearClassifier
from relatask.linear.losses import Logistic, Multinomial
from relatask.linear.losses.model import LossModel, learned, tasks_first, tell_single_classes
from relatask.linear.multitask import chosen_relation
from relatask.linear.sums.forms import Array
from relatask.relations import Relation


class MultiTaskClassifier(LinearClassifier):
    """Logistic regression of related tasks under a relation, solved to a certificate.

    ``min over W, b   sum_k c_k sum_i s_i log(1 + exp(-y_i (x_i w_k + b_k))) + R(W)``, y_i = -1 or 1

    With more than two classes, ``sum_k c_k sum_i s_i (log sum_c exp(eta_ic) - eta_iy_i) + sum_c R(W_c)`` with
    ``eta_ic = x_i w_kc + b_kc``: every task has the same classes, and the relation acts on the (t, d) coefficients of
    each class. A class that a task never shows is allowed; its chance there is near 0.

    Parameters
    ----------
    relation : Relation, optional
        What ties the tasks together; None means ``Pairwise(1.0)``. A strength of "auto" is chosen by 5-fold
        cross-validation within tasks, on the held-out log loss.
    weighting, intercept, standardize, solver, task_column, warm_start
        As in `MultiTaskRegressor`; the solver is that of the Newton steps.
    tol : float
        Relative duality gap to reach; for quadratic relations the relative gradient norm.
    max_iter : int
        Newton steps (at most 200).
    class_weight : "balanced", {class: weight} or None
        Multiplies the weights of a class's labels; "balanced" lets the classes that a task has weigh alike in it.

    Attributes
    ----------
    classes_ : array (C,)
        Sorted; the same for all tasks.
    coef_ : array (t, d), or (t, C, d) with more than two classes
        Change of the log-odds of ``classes_[1]`` per unit of each column; of several classes, of each one's log weight.
    intercept_ : array (t,), or (t, C)
        Log-odds, or log weights, at 0.
    tasks_, n_labels_, objective_, residual_, n_iter_, relation_, strengths_, path_, n_features_in_
        As in `MultiTaskRegressor`; `n_iter_` counts Newton steps, the path's errors are held-out log losses.

    Raises
    ------
    InputError
        For input or parameters that cannot be used, labels of one class, or numbers that are no classes.

    References
    ----------
    Evgeniou, Pontil: Regularized multi-task learning, 2004, KDD. Lee, Sun, Saunders: Proximal Newton-type methods for
    minimizing composite functions, 2014, SIAM J. Optimization 24.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [0.0], [1.0], [2.0], [3.0]])
    >>> y = ["no", "no", "yes", "yes", "no", "yes", "no", "yes"]
    >>> tasks = ["a"] * 4 + ["b"] * 4
    >>> model = MultiTaskClassifier().fit(X, y, tasks)
    >>> model.predict([[0.0], [3.0]], tasks=["b", "a"])
    array(['no', 'yes'], dtype='<U3')
    >>> model.predict_proba([[3.0]], tasks=["a"]).shape
    (1, 2)
    """

    transfer_ = TRANSFER_OF_CLASSES
    leave_task_out_ = LEAVE_TASK_OUT

    def __init__(
        self,
        relation: Relation | None = None,
        *,
        weighting: str = "sample",
        intercept: str = "free",
        standardize: bool = True,
        solver: str = "auto",
        tol: float = 1e-6,
        max_iter: int = 200,
        class_weight: Mapping[Any, float] | str | None = None,
        task_column: Hashable | None = None,
        warm_start: bool = False,
    ) -> None:
        self.relation = relation
        self.weighting = weighting
        self.intercept = intercept
        self.standardize = standardize
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.task_column = task_column
        self.warm_start = warm_start

    def leave_task_out(
        self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None, *, method: str = "auto"
    ) -> Array:
        """Say what removing each task's labels would do to the others' leave-one-out log loss.

        One Newton step from the solution under quadratic relations, `SharedSparsity`, `Sparse` or `TraceNorm` ("auto");
        or by fits without each task in 5 folds ("refit"), of any relation. With "auto" it sets `transfer_` too.

        Parameters
        ----------
        X, y, tasks, sample_weight
            Those of fit.
        method : {"auto", "refit"}
            As above; `leave_task_out_method_` says how it went.

        Returns
        -------
        array (t, t): by how much task i's error (row) rises without task j (column); NaN on the diagonal

        Raises
        ------
        InputError
            For rows that are not those of fit; for another relation, or more than two classes, with method="auto".
        """
        return leave_task_out_of_classes(self, X, y, tasks, sample_weight, method)

    def _fitted(self, X: Any, y: Any, tasks: Any, sample_weight: Any) -> dict[str, Any]:
        """Everything that fit learns, by attribute name."""
        X, tasks = reading.split_task_column(X, tasks, self.task_column)
        probe = reading.Probe()
        X = reading.features(probe, X, reset=True, sparse_too=True)
        classes, encoded = encode_classes(y)
        layout, design = reading.design(X, encoded, tasks, sample_weight)
        design = replace(design, weights=class_weights(design, classes, self.class_weight))
        tell_single_classes(design.tasks, _single(design.y, design.codes, design.n_tasks))
        relation = chosen_relation(self.relation).bind(design.tasks.tolist())
        check_names(relation, getattr(probe, "feature_names_in_", None))
        start = getattr(self, "_end", None) if self.warm_start else None
        found, facts = learned(design, layout, relation, self._model(len(classes)), start)
        coef, intercept = tasks_first(found)
        end = found.start if self.warm_start else None
        own = {"coef_": coef, "intercept_": intercept, "classes_": classes, "_end": end}
        return vars(probe) | facts | own

    def _model(self, n_classes: int) -> LossModel:
        loss = Logistic() if n_classes == 2 else Multinomial(n_classes)
        return LossModel(
            loss,
            self.weighting,  # type: ignore[arg-type]
            self.intercept,  # type: ignore[arg-type]
            self.standardize,
            self.solver,
            self.tol,
            self.max_iter,
        )


def _single(y: Array, codes: NDArray[np.intp] | None, n_tasks: int) -> NDArray[np.bool_]:
    """(t,) whether a task's labels are all of one class."""
    if codes is None:
        return np.asarray(np.nanmin(y, axis=0) == np.nanmax(y, axis=0))
    low, high = np.full(n_tasks, np.inf), np.full(n_tasks, -np.inf)
    np.minimum.at(low, codes, y)
    np.maximum.at(high, codes, y)
    return low == high
