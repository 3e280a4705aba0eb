"""Tasks that predict with each other's parameters: a relationship matrix that is learned from the data."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np

from relatask.notices import InputError
from relatask.relations.checks import Array, Strength, check_size, check_square, check_strength, chosen, like, read_w
from relatask.relations.precision import Precision
from relatask.relations.quadratic import Chain, Ridge
from relatask.relations.relation import Smooth, around


@dataclass(frozen=True, eq=False)
class TaskRelationNetwork(Smooth):
    """A task predicts with its own parameters and a learned mixture of the others': coefficients (I + R) W.

    ``min over W, R   loss((I + R) W) + chain sum_k ||w_k - w_{k+1}||^2 + beta/n_relations ||R||_F^2
    + ridge/2 ||W||_F^2``

    R = sum_s R_s is the sum of `n_relations` relationship matrices under beta sum_s ||R_s||_F^2; at the best they are
    all R/n_relations, which is why their price is beta/n_relations ||R||_F^2 and their number only a factor. R acts on
    predictions: it learns from the data which task helps which. Not convex, a stationary point; it stands alone.

    As a term of a network's loss: `apply` the relation to the heads, and add `value`, which is all but the loss.

    Parameters
    ----------
    n_relations : int >= 1
        How many matrices R is the sum of.
    chain : float >= 0 or "auto"
        Neighbouring tasks' W are drawn together.
    beta : float > 0 or "auto"
        Price of the relationships; at infinity R = 0, and this is `Chain(chain) + Ridge(ridge)`.
    ridge : float > 0 or "auto"
        Without it, or without beta, one of W and R could grow and the other vanish without end.
    order : sequence of task labels, optional
        Of the chain, as `Chain` takes it.
    R : (t, t) array, optional
        The relationships, [k, j] what k takes of j; learned by an estimator. None means zero.
    W : (t, d) array, optional
        The tasks' own parameters, learned by an estimator, for standardised features where these are; its `coef_` are
        those of (I + R) W.

    Raises
    ------
    InputError
        For another number of relations, a strength that is negative or no number, a beta or ridge of 0; for R that is
        not square or of another size; in a sum with any other relation.

    References
    ----------
    The task relationship model of an article on optimisation strategies, its R_s made to act on predictions. With W
    fixed R is a ridge regression on the other tasks' predictions; compare Ando, Zhang: A framework for learning
    predictive structures from multiple tasks and unlabeled data, 2005, JMLR 6.

    Examples
    --------
    >>> relation = TaskRelationNetwork(2, chain=0.0, beta=1.0, ridge=1.0, R=[[0.0, 1.0], [0.0, 0.0]])
    >>> W = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> relation.apply(W)
    array([[1., 2.],
           [0., 2.]])
    >>> float(relation(W))
    3.0
    """

    n_relations: int = 1
    chain: Strength = 1.0
    beta: Strength = 1.0
    ridge: Strength = 1.0
    order: tuple[Hashable, ...] | Sequence[Hashable] | None = None
    R: Any = None
    W: Any = None

    learned: ClassVar[tuple[str, ...]] = (
        "R",
        "W",
    )
    formula: ClassVar[str] = (
        "chain * sum_k ||w_k - w_{k+1}||^2 + beta/n_relations ||R||_F^2 + ridge/2 ||W||_F^2, predicting by (I + R) W"
    )
    source: ClassVar[str] = "the task relationship model, its relations acting on predictions"
    strengths: ClassVar[tuple[str, ...]] = ("chain", "beta", "ridge")
    alone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the numbers, the order and what was learned."""
        if isinstance(self.n_relations, bool) or not isinstance(self.n_relations, Integral) or self.n_relations < 1:
            raise InputError(
                f"TaskRelationNetwork: n_relations={self.n_relations!r} is not usable; expected a whole number >= 1."
            )
        object.__setattr__(self, "n_relations", int(self.n_relations))
        for name in self.strengths:
            value = check_strength("TaskRelationNetwork", getattr(self, name), name)
            if value == 0 and name != "chain":
                raise InputError(
                    f"TaskRelationNetwork: {name}=0 leaves the objective without a minimum, because one of W and R "
                    "could grow while the other vanishes; expected a number > 0."
                )
            object.__setattr__(self, name, value)
        object.__setattr__(self, "order", Chain(order=self.order).order)
        for name in ("R", "W"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _matrix(name, getattr(self, name)))
        if self.R is not None:
            check_square("TaskRelationNetwork", "R", self.R.shape)

    def value(self, W: Array) -> Array:
        """Give what W and the R that is held cost, all but the loss; W are the tasks' own parameters (t, d)."""
        W, _ = read_w(W, None if self.R is None else len(self.R), "TaskRelationNetwork")
        price = 0.0 if self.R is None else self.price() / 2 * float(np.sum(np.square(self.R)))
        return self._chain().value(W) + self._ridge().value(W) + price

    def gradient(self, W: np.ndarray) -> np.ndarray:
        """Give the gradient of `value` in W."""
        return self.quadratic(len(W)).apply(W)

    def apply(self, W: Array) -> Array:
        """Give the coefficients (I + R) W (t, d), in W's namespace."""
        W, xp = read_w(W, None if self.R is None else len(self.R), "TaskRelationNetwork")
        return W if self.R is None else W + like(self.R, W, xp) @ W

    def quadratic(self, n_tasks: int) -> Precision:
        """Give the precision of what W costs: the chain's and the ridge's."""
        return self._chain().precision(n_tasks) + self._ridge().precision(n_tasks)

    def price(self) -> float:
        """Give 2 beta/n_relations: R costs half of it times its squares."""
        return 2 * chosen("TaskRelationNetwork", self.beta, "beta") / self.n_relations

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give four decades around the data's curvature; for beta, that of R at the size of the data's W."""
        if name != "beta":
            return around(curvature)
        size = float(np.sum(np.square(correlation))) / len(correlation) / curvature
        return around(self.n_relations * size / 2 if size > 0 else curvature)

    def bind(self, tasks: Sequence[Hashable]) -> TaskRelationNetwork:
        """Give the relation for these tasks: labels of the order become rows, a size is checked."""
        if self.R is not None:
            check_size("TaskRelationNetwork", "R", len(self.R), len(tasks))
        return replace(self, order=Chain(order=self.order).bind(tasks).order)

    def placed(self, columns: np.ndarray, n_features: int) -> TaskRelationNetwork:
        """Give the relation with W among more columns, zero in those not named."""
        if self.W is None:
            return self
        W = np.zeros((len(self.W), n_features))
        W[:, columns] = self.W
        return replace(self, W=W)

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give two relations, chain 0.5, beta 1 and ridge 0.1."""
        return cls(2, 0.5, 1.0, 0.1)

    def _chain(self) -> Chain:
        return Chain(chosen("TaskRelationNetwork", self.chain, "chain"), self.order)

    def _ridge(self) -> Ridge:
        return Ridge(chosen("TaskRelationNetwork", self.ridge, "ridge"))


def _matrix(name: str, values: Any) -> np.ndarray:
    """Give a read-only float64 matrix; raise InputError for what is none."""
    try:
        matrix = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"TaskRelationNetwork: {name} could not be read as a matrix of numbers ({error}).") from error
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise InputError(f"TaskRelationNetwork: {name} has shape {matrix.shape}; expected a matrix of finite numbers.")
    matrix.flags.writeable = False
    return matrix
