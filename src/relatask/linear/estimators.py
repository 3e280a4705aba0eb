"""Linear regression of related tasks under a relation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relatask.linear.base import LinearMultiTask
from relatask.linear.influence import attributes
from relatask.linear.influence.intervals import deviations, predict_interval
from relatask.linear.influence.leave import leave_task_out
from relatask.linear.losses import AnyLoss
from relatask.linear.losses.named import chosen_loss
from relatask.linear.multitask import chosen_relation
from relatask.notices import InputError
from relatask.relations import Relation


class MultiTaskRegressor(LinearMultiTask):
    """Linear regression of related tasks under a relation, solved to a certificate.

    ``min over W, b   sum_k c_k sum_i s_i 1/2 (x_i w_k + b_k - y_i)^2 + R(W)``

    with c_k = 1 (``weighting="sum"``), 1/n_k (``"task"``) or t/N (``"sample"``: scikit-learn's 1/(2n) where all tasks
    share their rows). The relation R acts on standardised features unless ``standardize=False``; coefficients are
    reported in original units.

    Parameters
    ----------
    relation : Relation, optional
        What ties the tasks together; None means ``Pairwise(1.0)``. A strength of "auto" is chosen by 5-fold
        cross-validation within tasks, on pooled squared error.
    weighting : {"sample", "task", "sum"}
        The loss weights c_k.
    intercept : {"free", "tied", "common", "none"}
        One a task, unpenalised; one a task, joined to W under the relation; one for all tasks; none. Tied and common
        intercepts are those at the mean of the features, where these are standardised.
    standardize : bool
        Whether the relation sees columns of mean 0 and standard deviation 1 over all rows that have a label
        (scaled only, not centred, where there is no intercept).
    solver : {"auto", "direct", "admm", "fista", "working_sets"}
        "auto" solves quadratic relations directly, row sparsity and sparse entries (alone or with `Ridge`) of many
        features on working sets, and others by the alternating direction method of multipliers.
    tol : float
        Relative duality gap to reach; for quadratic relations the relative gradient norm.
    max_iter : int
        Of iterative solvers.
    task_column : optional
        Name of the column of a frame X that holds the tasks.
    warm_start : bool
        Begin where the last fit ended.
    track_rows : bool
        Keep 64 bits of every label that was learned from (with its features, task and weight; 8 bytes a label, saved
        with the model), so that `forget` tells exactly, by row, what was never added.
    scale_targets : bool
        Whether each task's labels are divided by their standard deviation (weighted, over training labels; 1 where
        they are constant) before the relation acts, for targets of different units. Coefficients and intercepts are
        in original units; `objective_` and the errors of `path_` are those of the scaled targets.
    task_weight : mapping from labels to weights, or array (t,), optional
        Weights > 0 that multiply the c_k last; tasks that a mapping does not name have weight 1.
    missing_features : {"error", "block"}
        "block": a column that is NaN in all rows of a task (tasks as groups of rows) is a feature that this task does
        not have; its data say nothing of that coefficient, and only the relation does.
    loss : {"squared", "root_squared", "huber", "poisson"}, or a loss of `relatask.linear.losses`
        "root_squared": the root of each task's mean square, which calibrates to its noise. "huber": ``Huber(1.35)``,
        in units of y (with `scale_targets` of its standard deviation). "poisson": counts; predictions are means.

    Attributes
    ----------
    coef_, intercept_ : array (t, d), array (t,)
        In units of y per unit of each column; in units of y.
    tasks_ : array (t,)
        Labels: sorted for groups, in column order for columns.
    objective_ : float
        The value of the formula above at the solution.
    residual_ : float
        Certified relative duality gap where a norm is among the parts, else the relative norm of the gradient.
    n_iter_ : int
        Iterations; 1 where the solve was exact.
    relation_ : Relation
        Bound to the tasks, every strength a number, with what it learned: `relation_.covariance`, for example.
    components_ : dict of str to array (t, d)
        What `coef_` is the sum of, by name, under a relation of W as a sum; else empty.
    strengths_ : dict of str to float
        The strengths by name.
    path_ : Path or None
        Strengths tried and their errors, where one was "auto".
    scale_ : array (d,)
        Standard deviations of the columns over all rows that have a label, 1 where one is constant.
    target_scale_ : array (t,)
        Standard deviations of the tasks' labels with ``scale_targets=True``, else ones.
    absent_, fill_ : array (t, d) of bool, or None; array (d,)
        Features that a task does not have; what they are taken to be: the origin that features are measured from.
    n_labels_ : array (t,)
        Observed labels.
    drift_ : Drift or None
        After `partial_fit`: by task, whether the new rows' errors under the model before them were to be expected.
    n_features_in_, feature_names_in_ : int, array (d,)
        Columns that fit saw, and their names where X was a frame.
    transfer_ : array (t, t)
        ``T_ij = ||H_ij||_F^2 / sum_j ||H_ij||_F^2``, H the map from labels to fitted values: rows learn, columns teach,
        each row sums to 1. A row of weight 2 counts as two. Computed when asked for, as are the next three, under
        quadratic relations and `HierarchicalPrior`.
    degrees_of_freedom_, noise_ : array (t,)
        Traces of the blocks H_kk; residual variances of a label of weight 1, sum_i s_i r_i^2 / (labels - degrees of
        freedom), NaN where none are left. Under `HierarchicalPrior` the noise it learned.
    standard_errors_ : array (t, d)
        Of `coef_`: posterior standard deviations, the relation read as a Gaussian prior. They cover on average over
        tasks, not for each; where coefficients are not determined they are those of the smallest ones.
    leave_task_out_, leave_one_out_ : array (t, t), (t,)
        Once `leave_task_out` was called: its answer, and each task's own error.

    Raises
    ------
    InputError
        For input or parameters that cannot be used.

    References
    ----------
    Evgeniou, Micchelli, Pontil: Learning multiple tasks with kernel methods, 2005, JMLR 6, equations 1 and 11.

    Examples
    --------
    >>> import numpy as np
    >>> from relatask.linear import MultiTaskRegressor
    >>> from relatask.relations import Pairwise
    >>> X = np.array([[0.0], [1.0], [2.0], [0.0], [1.0], [2.0]])
    >>> y = np.array([0.0, 1.0, 2.0, 1.0, 2.0, 3.0])
    >>> tasks = ["a", "a", "a", "b", "b", "b"]
    >>> model = MultiTaskRegressor(Pairwise(0.1)).fit(X, y, tasks)
    >>> model.coef_.round(6), model.intercept_.round(6)
    (array([[1.],
           [1.]]), array([0., 1.]))
    >>> model.predict([[3.0]], tasks=["b"]).round(6)
    array([4.])
    """

    transfer_ = attributes.TRANSFER
    leave_task_out_ = attributes.LEAVE_TASK_OUT
    degrees_of_freedom_ = attributes.DEGREES
    noise_ = attributes.NOISE
    standard_errors_ = attributes.ERRORS

    def __init__(
        self,
        relation: Relation | None = None,
        *,
        weighting: str = "sample",
        intercept: str = "free",
        standardize: bool = True,
        solver: str = "auto",
        tol: float = 1e-6,
        max_iter: int = 10_000,
        task_column: Hashable | None = None,
        warm_start: bool = False,
        track_rows: bool = False,
        scale_targets: bool = False,
        task_weight: Mapping[Any, float] | ArrayLike | None = None,
        missing_features: str = "error",
        loss: str | AnyLoss = "squared",
    ) -> None:
        self.relation = relation
        self.loss = loss
        self.scale_targets = scale_targets
        self.task_weight = task_weight
        self.missing_features = missing_features
        self.weighting = weighting
        self.intercept = intercept
        self.standardize = standardize
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.task_column = task_column
        self.warm_start = warm_start
        self.track_rows = track_rows

    def predict(self, X: Any, tasks: Any = None, *, return_std: bool = False) -> Any:
        """Predict each row for its own task, or for every task.

        Parameters
        ----------
        X : (n, d)
            Features, as in fit.
        tasks : (n,), optional
            The task of each row; needed where the model was fitted with tasks.
        return_std : bool
            Whether to give standard deviations too, of labels about their predictions: of models under a quadratic
            relation or a `HierarchicalPrior`. Intervals made of them cover on average over tasks, not for each task.

        Returns
        -------
        predictions : (n,), or (n, t) where the model was fitted on y (n, t); in the units of y
        std : the same shape, with `return_std`

        Raises
        ------
        InputError
            For a task that fit has not seen, unless the relation knows of it (`TaskDescriptors`, `HierarchicalPrior`);
            for tasks missing where they are needed; for `return_std` under another relation or loss.

        Notes
        -----
        A task never seen has the coefficients that the relation extrapolates, under a prior its mean. With tied
        intercepts its own comes with them; with others it is the fitted tasks' mean, weighted, at the features' means.
        """
        mean = self._predicted(X, tasks)
        if not return_std:
            return mean
        X, codes = self._rows(X, tasks)
        return mean, deviations(self, X, codes, "return_std")[0]

    def predict_interval(self, X: Any, tasks: Any = None, level: float = 0.95) -> tuple[NDArray, NDArray]:
        """Give intervals that hold labels of weight 1: prediction -+ t quantile x standard deviation.

        ``var = noise_k (1 + c_k z' M_kk z)``, M = (H + P)^-1 read as a posterior covariance; noise_k is the task's
        residual variance pooled towards the common one as far as the tasks' differences allow, and the quantile has the
        degrees of freedom of that (Smyth 2004). Under `HierarchicalPrior` the variance is its posterior's.

        Parameters
        ----------
        X, tasks
            As in predict.
        level : float
            Share of labels to hold, on average over tasks and at a strength that suits the data: not for each task.
            Intervals of tasks that are unlike the others hold less, those of others more.

        Returns
        -------
        lower, upper : (n,) or (n, t), as predictions

        Raises
        ------
        InputError
            For a level outside of (0, 1), as predict for X and tasks, and where predictions are not linear in labels.
        """
        return predict_interval(self, X, tasks, level)

    def standard_errors(self, kind: str = "posterior") -> NDArray:
        """Give `standard_errors_`, or of kind "sandwich" those of estimates over new labels, without their bias."""
        return attributes.standard_errors(self, kind)

    def leave_task_out(
        self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None, *, method: str = "auto"
    ) -> NDArray:
        """Say what removing each task's labels would do to the others: which tasks teach, and which mislead.

        ``L_ij = mean over rows a of task i of  e_a(without j)^2 - e_a(with all)^2``, e_a leave-one-out errors, rows
        weighted. Rows learn, columns teach, as in `transfer_`: L_ij > 0 means that task j's labels help task i.
        Relation, strengths, standardisation and loss weights stay; rows of leverage 1 are left out.

        Parameters
        ----------
        X, y, tasks, sample_weight
            Those of fit: leave-one-out errors need the rows, which a model does not keep.
        method : {"auto", "refit"}
            "auto": exact under squared loss and quadratic relations (or `HierarchicalPrior`, at what it learned); under
            other losses and some norms one Newton step. "refit": t + 1 fits in each of 5 folds.

        Returns
        -------
        array (t, t)
            In squared units of the labels; under other losses in those of the loss. NaN on the diagonal. Stored;
            `leave_task_out_method_` is "exact", "one Newton step" or "refit".

        Raises
        ------
        InputError
            For rows that are not those of fit; for a relation that has no closed form, with method="auto".

        Examples
        --------
        >>> import numpy as np
        >>> from relatask.linear import MultiTaskRegressor
        >>> rng = np.random.default_rng(0)
        >>> X, tasks = rng.normal(size=(60, 3)), np.repeat(["a", "b", "odd"], 20)
        >>> y = X @ [1.0, 2.0, 3.0] * np.where(tasks == "odd", -1.0, 1.0) + rng.normal(size=60)
        >>> np.sign(MultiTaskRegressor().fit(X, y, tasks).leave_task_out(X, y, tasks))
        array([[nan,  1., -1.],
               [ 1., nan, -1.],
               [-1., -1., nan]])
        """
        return leave_task_out(self, X, y, tasks, sample_weight, method)

    def _relation(self) -> Relation:
        return chosen_relation(self.relation)

    @property
    def _pooled(self) -> bool:
        return False

    def _check_parameters(self) -> None:
        super()._check_parameters()
        chosen_loss(self.loss)
        if self.missing_features not in ("error", "block"):
            raise InputError(f"missing_features={self.missing_features!r} is unknown; expected 'error' or 'block'.")
        if not isinstance(self.scale_targets, bool | np.bool_):
            raise InputError(f"scale_targets={self.scale_targets!r} is not usable; expected True or False.")
