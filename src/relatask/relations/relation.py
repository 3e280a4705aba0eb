"""What a relation R(W) is, and what it can do: the base classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from array_api_compat import to_device

from relatask.notices import InputError
from relatask.relations.checks import Array, like, read_w
from relatask.relations.precision import Precision

SPAN = 1e4
"""How far strengths reach that are to be chosen."""


@dataclass(frozen=True, eq=False)
class Relation(ABC):
    """What we believe ties the tasks together: a convex function R(W) of the (t, d) matrix of task parameters.

    Relations are values: frozen dataclasses, never mutated, combined by ``+``. `value` is written against the array
    API, so W may be a numpy array or a torch tensor (then it is differentiable).
    """

    formula: ClassVar[str]
    source: ClassVar[str]
    strengths: ClassVar[tuple[str, ...]] = ("strength",)
    """Names of the fields that are strengths: numbers >= 0, or "auto" for an estimator to choose."""
    learned: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that `given` fills in, or a solver: nothing a person sets."""
    alone: ClassVar[bool] = False
    """Whether it stands for the whole model, so that nothing can be added to it."""

    @abstractmethod
    def value(self, W: Array) -> Array:
        """Give R(W), zero-dimensional, in W's namespace and dtype; W is (t, d)."""

    @classmethod
    @abstractmethod
    def example(cls, n_tasks: int) -> Self:
        """Give a small valid instance for this many tasks: for the laws, the docs and `relatask methods`."""

    def given(self, W: Array) -> Relation:
        """Give the relation with what it can learn from W filled in: itself, for one that learns nothing."""
        return self

    def bind(self, tasks: Sequence[Hashable]) -> Relation:
        """Give the relation for these tasks, in this order: labels become positions, sizes are checked."""
        return self

    def among(self, kept: Sequence[int]) -> Relation:
        """Give what the relation says of some of its tasks, when nothing is known of the others; call it after `bind`.

        A task without data costs nothing where it is best: the result is the least R over the rows left out, as a
        function of the rows kept. For a ridge and for the norms that is the relation itself. `Pairwise` too stays as it
        is, though that least is t/(t - 1) times larger for every task that goes: its formula is about the tasks there
        are. Of a sum each part is taken by itself.

        Parameters
        ----------
        kept : sequence of int
            Positions of the tasks that stay, ascending.
        """
        return self

    def placed(self, columns: np.ndarray, n_features: int) -> Relation:
        """Give the relation for W of `n_features` columns, after it has learned from these (m,) of them alone."""
        return self

    def terms(self) -> tuple[Relation, ...]:
        """Give the relations whose sum this is, for a solver: itself, unless it is shorthand for others."""
        return (self,)

    def components(self, W: np.ndarray) -> dict[str, np.ndarray]:
        """Give the matrices that W (t, d) is the sum of, by name: none, for a relation that takes W as it is."""
        return {}

    def idle(self, n_tasks: int, n_features: int) -> tuple[str, ...]:
        """Give the names of components that these strengths keep at zero whatever the data; none, for most."""
        return ()

    def extrapolate(self, W: np.ndarray, tasks: Sequence[Hashable]) -> np.ndarray:
        """Give coefficients (len(tasks), d) of tasks never seen, from those fitted; `bind` has been called.

        Raises
        ------
        InputError
            For a relation that knows nothing of other tasks, and for labels that it was not told about.
        """
        raise InputError(f"{type(self).__name__} says nothing of tasks that were not fitted.")

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give the lowest and the highest value worth trying for one of the strengths.

        Parameters
        ----------
        name : str
            Of `strengths`.
        correlation : (t, d) array
            Correlations X_k' y_k of features and labels: minus the gradient of the loss at W = 0.
        curvature : float
            Mean diagonal of the tasks' X_k' X_k.

        Raises
        ------
        InputError
            For a relation whose strength cannot be chosen.
        """
        raise InputError(f"{type(self).__name__}: {name}='auto' cannot be chosen; give a number.")

    @property
    def vanishes(self) -> bool:
        """Whether R is zero everywhere, because its strengths are."""
        return bool(self.strengths) and all(getattr(self, name) == 0 for name in self.strengths)

    def __call__(self, W: Array) -> Array:
        """Give R(W)."""
        return self.value(W)

    def __add__(self, other: Relation) -> Relation:
        """Give the sum of two relations."""
        from relatask.relations.sums import Sum

        return Sum((self, other)) if isinstance(other, Relation) else NotImplemented


class Quadratic(Relation):
    """A relation R(W) = 1/2 tr(W' P W), with P a (t, t) positive semidefinite precision."""

    @abstractmethod
    def precision(self, n_tasks: int) -> Precision:
        """Give P for this many tasks, as structured as it is."""

    def prox(self, W: Array, step: float) -> Array:
        """Give (I + step P)^-1 W, the minimiser of step R(V) + 1/2 ||V - W||_F^2 (not differentiable)."""
        W, xp = read_w(W, owner=type(self).__name__)
        if step == 0:
            return W
        values = np.asarray(to_device(W, "cpu"), dtype=np.float64)
        # (I + step P)^-1 = (1/step) (I/step + P)^-1
        return like(self.precision(W.shape[0]).solve(1 / step, values) / step, W, xp)

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give four decades below and above the strength at which P's diagonal equals the data's."""
        own = float(replace(self, **{name: 1.0}).precision(len(correlation)).diagonal().mean())
        return around(curvature / own if own > 0 else curvature)


class FeatureQuadratic(Relation):
    """A relation R(W) = 1/2 tr(W Q W'), with Q a (d, d) positive semidefinite form on features, one for all tasks.

    Solvers see it as more data: `relatask.linear.features.priced` adds Q to the quadratic form of every task.
    """

    @property
    @abstractmethod
    def n_features(self) -> int:
        """The number of features d."""

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the features, where they are known."""

    @abstractmethod
    def form(self) -> np.ndarray:
        """Give Q (d, d), in the units in which the relation was given its features."""

    def value(self, W: Array) -> Array:
        """Give 1/2 tr(W Q W'); W is (t, d)."""
        owner = type(self).__name__
        W, xp = read_w(W, owner=owner)
        if W.shape[1] != self.n_features:
            raise InputError(
                f"{owner}: W has {W.shape[1]} columns, but the relation was made for {self.n_features} features; "
                "give it rows of these features."
            )
        return xp.sum((W @ like(self.form(), W, xp)) * W) / 2

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give four decades below and above the strength at which Q's diagonal equals the data's."""
        own = float(np.diagonal(replace(self, **{name: 1.0}).form()).mean())
        return around(curvature / own if own > 0 else curvature)


class Proximal(Relation):
    """A convex relation with an exact proximal operator; a norm, unless it says otherwise."""

    @abstractmethod
    def prox(self, W: Array, step: float) -> Array:
        """Give the minimiser over V of step R(V) + 1/2 ||V - W||_F^2."""

    @abstractmethod
    def gauge(self, Z: Array) -> Array:
        """Give the smallest g >= 0 for which the conjugate of R is finite at Z / g; Z is (t, d).

        For a norm this is its dual norm, max of <Z, W> over R(W) <= 1: W = 0 is optimal where the gauge of the
        correlations is at most 1. It is 0 where R grows faster than any linear function.
        """

    def conjugate(self, Z: Array) -> Array:
        """Give R*(Z) = max over W of <Z, W> - R(W), where `gauge` is at most 1: zero, for a norm."""
        return 0.0

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give the strength from which on W = 0, and four decades below it."""
        return below(float(replace(self, **{name: 1.0}).gauge(correlation)))


class Smooth(Relation):
    """A relation with a gradient everywhere, but not convex: a solver ends at a stationary point."""

    @abstractmethod
    def gradient(self, W: np.ndarray) -> np.ndarray:
        """Give the gradient (t, d) at W (t, d)."""

    def starts(self, W: np.ndarray) -> tuple[np.ndarray, ...]:
        """Give points (t, d) worth beginning at, W being the solution without the relation."""
        return ()


class Alternating(Relation):
    """A relation that learns something from W, and is convex in W while that is held: `given`, then `surrogate`."""

    @abstractmethod
    def surrogate(self) -> Relation:
        """Give the convex relation that touches this one at the W it was last `given`, up to a constant."""


def around(scale: float) -> tuple[float, float]:
    """Give the reach of a strength whose natural size is known: four decades to both sides."""
    return scale / SPAN, scale * SPAN


def below(null: float) -> tuple[float, float]:
    """Give the reach of a strength from which on nothing is left: four decades below it."""
    null = null or 1.0
    return null / SPAN, null
