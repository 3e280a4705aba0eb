"""The regressor that chooses its relation's strengths."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from relatask.linear.base import LinearMultiTask
from relatask.linear.choosing.grid import open_names
from relatask.linear.choosing.roads import AUTOMATIC, facts, regression
from relatask.linear.choosing.settings import Settings
from relatask.linear.estimators import MultiTaskRegressor
from relatask.linear.losses import AnyLoss
from relatask.linear.multitask import chosen_relation
from relatask.linear.streaming.choosing import learned_with_choice
from relatask.linear.sums.forms import Array
from relatask.relations import Relation, strengths, with_parameters

PLAIN = (
    *("weighting", "intercept", "standardize", "solver", "tol", "max_iter", "task_column", "warm_start"),
    *("scale_targets", "task_weight", "missing_features", "loss", "track_rows"),
)
"""Parameters of the model that is fitted in the end."""


class MultiTaskRegressorCV(LinearMultiTask):
    """`MultiTaskRegressor` with the strengths of its relation chosen by what the data say.

    Leave-one-out needs no refits where the loss is squared and the relation quadratic: label i's error without it is
    ``(y_i - yhat_i) / (1 - h_i)``, h_i = d yhat_i / d y_i, for a whole grid at the cost of a few fits. It is exact for
    the loss weights c_k and the standardisation that all rows gave. Labels with h_i = 1 are left out and counted.

    Parameters
    ----------
    relation : Relation, optional
        None means ``Pairwise("auto")``. Of its strengths those are chosen that are "auto" or named in `strengths`; all
        of them, where none is. A relation without strengths (`HierarchicalPrior`) is just fitted.
    strengths : sequence of numbers >= 0, mapping from names to sequences, or None
        Values to try, by the names that `strengths_` has; None takes a grid: 25 values of one
        strength, 9 each of two, and without refits 9 each again about the best.
    cv : {"loo", "gcv", "reml"}, int, splitter, iterable of (train, test) pairs, or None
        Leave-one-out; generalised cross-validation (from sums alone); restricted maximum likelihood of the Gaussian
        model whose posterior mode is the fit (empirical Bayes: any number of strengths, by gradients, no grid); folds
        drawn within tasks; a splitter of scikit-learn, which sees ``groups`` of fit. `TimeSeriesSplit` cuts the rows of
        each task in the order in which they stand: use it where rows are a series, because folds are drawn at random.
        None takes leave-one-out where it is exact, else 5 folds within tasks.
    rule : {"best", "one_se"}
        The least error; or the strongest relation within one standard error of it.
    scoring : {"overall", "task"}
        Errors of all labels together; or the mean over tasks of each task's error in units of its labels' variance
        (of their deviation under ``loss="root_squared"``, of 1 for counts).
    pairs : bool
        With a `Graph` in the relation: whether every given edge has a weight of its own to choose, by "reml".
    weighting, intercept, standardize, solver, tol, max_iter, task_column, warm_start
        As in `MultiTaskRegressor`.
    scale_targets, task_weight, missing_features, loss, track_rows
        As in `MultiTaskRegressor`.

    Attributes
    ----------
    strengths_ : dict of str to float
        The strengths by name.
    path_ : Path or None
        All that was tried; None where there was nothing to choose.
    cv_errors_ : array (m,)
        What was lowered, in the order of ``path_.strengths``: mean errors, or the criterion of "gcv" or "reml" (minus
        two log likelihoods, up to a constant, at the points of the search).
    cv_standard_errors_ : array (m,) or None
        Of the mean errors: labels count as independent under leave-one-out, else folds do.
    task_errors_ : array (m, t) or None
        Mean errors of each task's own labels.
    best_per_task_ : array (t, q) or None
        Which strengths would have been best for each task alone; reported only.
    left_out_ : int
        Labels that fit themselves, and say nothing about a strength.
    coef_, intercept_, tasks_, relation_, scale_, objective_, residual_, n_iter_, n_labels_
        And all else that `MultiTaskRegressor` learns; `as_regressor` gives one.

    Raises
    ------
    InputError
        For input or parameters that cannot be used, a criterion that this relation or loss does not have, folds that
        hold nothing out.

    References
    ----------
    Allen: The relationship between variable selection and data augmentation, 1974, Technometrics 16. Golub, Heath,
    Wahba: Generalized cross-validation, 1979, Technometrics 21. Patterson, Thompson: Recovery of inter-block
    information when block sizes are unequal, 1971, Biometrika 58. Breiman and others: Classification and regression
    trees, 1984 (the rule of one standard error).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> tasks = np.repeat(["a", "b", "c"], 10)
    >>> X = rng.normal(size=(30, 2))
    >>> y = X @ [1.0, -1.0] + (tasks == "b") + 0.5 * rng.normal(size=30)
    >>> model = MultiTaskRegressorCV().fit(X, y, tasks)
    >>> model.path_.criterion, len(model.cv_errors_), model.left_out_
    ('loo', 25, 0)
    >>> bool(model.cv_errors_.min() < 0.4)
    True
    """

    # Groups travel with the rows as tasks do.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"tasks": True, "groups": True}

    cv_errors_: Array | None
    cv_standard_errors_: Array | None
    task_errors_: Array | None
    best_per_task_: Array | None
    left_out_: int

    def __init__(
        self,
        relation: Relation | None = None,
        *,
        strengths: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
        cv: int | str | Iterable[Any] | Any | None = None,
        rule: str = "best",
        scoring: str = "overall",
        pairs: bool = False,
        weighting: str = "sample",
        intercept: str = "free",
        standardize: bool = True,
        solver: str = "auto",
        tol: float = 1e-6,
        max_iter: int = 10_000,
        task_column: Hashable | None = None,
        warm_start: bool = False,
        scale_targets: bool = False,
        task_weight: Mapping[Any, float] | ArrayLike | None = None,
        missing_features: str = "error",
        loss: str | AnyLoss = "squared",
        track_rows: bool = False,
    ) -> None:
        self.relation = relation
        self.strengths = strengths
        self.cv = cv
        self.rule = rule
        self.scoring = scoring
        self.pairs = pairs
        self.weighting = weighting
        self.intercept = intercept
        self.standardize = standardize
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.task_column = task_column
        self.warm_start = warm_start
        self.scale_targets = scale_targets
        self.task_weight = task_weight
        self.missing_features = missing_features
        self.loss = loss
        self.track_rows = track_rows

    def fit(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None, groups: Any = None) -> Self:
        """Choose the strengths, then fit all tasks together on all rows.

        Parameters
        ----------
        X, y, tasks, sample_weight
            As in `MultiTaskRegressor`.
        groups : (n,), optional
            The group of each row, for splitters that keep groups together, such as `GroupKFold`.

        Returns
        -------
        self
        """
        self._check_parameters()
        return self._stored(self._fitted(X, y, tasks, sample_weight, groups))

    def fit_batches(self, batches: Iterable[Any], *, progress: Callable[[int], object] | None = None) -> Self:
        """Choose the strengths by "gcv" or "reml", or by five folds (``cv=None``), from sums of rows in batches.

        Parameters
        ----------
        batches, progress
            As in `MultiTaskRegressor`.

        Returns
        -------
        self

        Raises
        ------
        InputError
            As in `MultiTaskRegressor`; for a criterion that needs rows.
        """
        self._check_parameters()
        found = learned_with_choice(self._plain, self._asked(), self._settings, batches, progress)
        return self._stored(found | facts(found["path_"]))

    def predict(self, X: Any, tasks: Any = None) -> Any:
        """Predict each row for its own task, or for every task.

        Parameters
        ----------
        X, tasks
            As in `MultiTaskRegressor`.
        """
        return self._predicted(X, tasks)

    def as_regressor(self) -> MultiTaskRegressor:
        """Give a fitted `MultiTaskRegressor` with the chosen relation, for all that it can tell.

        Raises
        ------
        NotFittedError
            Before fit.
        """
        check_is_fitted(self)
        plain = self._plain(self.relation_)
        for name, value in vars(self).items():
            if (name.endswith("_") or name.startswith("_")) and name not in facts(None):
                setattr(plain, name, value)
        plain.path_ = self.path_
        return plain

    def _fitted(self, X: Any, y: Any, tasks: Any, sample_weight: Any, groups: Any = None) -> dict[str, Any]:
        """Everything that fit learns, by attribute name."""
        params = {name: getattr(self, name) for name in PLAIN}
        relation, path = regression(params, self._asked(), self._settings, X, y, tasks, sample_weight, groups)
        plain = self._plain(relation)
        plain._end = getattr(self, "_end", None)
        return plain._fitted(X, y, tasks, sample_weight) | facts(path)

    def _plain(self, relation: Relation) -> MultiTaskRegressor:
        plain = MultiTaskRegressor(relation)
        for name in PLAIN:
            setattr(plain, name, getattr(self, name))
        return plain

    def _asked(self) -> Relation:
        return AUTOMATIC if self.relation is None else chosen_relation(self.relation)

    def _relation(self) -> Relation:
        """For rows that come later: strengths stay as they were chosen, and so do weights of edges."""
        if self.pairs and hasattr(self, "relation_"):
            return self.relation_
        asked = self._asked()
        names = open_names(asked, self.strengths) if strengths(asked) else ()
        return with_parameters(asked, **dict.fromkeys(names, "auto")) if names else asked

    @property
    def _pooled(self) -> bool:
        return False

    @property
    def _settings(self) -> Settings:
        return Settings(self.strengths, self.cv, self.rule, self.scoring, self.pairs)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._plain(self._asked())._check_parameters()
        self._settings.check()
