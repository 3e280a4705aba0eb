"""Who taught whom where predictions are not linear in labels: the same at the solution, where loss and penalty bend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from relatask.linear.features import taken_apart
from relatask.linear.influence.building import check_size, inverse_blocks, pseudo_inverse
from relatask.linear.influence.inverses import Inverse, Written
from relatask.linear.influence.nuclear import along_rank
from relatask.linear.influence.removal import TaskRows
from relatask.linear.influence.setting import Setting
from relatask.linear.influence.training import by_task
from relatask.linear.input.design import Design
from relatask.linear.losses import Loss, SquaredError
from relatask.linear.losses.model import LossModel
from relatask.linear.problem import Columns, Problem
from relatask.linear.solvers.family import family
from relatask.linear.sums.added import added
from relatask.linear.sums.forms import Array, Bucket, Forms
from relatask.relations import (
    FeatureQuadratic,
    Quadratic,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    Sum,
    TraceNorm,
    parts,
)

GONE = 1e-8
"""Coefficients below this share of the largest one are zero."""
FLAT = 1e-9
"""Less curvature than this share of the rows' weight is none: an intercept at the edge does not move."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model: its loss, and coefficients (t, d) and intercepts (t,) in original units.

    `unit` (t,) is what labels were divided by.
    """

    loss: Loss
    model: LossModel
    relation: Relation
    coef: Array
    intercept: Array
    unit: Array


def is_bent(relation: Relation) -> bool:
    """Whether the curvature of every part is written out here, where its coefficients are not zero."""
    known = Quadratic | FeatureQuadratic | SharedSparsity | Sparse | TraceNorm
    terms = [term for part in parts(relation) for term in part.terms()]
    norms = [term for term in terms if isinstance(term, SharedSparsity | Sparse | TraceNorm)]
    alone = len(norms) < 2 or not any(isinstance(norm, TraceNorm) for norm in norms)
    return alone and all(isinstance(term, known) for term in terms)


def at_solution(fit: Fit, design: Design) -> tuple[Setting, list[TaskRows], Callable[[Array], Array]]:
    """The linear map of labels that is tangent to the fit, its rows and their errors: hat matrices of working weights.

    With v the loss's second derivatives at the solution, M = (sum_k Z_k' C_k S_k V_k Z_k + R'')^-1, and
    H_ij = V_i^1/2 Z_i M_ij c_j Z_j' S_j V_j^1/2.
    """
    shape = fit.model.prepare(design)
    t, d = shape.weight.shape[0], len(shape.scale)
    free, common, tied = (fit.model.intercept == kind for kind in ("free", "common", "tied"))
    q = d + tied
    check_size(float(design.y.size) * q)
    W = fit.coef * shape.scale / fit.unit[:, None]
    offset = fit.intercept / fit.unit + np.einsum("td,td->t", W, shape.origin)
    forms, mixed, total = np.zeros((t, q, q)), np.zeros((t, q)), np.zeros(t)
    rows, origin = [], shape.origin.copy()
    labels, units = [], []
    for k, (index, y, s) in enumerate(by_task(design)):
        X = design.X[index]
        dense = X.toarray() if hasattr(X, "toarray") else np.asarray(X, dtype=np.float64)
        z = dense / shape.scale - shape.origin[k]
        label = y / fit.unit[k]
        eta = z @ W[k] + offset[k]
        v = shape.c[k] * s * fit.loss.curvature(eta, label)
        slope = shape.c[k] * s * fit.loss.slope(eta, label)
        total[k] = v.sum()
        if free and total[k] > FLAT * shape.c[k] * s.sum():
            middle = v @ z / total[k]
            z, origin[k] = z - middle, origin[k] + middle
        elif free:
            total[k] = 0.0
        z = np.hstack([z, np.ones((len(z), int(tied)))])
        forms[k] = (z.T * v) @ z
        mixed[k] = v @ z
        z = np.hstack([z, np.ones((len(z), int(common)))])
        rows.append(TaskRows(z, slope, v, eta, s))
        labels.append(label)
        units.append(np.full(len(label), fit.unit[k]))
    coupling = mixed / np.sqrt(total.sum()) if common and total.sum() > 0 else None
    bucket = Bucket(np.arange(t), np.ones(t), gram=forms)
    problem = Problem(Forms((bucket,), t, q), np.zeros((t, q)), 0.0, coupling)
    last = 1.0 / float(np.sqrt(total.sum())) if coupling is not None else None
    Q, rest = taken_apart(fit.relation, Columns.scaled(shape.scale, q))
    if Q is not None:
        problem = Problem(added(problem.forms, Q), problem.cross, 0.0, coupling)
    full = np.column_stack([W, offset]) if tied else W
    slopes = np.stack([own.z[:, :q].T @ own.slope for own in rows]) + (0.0 if Q is None else full @ Q)
    inverse = _inverse(problem, rest, full, slopes, last)
    if common:
        forms = np.pad(forms, [(0, 0), (0, 1), (0, 1)])
        forms[:, :-1, -1] = forms[:, -1, :-1] = mixed
        forms[:, -1, -1] = total
    weight = np.divide(total, shape.c, out=np.zeros(t), where=shape.c > 0)
    setting = Setting(
        inverse=inverse,
        forms=forms,
        cross=np.zeros((t, forms.shape[1])),
        spread=np.zeros(t),
        c=shape.c,
        weight=weight,
        count=np.array([len(own.eta) for own in rows]),
        free=free,
        extra=int(tied or common),
        tied=tied,
        scale=shape.scale,
        origin=origin,
        offset=np.zeros(t),
        unit=fit.unit,
        absent=design.absent,
    )
    return setting, rows, partial(_error, fit.loss, np.concatenate(labels), np.concatenate(units))


def _inverse(problem: Problem, relation: Relation, W: Array, slopes: Array, last: float | None) -> Inverse:
    """Blocks of the inverse of loss and penalty's curvature, on the coefficients that are not zero."""
    terms = [term for part in parts(relation) for term in part.terms()]
    smooth = [term for term in terms if isinstance(term, Quadratic)]
    norms = [term for term in terms if not isinstance(term, Quadratic)]
    if not any(float(term.strength) > 0 for term in norms):  # type: ignore[attr-defined]
        return inverse_blocks(problem, family([relation], problem.shape[0]), last)
    t, q = problem.shape
    check_size(float(t * q) ** 2)
    P = family([Sum(tuple(smooth)) if smooth else Ridge(0.0)], t).member(0).dense()
    matrix = np.einsum("ij,ab->iajb", P, np.eye(q))
    matrix[np.arange(t), :, np.arange(t)] += problem.forms.dense()
    trace = [term for term in norms if isinstance(term, TraceNorm)]
    if trace:
        along, bend = along_rank(W, -(slopes + P @ W), float(trace[0].strength))
        whole = along @ pseudo_inverse(along.T @ matrix.reshape(t * q, t * q) @ along + bend) @ along.T
    else:
        for term in norms:
            matrix += _bend(term, W)
        alive = _alive(W, norms).reshape(-1)
        whole = np.zeros((t * q, t * q))
        whole[np.ix_(alive, alive)] = pseudo_inverse(matrix.reshape(t * q, t * q)[np.ix_(alive, alive)])
    found = Written(whole.reshape(t, q, t, q))
    if last is None or problem.coupling is None:
        return found
    solved = found.apply(problem.coupling)
    root = np.sqrt(max(1.0 - float(np.vdot(problem.coupling, solved)), 0.0)) or np.inf
    return found.with_vector(solved / root, -last / root)


def _alive(W: Array, norms: list[Relation]) -> NDArray[np.bool_]:
    """(t, q) coefficients that the norms have not set to zero: of all tasks, where one norm is about all of them."""
    big = GONE * np.abs(W).max(initial=0.0)
    alive = np.ones(W.shape, dtype=bool)
    for term in norms:
        size = np.abs(W) if isinstance(term, Sparse) else np.broadcast_to(np.linalg.norm(W, axis=0), W.shape)
        alive &= size > big
    return alive


def _bend(term: Relation, W: Array) -> Array:
    """(t, q, t, q) second derivatives of a norm where it is smooth; 0 elsewhere, and of absolute values."""
    t, q = W.shape
    out = np.zeros((t, q, t, q))
    if isinstance(term, SharedSparsity):
        size = np.linalg.norm(W, axis=0)
        for j in np.flatnonzero(size > GONE * np.abs(W).max(initial=0.0)).tolist():
            along = W[:, j] / size[j]
            out[:, j, :, j] = float(term.strength) / size[j] * (np.eye(t) - np.multiply.outer(along, along))
    return out


def _error(loss: Loss, label: Array, unit: Array, eta: Array) -> Array:
    """Squared errors in squared units of the labels; of other losses their own values."""
    if isinstance(loss, SquaredError):
        return np.square(unit * (label - eta))
    return loss.value(eta, label)
