"""What a hierarchical prior is fitted to: compressed rows on the columns that vary, and coordinates of its parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.losses.squared import Intercept, Squared
from relatask.linear.path import Model
from relatask.linear.prior.marginal import Marginal, Rows, compress, seen_basis, total_form
from relatask.linear.prior.reml import Shape
from relatask.linear.sums.forms import ROUNDING, Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError
from relatask.relations.hierarchical_prior import HierarchicalPrior


@dataclass(frozen=True, eq=False)
class Moments:
    """The tasks' rows compressed, on the columns that vary; labels less `offset`, in units of `unit`.

    `columns` are positions among `width` coordinates; `last` says whether the last of them is the intercept.
    """

    rows: tuple[Rows, ...]
    total: Array
    columns: NDArray[np.intp]
    width: int
    last: bool
    offset: float
    unit: float


@dataclass(frozen=True, eq=False)
class Prepared:
    """Statistics less `offset`, in units of `unit` (0 where all labels are equal), and how they become a problem.

    `yy` and `count` (t,) are squares and numbers of the labels as the prior sees them: less one where a task has an
    intercept of its own.
    """

    stats: Statistics
    model: Model
    yy: Array
    count: Array
    offset: float
    unit: float

    @property
    def last(self) -> bool:
        """Whether the last coordinate is the intercept."""
        return self.model.datafit.intercept == "tied"

    @property
    def width(self) -> int:
        """How many coordinates there are."""
        return self.stats.n_features + self.last


def prepared(stats: Statistics, intercept: Intercept, standardize: bool) -> Prepared:
    """Take offset and unit out of the labels; a common intercept is a column here, which will have no variance."""
    offset = float(stats.weight @ stats.mean_y / stats.weight.sum()) if intercept in ("tied", "common") else 0.0
    stats = replace(stats, mean_y=stats.mean_y - offset)
    own = intercept == "free"
    yy = stats.yy if own else stats.yy + stats.weight * np.square(stats.mean_y)
    count = np.maximum(stats.count - own, 0)
    unit = float(np.sqrt(yy.sum() / max(count.sum(), 1)))
    if unit <= 1e-13 * abs(offset):
        unit = 0.0  # All labels are equal: what is left is rounding.
    stats = replace(stats, mean_y=stats.mean_y / divisor(unit), cross=stats.cross / divisor(unit))
    datafit = Squared("sum", "tied" if intercept == "common" else intercept)
    yy = yy / divisor(unit) ** 2 if unit else 0 * yy
    # The settings of solvers play no part in preparing.
    return Prepared(stats, Model(datafit, standardize, False, "auto", 1e-6, 1), yy, count, offset, unit)


def varying(square: Array) -> NDArray[np.intp]:
    """Columns whose sum of squares within tasks, one of (d,), is more than rounding beside the largest."""
    return np.flatnonzero(square > square.max(initial=0.0) * len(square) * ROUNDING)


def moments_of(stats: Statistics, intercept: Intercept, standardize: bool) -> tuple[Statistics, Array, Array, Moments]:
    """Compress the tasks' moments."""
    own = prepared(stats, intercept, standardize)
    scaled, center, scale, problem = own.model.prepare(own.stats)
    columns = varying(problem.forms.diagonal().sum(0))
    if 0 < len(columns) < problem.shape[1]:
        problem = problem.restricted(columns)
    cross = problem.cross if own.unit else 0 * problem.cross
    rows = compress(problem.forms, cross, own.yy, own.count)
    if not len(columns):
        rows = tuple(replace(r, fixed=r.fixed[:, :, :0], random=r.random[:, :, :0]) for r in rows)
    total = sum((total_form(r) for r in rows), np.zeros((len(columns), len(columns))))
    return scaled, center, scale, Moments(rows, total, columns, own.width, own.last, own.offset, own.unit)


def coordinates(
    total: Array, count: float, kind: str, n_tasks: int, intercept: Intercept
) -> tuple[Shape, Array, Array]:
    """Free numbers of the covariance, and coordinates of the mean (q, f) and of the effects (q, r).

    `total` (q, q) is the sum of the tasks' forms, `count` their number of labels.

    Raises
    ------
    InputError
        If the mean has as many coefficients as there are labels.
    """
    size = len(total)
    fixed = seen_basis(total, count)
    if count <= fixed.shape[1]:
        raise InputError(
            f"HierarchicalPrior: {count:.0f} labels{' beyond one a task' if intercept == 'free' else ''} are too few "
            f"for a mean of {fixed.shape[1]} coefficients; give more rows or fewer columns, or use Pairwise('auto')."
        )
    effects = size - (intercept == "common" and size > 0)
    if n_tasks == 1:
        return Shape(kind, np.zeros(0), None), fixed, np.zeros((size, 0))
    if kind == "full":
        random = fixed if effects == size else np.pad(seen_basis(total[:effects, :effects], count), [(0, 1), (0, 0)])
        return Shape(kind, np.full(random.shape[1], 1 / np.sqrt(max(random.shape[1], 1))), None), fixed, random
    groups = np.arange(effects)
    if kind == "isotropic":
        groups = (groups == size - 1).astype(np.intp) if intercept == "tied" and effects > 1 else 0 * groups
    seen = np.bincount(groups, np.diagonal(total)[:effects])
    seen = np.maximum(seen * len(seen), np.finfo(np.float64).tiny)
    return Shape(kind, np.sqrt(count / seen), groups), fixed, np.eye(size)[:, :effects]


def setting(
    moments: Moments, relation: HierarchicalPrior, kind: str, n_tasks: int, intercept: Intercept
) -> tuple[Shape, Array, Array, Marginal]:
    """Coordinates of the mean and of the effects, and the likelihood in them."""
    count = float(sum(r.count.sum() for r in moments.rows))
    shape, fixed, random = coordinates(moments.total, count, kind, n_tasks, intercept)
    rows = []
    for block in moments.rows:
        in_mean = block.fixed @ fixed
        rows.append(replace(block, fixed=in_mean, random=in_mean if random is fixed else block.random @ random))
    # fixed' total fixed = count I.
    log_volume = fixed.shape[1] * float(np.log(count))
    marginal = Marginal(tuple(rows), n_tasks, relation.method == "reml", log_volume)
    return shape, fixed, random, marginal


def divisor(unit: float) -> float:
    """1 where all labels are equal, so that there is no unit to divide by."""
    return unit or 1.0
