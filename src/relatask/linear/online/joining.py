"""A new task beside those that are fitted: its coefficients given everything else as it was learned."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.features import taken_apart
from relatask.linear.input.targets import task_weights
from relatask.linear.online.drift import task_form
from relatask.linear.online.prior_joining import longer_uncertainty
from relatask.linear.problem import Columns
from relatask.linear.sums.absent import measured_from
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.linear.unseen import extrapolates
from relatask.notices import InputError
from relatask.relations import (
    Alternating,
    HierarchicalPrior,
    LearnedCovariance,
    Relation,
    Smooth,
    is_quadratic,
    parts,
    split,
)

LOST = 16 * float(np.finfo(np.float64).eps)
"""Eigenvalues below this share of the largest, times their number, are rounding."""


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Where the relation acts: features over `scale` (d,), less `center` (d,); with tied intercepts a level behind."""

    scale: Array
    center: Array
    intercept: str

    @classmethod
    def of(cls, model: Any, before: Statistics) -> Coordinates:
        """Those of a fitted regressor on these rows."""
        d = before.n_features
        scale = np.where(before.spread > 0, before.spread, 1.0) if model.standardize else np.ones(d)
        measured = model.standardize and model.intercept in ("tied", "common")
        return cls(scale, before.center if measured else np.zeros(d), model.intercept)

    def inside(self, coef: Array, intercept: Array) -> Array:
        """W (t, d), or (t, d + 1), of coefficients (t, d) and intercepts (t,) in original units."""
        W = coef * self.scale
        return np.column_stack([W, intercept + coef @ self.center]) if self.intercept == "tied" else W

    def moments(self, own: Statistics, level: float) -> tuple[Array, Array]:
        """Z'Z and Z'y of one task's rows, labels less `level`; about their means where intercepts are free."""
        form = task_form(own, 0) / np.multiply.outer(self.scale, self.scale)
        cross = own.cross[0] / self.scale
        if self.intercept == "free":
            return form, cross
        n = float(own.weight[0])
        z = (own.mean_x[0] - self.center) / self.scale
        if self.intercept == "tied":
            z, form, cross = np.append(z, 1.0), np.pad(form, [(0, 1), (0, 1)]), np.append(cross, 0.0)
        return form + n * np.multiply.outer(z, z), cross + n * (float(own.mean_y[0]) - level) * z


def with_task(
    model: Any,
    facts: dict[str, Any],
    before: Statistics,
    own: Statistics,
    tasks: NDArray,
    place: int,
    relation: Relation | None,
) -> dict[str, Any]:
    """What a regressor has learned, with one more task at `place`; the others stay as they are, bit for bit.

    The new task's row minimises the objective of all tasks, every other coefficient held. Under a prior that is its
    expectation given its labels and what was learned of the prior; without rows it is the prior's mean, what the
    relation extrapolates, or what costs the relation least.

    Parameters
    ----------
    model : regressor
        Its parameters.
    facts : dict
        What it learned of the other tasks, by attribute name.
    before : Statistics
        Of the rows that it learned this from: columns are measured as there.
    own : Statistics
        Of the new task's rows, for it alone; without rows where there are none.
    tasks : (t + 1,)
        All labels.
    place : int
        The new one's place.
    relation : Relation or None
        Bound to all tasks, with numbers; None where all tasks have one coefficient vector.

    Raises
    ------
    InputError
        Where targets were scaled; for a relation that says nothing of a new task by itself.
    """
    label = tasks.tolist()[place]
    if getattr(model, "scale_targets", False):
        raise InputError(
            f"task {label!r}: scale_targets=True gives every task its own unit, which one that is not fitted with the "
            f"others does not have; give it rows with refit=True, or use scale_targets=False."
        )
    at = Coordinates.of(model, before)
    own = measured_from(own, before.center if at.intercept == "free" else at.center)
    others = at.inside(facts["coef_"], facts["intercept_"])
    common = float(facts["intercept_"][0] + facts["coef_"][0] @ at.center) if at.intercept == "common" else 0.0
    form, cross = at.moments(own, common)
    empty = bool(own.count[0] == 0)
    prior = isinstance(facts["relation_"], HierarchicalPrior)
    if relation is None:
        w = others[0]
    elif prior:
        w = _under_prior(facts, at, form, cross)
    elif isinstance(facts["relation_"], LearnedCovariance):
        w = _under_covariance(facts["relation_"], others, form, cross, _weight(model, before, own, tasks, place))
    elif empty and extrapolates(facts["relation_"]):
        w = facts["relation_"].extrapolate(others, [label])[0]
    else:
        c = _weight(model, before, own, tasks, place)
        w = _given_others(relation, others, place, c * form, c * cross, at, label, empty)
    slopes = w[: len(at.scale)] / at.scale
    if at.intercept == "tied":
        level = float(w[-1] - slopes @ at.center)
    elif at.intercept == "free" and empty:
        mean = facts["intercept_"] + facts["coef_"] @ facts["fill_"]
        level = float(np.average(mean, weights=facts["n_labels_"]) - slopes @ facts["fill_"])
        level = float(facts["prior_intercept_"]) if prior else level
    elif at.intercept == "free":
        level = float(own.mean_y[0] - own.mean_x[0] @ slopes)
    else:
        level = common - float(slopes @ at.center) if at.intercept == "common" else 0.0
    longer = {
        **facts,
        "coef_": np.insert(facts["coef_"], place, slopes, axis=0),
        "intercept_": np.insert(facts["intercept_"], place, level),
        "target_scale_": np.insert(facts["target_scale_"], place, 1.0),
        "n_labels_": np.insert(facts["n_labels_"], place, own.count[0]),
        "tasks_": tasks,
        "absent_": _longer_absent(facts["absent_"], own, place),
        "components_": {name: np.insert(part, place, 0.0, axis=0) for name, part in facts["components_"].items()},
        "_end": None,
    }
    if prior:
        noise = float(facts["noise_"].mean())
        longer["noise_"] = np.insert(facts["noise_"], place, noise)
        longer["uncertainty_"] = longer_uncertainty(facts["uncertainty_"], own, at.center, at.intercept, place, noise)
    elif relation is not None:
        longer["relation_"] = relation.given(at.inside(longer["coef_"], longer["intercept_"]))
    return longer


def _given_others(
    relation: Relation,
    others: Array,
    place: int,
    form: Array,
    cross: Array,
    at: Coordinates,
    label: Hashable,
    empty: bool,
) -> Array:
    """The new row of W that is best with the other rows held; `form` and `cross` are times the loss weight."""
    columns = Columns.scaled(at.scale, others.shape[1])
    Q, rest = taken_apart(relation, columns)
    form = form if Q is None else form + Q
    W = np.insert(others, place, 0.0, axis=0)
    if is_quadratic(rest):
        precision = split(rest, len(W))[0]
        pulled = cross if precision is None else cross - precision.apply(W)[place]
        return _smallest(form + (0.0 if precision is None else precision.diagonal()[place]) * np.eye(len(form)), pulled)
    name = " + ".join(type(part).__name__ for part in parts(relation))
    if not empty:
        raise InputError(
            f"refit=False needs the new task's coefficients in closed form, which {name} does not have; use "
            f"refit=True, a quadratic relation, HierarchicalPrior or LearnedCovariance."
        )
    convex = not any(isinstance(part, Alternating | Smooth) for part in parts(relation))
    kept = [k for k in range(len(W)) if k != place]
    if convex and Q is None and float(relation(W)) <= float(relation.among(kept)(others)) * (1 + 1e-12):
        return W[place]
    raise InputError(f"task {label!r} has no rows, and {name} does not say what its coefficients are; give it rows.")


def _under_prior(facts: dict[str, Any], at: Coordinates, form: Array, cross: Array) -> Array:
    """E(w | its labels) for w ~ N(m, S) as learned: with S = T T', m + T (noise I + T'GT)^-1 T'(Z'y - G m)."""
    mean = at.inside(facts["prior_mean_"][None], np.array([facts["prior_intercept_"]]))[0]
    values, vectors = np.linalg.eigh(np.asarray(facts["relation_"].S))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    noise = float(facts["noise_"].mean())
    inner = noise * np.eye(len(root)) + root.T @ form @ root
    return np.asarray(mean + root @ np.linalg.solve(inner, root.T @ (cross - form @ mean)))


def _under_covariance(relation: LearnedCovariance, others: Array, form: Array, cross: Array, c: float) -> Array:
    """The best w under what was learned of W's directions: ||W||_*^2 is the least tr(W D^-1 W') over D of trace 1."""
    _, singular, Vt = np.linalg.svd(others, full_matrices=False)
    seen = singular > LOST * len(singular) * singular.max(initial=0.0)
    if not seen.any():
        return np.zeros(others.shape[1])
    V = Vt[seen].T
    price = float(relation.strength) * singular.sum() / singular[seen] + float(relation.ridge)
    return np.asarray(V @ _smallest(c * V.T @ form @ V + np.diag(price), c * V.T @ cross))


def _weight(model: Any, before: Statistics, own: Statistics, tasks: NDArray, place: int) -> float:
    """The new task's loss weight c_k beside the others that have rows."""
    given = task_weights(getattr(model, "task_weight", None), tasks)
    c = 1.0 if given is None else float(given[place])
    n = float(own.weight[0])
    if model.weighting == "sum" or n == 0:
        return c
    if model.weighting == "task":
        return c / n
    return c * (int((before.count > 0).sum()) + 1) / (float(before.weight.sum()) + n)


def _smallest(A: Array, b: Array) -> Array:
    """The solution of A w = b of least norm, A positive semidefinite."""
    values, vectors = np.linalg.eigh(A)
    kept = values > LOST * len(values) * values.max(initial=0.0)
    return np.asarray(vectors[:, kept] @ ((vectors[:, kept].T @ b) / values[kept]))


def _longer_absent(absent: NDArray[np.bool_] | None, own: Statistics, place: int) -> NDArray[np.bool_] | None:
    if absent is None and own.absent is None:
        return None
    d = own.n_features
    others = np.zeros((0, d), dtype=bool) if absent is None else absent
    row = np.zeros(d, dtype=bool) if own.absent is None else own.absent[0]
    return np.insert(others, place, row, axis=0)
