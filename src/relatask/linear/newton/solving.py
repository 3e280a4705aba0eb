"""From rows, labels and a loss to coefficients: the objective that is minimised, and the answer in original units."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.features import prices_features, restored, taken_apart
from relatask.linear.fitting import components_of
from relatask.linear.losses import AnyLoss, ByTask, Loss, Multinomial, RootSquared
from relatask.linear.losses.squared import Intercept, Weighting
from relatask.linear.newton.classes import class_term
from relatask.linear.newton.driver import newton
from relatask.linear.newton.featured import featured
from relatask.linear.newton.learning import alternated, learns, smoothed
from relatask.linear.newton.local import DataTerm
from relatask.linear.newton.per_class import per_class
from relatask.linear.newton.prepare import Prepared, prepared, row_term, widened
from relatask.linear.newton.root import root_term
from relatask.linear.problem import Columns, Solution
from relatask.linear.solvers.auto import Start
from relatask.linear.sums.forms import Array
from relatask.relations import Relation, Smooth, parts

NEAR, NEAR_STEPS = 1e-2, 20
"""How far the way to a narrow Huber loss is followed through wider ones."""


@dataclass(frozen=True, eq=False)
class LossStart:
    """Where an earlier solve ended: coefficients and intercepts on its own scale, and its last step's solver."""

    W: Array
    b: Array
    inner: Start | None


@dataclass(frozen=True, eq=False)
class LossSolution:
    """What `solve_loss` returns.

    Attributes
    ----------
    coef : (t, d) in original units; (C, t, d) of C classes.
    intercept : (t,); (C, t) of C classes.
    W : what the relation acts on: (t, d) on standardised features, (t, d + 1) with tied intercepts; (C, t, .) of C
        classes.
    solution : objective, residual, n_iter, solver, certified (its W is the solver's own).
    start : LossStart, for a solve nearby.
    components : the (t, d) matrices in original units that the coefficients are the sum of, by name; of one class.
    """

    coef: Array
    intercept: Array
    W: Array
    solution: Solution
    start: LossStart
    components: dict[str, Array] = field(default_factory=dict)


def solve_loss(
    X: Any,
    y: Array,
    codes: NDArray[np.integer] | None,
    loss: AnyLoss,
    relation: Relation,
    *,
    n_tasks: int,
    weights: Array | None = None,
    weighting: Weighting = "sample",
    intercept: Intercept = "free",
    standardize: bool = True,
    solver: str = "auto",
    tol: float = 1e-6,
    max_iter: int = 100,
    start: LossStart | None = None,
    task_weight: Array | None = None,
) -> LossSolution:
    """Minimise sum_k c_k sum_i s_i loss(x_i w_k + b_k, y_i) + R(W).

    Relations act on standardised features, and c_k are as for the squared loss. A task whose labels all lie at the
    loss's edge (one class only, all counts 0), and whose intercept is free, has it at -30 or 30 instead of infinity.

    Parameters
    ----------
    X : (n, d)
        float32 or float64, finite; or CSR, never made dense.
    y : (n,) or (n, t)
        Without NaN where `codes` are given; else NaN where a label is missing.
    codes : (n,) or None
        Task of each row; None where tasks are columns of y.
    loss : Loss, ByTask, RootSquared or Multinomial
        Of `relatask.linear.losses`.
    relation : Relation
        Convex, smooth or learning from W, bound to the tasks, with numbers for strengths.
    n_tasks : int
        t.
    weights : (n,) or (n, t), optional
        Of rows, or of labels where tasks are columns; >= 0. Columns are standardised by a row's largest weight.
    weighting, intercept, standardize
        As the estimators take them.
    solver : str
        Of the steps.
    tol : float
        Relative gradient norm for quadratic relations, relative duality gap for the others.
    max_iter : int
        Newton steps at most.
    start : LossStart, optional
        Of an earlier solve on the same tasks and columns.
    task_weight : (t,), optional
        Multiplies the c_k last.

    Raises
    ------
    InputError
        For labels that the loss cannot have, a loss by task of another number of tasks, a whole model
        (TaskRelationNetwork, HierarchicalPrior); with several classes, for a relation that is not convex.

    Examples
    --------
    >>> import numpy as np
    >>> from relatask.linear.losses import Logistic
    >>> from relatask.relations import Ridge
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.0, 1.0, 0.0, 1.0])
    >>> found = solve_loss(X, y, np.zeros(4, dtype=int), Logistic(), Ridge(0.1), n_tasks=1)
    >>> found.coef.shape, found.solution.residual < 1e-6
    ((1, 1), True)
    """
    shape = prepared(X, y, codes, n_tasks, weights, weighting, intercept, standardize)
    if task_weight is not None:
        shape = replace(shape, c=shape.c * task_weight)
    data = data_term(shape, loss)
    return solve_prepared(shape, data, loss, relation, solver=solver, tol=tol, max_iter=max_iter, start=start)


def solve_prepared(
    shape: Prepared,
    data: DataTerm,
    loss: AnyLoss,
    relation: Relation,
    *,
    solver: str,
    tol: float,
    max_iter: int,
    start: LossStart | None = None,
) -> LossSolution:
    """The same for rows that are prepared, of which `data` is the loss: once for many relations."""
    n_tasks = len(shape.weight)
    whole = relation
    Q, relation = taken_apart(relation, Columns.scaled(shape.scale, shape.shape[1]))
    data = featured(data, Q)
    if isinstance(loss, Multinomial):
        relation = per_class(relation, loss.n_classes)
    first = None
    if start is not None and start.W.shape == data.shape:
        first = (start.W, start.b, start.inner)
    bent = any(isinstance(part, Smooth) for part in parts(relation))
    if first is None and isinstance(loss, Loss | ByTask) and not learns(relation) and not bent:
        for wide in widened(loss, shape):
            _, near, _ = newton(
                featured(row_term(shape, wide), Q), relation, solver=solver, tol=NEAR, max_iter=NEAR_STEPS, start=first
            )
            first = (near.W, near.b, None)
    minimise = smoothed if bent else alternated if learns(relation) else newton
    solution, point, inner = minimise(data, relation, solver=solver, tol=tol, max_iter=max_iter, start=first)
    if solution.relation is not None and prices_features(whole):
        solution = replace(solution, relation=restored(whole, solution.relation))
    n_classes = loss.n_classes if isinstance(loss, Multinomial) else 1
    own = point.W.reshape(n_tasks, n_classes, -1).swapaxes(0, 1)
    coef, offset = shape.original(own, np.broadcast_to(point.b, (n_tasks, n_classes)).T)
    pieces: dict[str, Array] = {}
    if n_classes == 1:
        coef, offset, own = coef[0], offset[0], own[0]
        summands = components_of(relation, solution, own, np.arange(own.shape[1]))
        level = np.zeros((1, n_tasks))
        pieces = {name: shape.original(piece[None], level)[0][0] for name, piece in summands.items()}
    return LossSolution(coef, offset, own, solution, LossStart(point.W, point.b, inner), pieces)


def data_term(shape: Prepared, loss: AnyLoss) -> DataTerm:
    """The loss of prepared rows, as Newton's method sees it."""
    if isinstance(loss, RootSquared):
        return root_term(shape)
    return class_term(shape, loss) if isinstance(loss, Multinomial) else row_term(shape, loss)


__all__ = ["LossSolution", "LossStart", "solve_loss", "solve_prepared"]
