"""Fitting a kernel model: from a design to everything that the estimator learns, by attribute name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from relatask.linear.fitting import NotConverged
from relatask.linear.input.design import Design
from relatask.linear.kernels.evidence import Evidence, LabelEvidence, SharedEvidence
from relatask.linear.kernels.features import FeatureKernel, check_gram, tolerance_of
from relatask.linear.kernels.learning import Form, Learned, learn
from relatask.linear.kernels.rows import Rows, merged, rows_of, units
from relatask.linear.kernels.solving import Answer, chosen_solver, solve
from relatask.linear.kernels.system import System, check_kernel, gram
from relatask.linear.kernels.tasks import TaskMatrix, alone
from relatask.linear.sums.forms import Array
from relatask.notices import tell

LOST = 1e-4
"""Relative residual beyond which a factor's answer is not to be trusted."""


@dataclass(frozen=True, eq=False)
class Settings:
    """An estimator's parameters, checked.

    Attributes
    ----------
    strength, amplitude : a number, or None for "auto".
    free : whether tasks have intercepts of their own.
    task_noise : whether learned noise differs between tasks.
    The others are the estimator's.
    """

    strength: float | None
    amplitude: float | None
    free: bool
    task_noise: bool
    weighting: str
    standardize: bool
    criterion: str
    optimize_kernel: bool
    rank: int
    solver: str
    tol: float
    max_iter: int
    landmarks: int | None
    max_memory: float
    learn_labels: int
    n_starts: int
    seed: int


def fitted(
    design: Design, X: Array, layout: str, kernel: FeatureKernel, between: TaskMatrix | None, settings: Settings
) -> dict[str, Any]:
    """Everything that fit learns.

    Parameters
    ----------
    design : Design
        Labels, with the places of their rows in X for features.
    X : (n, d)
        Features, or the (n, n) Gram of a precomputed kernel.
    layout : str
        "one", "groups" or "columns".
    kernel : FeatureKernel
        Between rows.
    between : TaskMatrix or None
        Between tasks; None where it is learned.
    settings : Settings
        The rest.
    """
    rows = rows_of(design)
    count = rows.count
    Z = check_gram(X)[np.ix_(rows.place, rows.place)] if kernel.precomputed else X[rows.place].astype(np.float64)
    center, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
    if settings.standardize and not kernel.precomputed:
        center, scale = units(Z, rows, settings.free)
        Z = (Z - center) / scale
    kernel = replace(kernel, tolerance=tolerance_of(X)) if kernel.precomputed else kernel
    check_kernel(kernel, Z, settings.seed)
    loss_weight, strength, amplitude = rows.loss_weight(settings.weighting), settings.strength, settings.amplitude
    found: Learned | None = None
    given = rows
    if between is None or settings.optimize_kernel:
        found = _learned(rows, Z, kernel, between, loss_weight, settings)
        kernel = found.kernel
        if between is None:
            between = alone(found.between)
        # The size of T is learned: as the prior's amplitude where T itself was given.
        size = _size(found.between, between.matrix)
        if settings.task_noise:
            loss_weight, strength, amplitude = size / found.noise, 1.0, size
        else:
            strength, amplitude = float(found.noise[0] * loss_weight[0]) / size, size
    elif strength is None and settings.criterion != "likelihood" and not kernel.precomputed:
        rows, kept = merged(rows, Z)
        Z = Z[kept]
    system = System(
        Z, rows, kernel, between.matrix, loss_weight, settings.free, chosen_solver(settings.solver, rows),
        settings.tol, settings.max_iter, settings.landmarks, settings.max_memory, settings.seed,
    )  # fmt: skip
    answer = solve(system, strength, settings.criterion)
    return {
        "tasks_": rows.tasks,
        "task_kernel_": between.matrix,
        "new_tasks_": between.others,
        "new_task_kernel_": np.column_stack([between.cross, between.own]),
        "kernel_": kernel.kind,
        "kernel_params_": dict(kernel.params),
        "center_": center,
        "scale_": scale,
        "X_fit_": Z,
        "rows_": rows.place,
        "fit_tasks_": rows.task if layout == "groups" else None,
        "solver_": system.solver,
        "learning_": None if found is None else found.values,
        "loss_weight_": loss_weight,
        "n_labels_": count,
        "fit_free_": settings.free,
        **_facts(system, answer, amplitude, layout, given),
    }


def _facts(system: System, answer: Answer, amplitude: float | None, layout: str, given: Rows) -> dict[str, Any]:
    """What follows from alpha; labels that were merged count as they were given."""
    e = system.entries()
    strength, rows = answer.strength, system.rows
    level = e.means(e.y - answer.image) if system.free else np.zeros(len(system.between))
    inner = answer.dual / e.root
    left = e.target - e.centred(e.root * answer.image) - strength * inner
    size = float(np.linalg.norm(e.target))
    residual = float(np.linalg.norm(left)) / size if size else 0.0
    if not residual <= system.tol and system.solver == "cg":
        told = (
            f"conjugate gradients stopped after {answer.n_iter} products at a relative residual of {residual:.1e} "
            f"(tol={system.tol:g}); give more landmarks, a greater max_iter, or a greater strength."
        )
        tell(NotConverged(told, code="RT015"))
    elif not residual <= max(system.tol, LOST):
        told = (
            f"digits were lost: the system is solved to a relative residual of {residual:.1e}; give a greater strength."
        )
        tell(NotConverged(told, code="RT015"))
    error = e.y - answer.image - level[e.task]
    squares = float(np.square(e.root * error).sum())
    quadratic = float(inner @ e.target)
    contrasts = len(given.y) - (len(level) if system.free else 0)
    if amplitude is None:
        amplitude = max(quadratic, 0.0) / max(contrasts, 1)
    logs = None
    if answer.log_determinant is not None:
        zeros = len(given.y) - len(e.y) - (len(level) if system.free else 0)
        logs = answer.log_determinant + zeros * np.log(strength)
        logs -= given.entries(system.loss_weight, system.free).offset()
    density = None if logs is None else _log_density(contrasts, logs, quadratic, amplitude)
    table = layout == "columns"
    return {
        "dual_coef_": rows.spread_out(answer.dual) if table else answer.dual,
        "fit_weight_": rows.spread_out(e.weight) if table else e.weight,
        "intercept_": level,
        "strength_": strength,
        "strengths_": {"strength": strength},
        "amplitude_": amplitude,
        "noise_variance_": amplitude * strength / system.loss_weight,
        "objective_": 0.5 * squares + 0.5 * strength * float(answer.dual @ answer.image),
        "residual_": residual,
        "n_iter_": answer.n_iter,
        "path_": answer.path,
        "degrees_of_freedom_": answer.degrees,
        "log_marginal_likelihood_": density,
    }


def _log_density(contrasts: int, logs: float, quadratic: float, amplitude: float) -> float:
    if contrasts == 0:
        return -0.5 * logs
    if amplitude == 0:
        return np.inf
    return -0.5 * (contrasts * float(np.log(2 * np.pi * amplitude)) + logs + quadratic / amplitude)


def _learned(
    rows: Rows, X: Array, kernel: FeatureKernel, between: TaskMatrix | None, loss_weight: Array, settings: Settings
) -> Learned:
    """Maximise the marginal likelihood of labels brought to variance 1, on some of them where there are many."""
    limit = settings.learn_labels
    weight_unit = float(rows.weight.mean())
    rows = replace(rows, weight=rows.weight / weight_unit)
    X, rows = _fewer(X, rows, limit, settings.seed, settings.optimize_kernel, kernel.precomputed)
    entries = rows.entries(np.ones(len(rows.tasks)), settings.free)
    mean = entries.means(entries.y) if settings.free else np.zeros(len(rows.tasks))
    variance = entries.means(np.square(entries.y - mean[rows.task]))
    variance = np.where(variance > 1e-24 * np.square(mean), variance, 0.0)
    pooled = float(variance.mean()) or 1.0
    unit = np.sqrt(np.where(variance > 0, variance, pooled)) if _own_units(between, settings) else np.full(
        len(rows.tasks), np.sqrt(pooled)
    )  # fmt: skip
    y = (entries.y - mean[rows.task]) / unit[rows.task]
    similarity = np.full((len(unit), len(unit)), 0.5) + 0.5 * np.eye(len(unit))
    evidence: Evidence
    if rows.table:
        Y, weight = rows.spread_out(y), rows.spread_out(rows.weight)[:, 0]
        evidence = SharedEvidence(Y, weight, settings.free)
        similarity = (Y.T * weight) @ Y / weight.sum()
    else:
        evidence = LabelEvidence(replace(entries, y=y))
    form = Form(
        None if between is None else between.matrix, min(settings.rank, len(unit)) if between is None else 0,
        None if settings.task_noise else 1 / loss_weight * loss_weight.mean(), len(unit),
        len(kernel.kind.theta) if settings.optimize_kernel else 0,
    )  # fmt: skip
    fixed = None if form.n_kernel else gram(kernel, X)
    found = learn(
        evidence, form, kernel, X, similarity, n_starts=settings.n_starts, seed=settings.seed,
        max_iter=settings.max_iter, fixed=fixed,
    )  # fmt: skip
    if not found.converged:
        told = f"the marginal likelihood was still rising after {settings.max_iter} iterations; raise max_iter."
        tell(NotConverged(told, code="RT015"))
    # Back to the labels' own units.
    shift = float(np.log(unit)[rows.task].sum()) - (float(np.log(unit).sum()) if settings.free else 0.0)
    return replace(
        found,
        between=found.between * unit * unit[:, None],
        noise=found.noise * np.square(unit) * weight_unit,
        values=found.values - shift,
    )


def _size(learned: Array, given: Array) -> float:
    """The multiple of a matrix that was learned; neither is squared in its own units."""
    learned_unit, given_unit = float(np.abs(learned).max()), float(np.abs(given).max())
    if not learned_unit:
        return 0.0
    A, B = learned / learned_unit, given / given_unit
    return float(np.vdot(A, B) / np.vdot(B, B)) * (learned_unit / given_unit)


def _own_units(between: TaskMatrix | None, settings: Settings) -> bool:
    """Whether each task's labels can be brought to variance 1 without another meaning of what is learned."""
    return between is None and settings.task_noise


def _fewer(X: Array, rows: Rows, limit: int, seed: int, gradient: bool, precomputed: bool) -> tuple[Array, Rows]:
    """Rows for learning: at most `limit` labels, or rows where tasks share them; drawn within tasks."""
    n = len(rows.place)
    most = limit if not rows.table else (limit if gradient else 4 * limit)
    total = n if rows.table else len(rows.y)
    if total <= most:
        return X, rows
    rng = np.random.default_rng(seed)
    if rows.one_each:  # some of each task
        share = most / total
        kept = [
            rng.choice(own, max(1, min(len(own), round(share * len(own)))), replace=False)
            for own in np.split(np.arange(n), np.flatnonzero(np.diff(rows.task)) + 1)
        ]
        some = np.sort(np.concatenate(kept))
    else:
        first = np.unique(rows.task, return_index=True)[1]
        drawn = rng.choice(n, max(1, int(n * most / total)), replace=False)
        some = np.unique(np.concatenate([drawn, rows.row[first]]))
    return (X[np.ix_(some, some)] if precomputed else X[some]), rows.some(some)
