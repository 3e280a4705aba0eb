"""The Gaussian process behind a fitted model: means and variances at new rows."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from relatask.linear.fitting import NotConverged
from relatask.linear.kernels.conjugate import conjugate
from relatask.linear.kernels.features import FeatureKernel
from relatask.linear.kernels.nystroem import factor, preconditioner
from relatask.linear.kernels.products import Products, Scaled
from relatask.linear.kernels.rows import Rows
from relatask.linear.kernels.shared import Shared
from relatask.linear.kernels.system import System
from relatask.linear.sums.forms import Array
from relatask.notices import tell

CELLS = 2**23
"""Numbers held at once by a block of rows to predict."""
_factors: dict[int, tuple[Any, ...]] = {}


@dataclass(frozen=True, eq=False)
class Asked:
    """What is asked of a model: rows, in the kernel's units, each for its own task or for all.

    Attributes
    ----------
    cross : (m, n) kernel with the training rows.
    own : (m,) kernel of each row with itself, or None where it is not needed.
    codes : (m,) tasks, those not fitted counted on behind the others, or None for all fitted ones.
    """

    cross: Array
    own: Array | None
    codes: NDArray[np.intp] | None


def predicted(model: Any, X: Array, codes: NDArray[np.intp] | None, spread: bool) -> tuple[Array, Array | None]:
    """Means and, where asked for, variances at rows (m, d) as they were given, a block of rows at a time."""
    kernel = FeatureKernel(model.kernel_, model.kernel_params_)
    means, variances = [], []
    size = max(1, CELLS // len(model.X_fit_))
    for first in range(0, max(len(X), 1), size):
        rows = X[first : first + size].astype(np.float64)
        own = None if codes is None else codes[first : first + size]
        if kernel.precomputed:
            asked = Asked(rows[:, model.rows_], None, own)
        else:
            Z = (rows - model.center_) / model.scale_
            asked = Asked(kernel.between(Z, model.X_fit_), kernel.diagonal(Z) if spread else None, own)
        means.append(mean_at(model, asked))
        if spread:
            variances.append(variance_at(model, asked))
    return np.concatenate(means), np.concatenate(variances) if spread else None


def system_of(model: Any) -> System:
    """What a fitted model solved, from what it learned; labels are not kept, and zero here."""
    weight = model.fit_weight_
    if model.fit_tasks_ is None:
        weight = weight.reshape(len(model.X_fit_), -1)
        task, row = np.nonzero(weight.T > 0)
        table = bool((weight > 0).all() and (weight == weight[:, :1]).all())
        weight = weight[row, task]
    else:
        task, row, table = model.fit_tasks_, np.arange(len(model.X_fit_)), len(model.tasks_) == 1
    rows = Rows(model.rows_, row, task, np.zeros(len(row)), weight, model.tasks_, table)
    kernel = FeatureKernel(model.kernel_, model.kernel_params_)
    return System(
        model.X_fit_, rows, kernel, model.task_kernel_, model.loss_weight_, model.fit_free_, model.solver_,
        model.tol, model.max_iter, model.landmarks, model.max_memory, model.random_state,
    )  # fmt: skip


def with_others(model: Any) -> Array:
    """(t + m, t) kernel of all known tasks with the fitted ones."""
    return np.vstack([model.task_kernel_, model.new_task_kernel_[:, :-1]])


def levels(model: Any) -> Array:
    """(t + m,) intercepts; of tasks that were not fitted, the mean of the others, weighted by their labels."""
    mean = float(np.average(model.intercept_, weights=model.n_labels_))
    return np.append(model.intercept_, np.full(len(model.new_tasks_), mean))


def mean_at(model: Any, asked: Asked) -> Array:
    """(m,) or (m, t) predictions."""
    between, level = with_others(model), levels(model)
    if model.fit_tasks_ is not None and asked.codes is not None:
        mixed = asked.cross * np.take(between[asked.codes], model.fit_tasks_, axis=1)
        return np.asarray(mixed @ model.dual_coef_ + level[asked.codes])
    dual = model.dual_coef_.reshape(len(model.X_fit_), -1)
    every = asked.cross @ (dual @ between.T) + level
    if asked.codes is None:
        return np.asarray(every[:, : len(model.tasks_)])
    return np.asarray(every[np.arange(len(every)), asked.codes])


def variance_at(model: Any, asked: Asked) -> Array:
    """(m,) or (m, t) posterior variances of f(x, k) + b_k, without noise."""
    system = system_of(model)
    scaled = _shared(model, system, asked) if model.solver_ == "eigen" else _labels(model, system, asked)
    if model.fit_free_:
        total = np.bincount(system.rows.task, system.rows.weight)
        own = model.strength_ / (model.loss_weight_ * total)
        scaled = scaled + (own if asked.codes is None else own[asked.codes])
    return np.asarray(model.amplitude_ * np.maximum(scaled, 0.0))


def _shared(model: Any, system: System, asked: Asked) -> Array:
    """(m,) or (m, t) variances of what is left of f, by the two eigendecompositions."""
    shared: Shared = _kept(model, system.shared)
    cross, prior = asked.cross.T, asked.own
    assert prior is not None
    if system.free:
        share = shared.weight / shared.weight.sum()
        mean = shared.kernel @ share
        prior = prior - 2 * (share @ cross) + share @ mean
        cross = cross - mean[:, None]
    between, own = with_others(model), np.append(np.diagonal(model.task_kernel_), model.new_task_kernel_[:, -1])
    if asked.codes is None:
        t = len(model.tasks_)
        return prior[:, None] * own[:t] - shared.reduction(between[:t].T, cross, model.strength_)
    names, which = np.unique(asked.codes, return_inverse=True)
    taken = shared.reduction(between[names].T, cross, model.strength_)
    return np.asarray(prior * own[asked.codes] - taken[np.arange(len(prior)), which])


def _labels(model: Any, system: System, asked: Asked) -> Array:
    """The same by a dense factor or conjugate gradients, a column for each row and task that is asked about."""
    assert asked.own is not None
    products = system.products()
    e = products.entries
    between, own = with_others(model), np.append(np.diagonal(model.task_kernel_), model.new_task_kernel_[:, -1])
    solved = _kept(model, lambda: _solver(system, products))
    means = products(_indicators(e)) if system.free else np.zeros((len(e.y), len(system.between)))
    spread = e.means(means)  # (t, t): its diagonal is the prior variance of each task's own mean
    m, t = len(asked.cross), len(model.tasks_)
    points = np.arange(m) if asked.codes is not None else np.repeat(np.arange(m), t)
    codes = asked.codes if asked.codes is not None else np.tile(np.arange(t), m)
    out = np.empty(len(points))
    for first in range(0, len(points), size := max(1, CELLS // len(e.y))):
        at, task = points[first : first + size], codes[first : first + size]
        columns = asked.cross[at][:, e.row].T * between[task].T[e.task]
        prior = asked.own[at] * own[task]
        if system.free:
            places = np.arange(len(at))
            prior = prior - 2 * e.means(columns)[task, places] + spread[task, task]
            columns = columns - means[:, task]
        columns = e.centred(e.root[:, None] * columns)
        out[first : first + size] = prior - np.einsum("nq,nq->q", columns, solved(columns, model.strength_))
    return out if asked.codes is not None else out.reshape(m, t)


def _indicators(e: Any) -> Array:
    """(N, t) each task's weighted mean, as combinations of its labels."""
    out = np.zeros((len(e.y), len(e.loss_weight)))
    out[np.arange(len(e.y)), e.task] = e.weight / e.total[e.task]
    return out


def _solver(system: System, products: Products) -> Any:
    """A function of right-hand sides (N, q) and a strength."""
    if system.solver == "cholesky":
        matrix = Scaled(products).dense()
        held: dict[float, Any] = {}

        def by_factor(V: Array, strength: float) -> Array:
            if strength not in held:
                held[strength] = linalg.cho_factor(matrix + strength * np.eye(len(matrix)), lower=True)
            return np.asarray(linalg.cho_solve(held[strength], V))

        return by_factor
    thin = factor(products, system.n_landmarks(), system.seed)

    def by_gradients(V: Array, strength: float) -> Array:
        inverse = preconditioner(products, thin, strength)
        found = conjugate(Scaled(products), strength, V, inverse, system.tol, system.max_iter)
        if (found.residual > system.tol).any():
            told = f"variances were solved to a relative residual of {found.residual.max():.1e} (tol={system.tol:g})."
            tell(NotConverged(told, code="RT015"))
        return found.solution

    return by_gradients


def _kept(model: Any, make: Any) -> Any:
    """What was made for this fit before, else made now; forgotten with the model's dual coefficients."""
    key = id(model.dual_coef_)
    if key not in _factors:
        _factors[key] = (make(),)
        weakref.finalize(model.dual_coef_, _factors.pop, key, None)
    return _factors[key][0]
