"""The classifier that chooses its relation's strengths."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

from relatask.linear.choosing.roads import AUTOMATIC, classification, facts
from relatask.linear.choosing.settings import Settings
from relatask.linear.classifier import MultiTaskClassifier
from relatask.linear.linear_classifier import LinearClassifier
from relatask.linear.multitask import chosen_relation
from relatask.linear.sums.forms import Array
from relatask.relations import Relation

PLAIN = (
    *("weighting", "intercept", "standardize", "solver", "tol", "max_iter", "class_weight", "task_column"),
    *("warm_start",),
)
"""Parameters of the model that is fitted in the end."""


class MultiTaskClassifierCV(LinearClassifier):
    """`MultiTaskClassifier` with the strengths of its relation chosen on the log loss of labels held out.

    Parameters
    ----------
    relation : Relation, optional
        None means ``Pairwise("auto")``. Of its strengths those are chosen that are "auto" or named in `strengths`; all
        of them, where none is.
    strengths : sequence of numbers >= 0, mapping from names to sequences, or None
        Values to try, by the names that `strengths_` has; None takes a grid.
    cv : int, splitter, iterable of (train, test) pairs, or None
        As in `MultiTaskRegressorCV`; None means 5 folds drawn within tasks.
    rule : {"best", "one_se"}
        The least log loss; or the strongest relation within one standard error of it.
    scoring : {"overall", "task"}
        The mean over all labels; or the mean over tasks of each task's mean.
    weighting, intercept, standardize, solver, tol, max_iter, class_weight, task_column, warm_start
        As in `MultiTaskClassifier`.

    Attributes
    ----------
    strengths_, path_, cv_errors_, cv_standard_errors_, task_errors_, best_per_task_, left_out_
        As in `MultiTaskRegressorCV`; errors are mean log losses.
    coef_, intercept_, classes_, tasks_, relation_, objective_, residual_, n_iter_, n_labels_
        And all else that `MultiTaskClassifier` learns.

    Raises
    ------
    InputError
        For input or parameters that cannot be used, folds that hold nothing out.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> tasks = np.repeat(["a", "b"], 20)
    >>> X = rng.normal(size=(40, 2))
    >>> y = X[:, 0] + 0.5 * rng.normal(size=40) > 0
    >>> model = MultiTaskClassifierCV(strengths=[0.01, 0.1, 1.0], cv=3).fit(X, y, tasks)
    >>> model.cv_errors_.shape, model.task_errors_.shape
    ((3,), (3, 2))
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
        cv: int | Iterable[Any] | Any | None = None,
        rule: str = "best",
        scoring: str = "overall",
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
        self.strengths = strengths
        self.cv = cv
        self.rule = rule
        self.scoring = scoring
        self.weighting = weighting
        self.intercept = intercept
        self.standardize = standardize
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.task_column = task_column
        self.warm_start = warm_start

    def fit(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None, groups: Any = None) -> Self:
        """Choose the strengths, then fit all tasks together on all rows.

        Parameters
        ----------
        X, y, tasks, sample_weight
            As in `MultiTaskClassifier`.
        groups : (n,), optional
            The group of each row, for splitters that keep groups together, such as `GroupKFold`.

        Returns
        -------
        self
        """
        self._check_parameters()
        return self._stored(self._fitted(X, y, tasks, sample_weight, groups))

    def _fitted(self, X: Any, y: Any, tasks: Any, sample_weight: Any, groups: Any = None) -> dict[str, Any]:
        """Everything that fit learns, by attribute name."""
        relation = AUTOMATIC if self.relation is None else chosen_relation(self.relation)
        params = {name: getattr(self, name) for name in PLAIN}
        model_of = self._plain(relation)._model
        found, path = classification(params, relation, self._settings, model_of, X, y, tasks, sample_weight, groups)
        plain = self._plain(found)
        plain._end = getattr(self, "_end", None)
        return plain._fitted(X, y, tasks, sample_weight) | facts(path)

    def _plain(self, relation: Relation) -> MultiTaskClassifier:
        plain = MultiTaskClassifier(relation)
        for name in PLAIN:
            setattr(plain, name, getattr(self, name))
        return plain

    @property
    def _settings(self) -> Settings:
        return Settings(self.strengths, self.cv, self.rule, self.scoring)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._settings.check()
