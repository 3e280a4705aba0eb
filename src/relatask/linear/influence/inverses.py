"""All (q, q) blocks M_ij of (blockdiag(G_k) + P)^-1, held by the structure that the relation has.

Each kind answers the same questions: blocks on the diagonal, a task's column of blocks, products, and the squared
norms tr(G_i M_ij G_j M_ji) of the hat matrix between every two tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from relatask.linear.sums.forms import Array


class Inverse(Protocol):
    """The blocks M_ij."""

    def diagonal(self) -> Array:
        """(t, q, q) blocks M_kk."""

    def column(self, task: int, F: Array) -> Array:
        """(t, q, r) M_ij F for one task j and F (q, r)."""

    def apply(self, V: Array) -> Array:
        """(t, q) sum_j M_ij v_j."""

    def norms(self, forms: Array) -> Array:
        """(t, t) tr(G_i M_ij G_j M_ji) for forms (t, q, q)."""

    def weighted(self, forms: Array, factor: Array) -> Array:
        """(t, q, q) sum_j factor_j M_ij G_j M_ji."""

    def with_vector(self, u: Array, last: float) -> Inverse:
        """M_ij + a_i a_j' of coordinates (w, b) a task: a_i is (u_i, last), and M_ij is 0 in the new coordinate."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """M_ij = [i = j] D_i + L_i R L_j': tasks that only know of each other through a few common coordinates.

    Attributes
    ----------
    own : (t, q, q), D.
    side : (t, q, h), L.
    core : (h, h), R.
    """

    own: Array
    side: Array
    core: Array

    def diagonal(self) -> Array:
        """(t, q, q) blocks M_kk."""
        return np.asarray(self.own + self.side @ self.core @ self.side.swapaxes(1, 2))

    def column(self, task: int, F: Array) -> Array:
        """(t, q, r) M_ij F."""
        out = self.side @ (self.core @ (self.side[task].T @ F))
        out[task] += self.own[task] @ F
        return np.asarray(out)

    def apply(self, V: Array) -> Array:
        """(t, q) sum_j M_ij v_j."""
        shared = self.core @ np.einsum("tqh,tq->h", self.side, V)
        return np.einsum("tqr,tr->tq", self.own, V) + self.side @ shared

    def norms(self, forms: Array) -> Array:
        """(t, t) of products of (t, h^2) arrays: never the blocks one by one."""
        t = len(forms)
        seen = self.side.swapaxes(1, 2) @ forms @ self.side
        out = (self.core @ seen @ self.core).reshape(t, -1) @ seen.reshape(t, -1).T
        hat = forms @ self.diagonal()
        out[np.diag_indices(t)] = np.einsum("tab,tba->t", hat, hat)
        return np.maximum(out, 0.0)

    def weighted(self, forms: Array, factor: Array) -> Array:
        """(t, q, q) sum_j factor_j M_ij G_j M_ji."""
        scaled = factor[:, None, None] * forms
        total = np.einsum("tqg,tqr,trh->gh", self.side, scaled, self.side, optimize=True)
        shared = self.side @ self.core
        cross = self.own @ scaled @ self.side @ shared.swapaxes(1, 2)
        return np.asarray(
            self.own @ scaled @ self.own + cross + cross.swapaxes(1, 2) + shared @ total @ shared.swapaxes(1, 2)
        )

    def with_vector(self, u: Array, last: float) -> Ranked:
        """One more common coordinate."""
        t, q, h = self.side.shape
        side = np.zeros((t, q + 1, h + 1))
        side[:, :q, :h], side[:, :q, h], side[:, q, h] = self.side, u, last
        core = np.eye(h + 1)
        core[:h, :h] = self.core
        return Ranked(np.pad(self.own, [(0, 0), (0, 1), (0, 1)]), side, core)


@dataclass(frozen=True, eq=False)
class Rotated:
    """Tasks on the same rows: M_ij = V diag_l(C_ijl) V', C_ijl = root_i root_j sum_m U_im U_jm / (a_l + p_m).

    Attributes
    ----------
    basis, values : (q, q) V and (q,) a of the form that they share.
    turn, weights : (t, t) U and (t,) p of the precision, in units of the forms' factors.
    root : (t,) inverse roots of these factors.
    """

    basis: Array
    values: Array
    turn: Array
    weights: Array
    root: Array

    def _over(self, total: Array) -> Array:
        """1 / total, 0 where the data and the relation say nothing."""
        return np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)

    def _between(self, direction: int) -> Array:
        """(t, t) C_ijl of one eigendirection l."""
        turned = self.root[:, None] * self.turn
        return np.asarray((turned * self._over(self.values[direction] + self.weights)) @ turned.T)

    def diagonal(self) -> Array:
        """(t, q, q) blocks M_kk."""
        inner = np.square(self.root[:, None] * self.turn) @ self._over(self.weights[:, None] + self.values)
        return np.asarray((self.basis * inner[:, None, :]) @ self.basis.T)

    def column(self, task: int, F: Array) -> Array:
        """(t, q, r) M_ij F."""
        own = self.root[task] * self.turn[task]
        inner = (self.root[:, None] * self.turn * own) @ self._over(self.weights[:, None] + self.values)
        return np.asarray((self.basis * inner[:, None, :]) @ (self.basis.T @ F))

    def apply(self, V: Array) -> Array:
        """(t, q) sum_j M_ij v_j."""
        turned = self.turn.T @ (self.root[:, None] * (V @ self.basis))
        solved = turned * self._over(self.weights[:, None] + self.values)
        return np.asarray(self.root[:, None] * (self.turn @ solved) @ self.basis.T)

    def norms(self, forms: Array) -> Array:
        """(t, t), one eigendirection at a time."""
        t = len(self.root)
        factor = np.square(self._over(self.root))
        out = np.zeros((t, t))
        for direction in np.flatnonzero(self.values > 0):
            out += np.square(self.values[direction] * self._between(int(direction)))
        return np.asarray(out * np.multiply.outer(factor, factor))

    def weighted(self, forms: Array, factor: Array) -> Array:
        """(t, q, q) sum_j factor_j M_ij G_j M_ji."""
        own = factor * np.square(self._over(self.root))
        inner = np.zeros((len(self.root), len(self.values)))
        for direction in np.flatnonzero(self.values > 0):
            inner[:, direction] = self.values[direction] * (np.square(self._between(int(direction))) @ own)
        return np.asarray((self.basis * inner[:, None, :]) @ self.basis.T)

    def with_vector(self, u: Array, last: float) -> Written:
        """No structure is left."""
        t, q = len(self.root), len(self.values)
        blocks = np.stack([self.column(j, np.eye(q)) for j in range(t)], axis=2)
        return Written(blocks).with_vector(u, last)


@dataclass(frozen=True, eq=False)
class Solved:
    """Blocks that a factor solves for, a task's column at a time: of chains and trees, never (t q, t q) numbers.

    Attributes
    ----------
    factor : right-hand sides (t, r, q) -> solutions.
    shape : (t, q).
    """

    factor: Callable[[Array], Array]
    shape: tuple[int, int]

    def column(self, task: int, F: Array) -> Array:
        """(t, q, r) M_ij F."""
        right = np.zeros((self.shape[0], F.shape[1], self.shape[1]))
        right[task] = F.T
        return self.factor(right).swapaxes(1, 2)

    def _columns(self) -> Iterator[tuple[int, Array]]:
        eye = np.eye(self.shape[1])
        return ((j, self.column(j, eye)) for j in range(self.shape[0]))

    def diagonal(self) -> Array:
        """(t, q, q) blocks M_kk."""
        return np.stack([column[j] for j, column in self._columns()])

    def apply(self, V: Array) -> Array:
        """(t, q) sum_j M_ij v_j."""
        return self.factor(V[:, None, :])[:, 0]

    def norms(self, forms: Array) -> Array:
        """(t, t)."""
        each = [np.einsum("iab,iab->i", forms @ column, column @ forms[j]) for j, column in self._columns()]
        return np.maximum(np.stack(each, axis=1), 0.0)

    def weighted(self, forms: Array, factor: Array) -> Array:
        """(t, q, q) sum_j factor_j M_ij G_j M_ji."""
        out = np.zeros((*self.shape, self.shape[1]))
        for j, column in self._columns():
            out += factor[j] * (column @ forms[j] @ column.swapaxes(1, 2))
        return out

    def with_vector(self, u: Array, last: float) -> Written:
        """No structure is left."""
        blocks = np.stack([column for _, column in self._columns()], axis=2)
        return Written(blocks).with_vector(u, last)


@dataclass(frozen=True, eq=False)
class Written:
    """Every block written out: (t, q, t, q)."""

    blocks: Array

    def diagonal(self) -> Array:
        """(t, q, q) blocks M_kk."""
        return np.ascontiguousarray(np.einsum("kakb->kab", self.blocks))

    def column(self, task: int, F: Array) -> Array:
        """(t, q, r) M_ij F."""
        return np.asarray(self.blocks[:, :, task] @ F)

    def apply(self, V: Array) -> Array:
        """(t, q) sum_j M_ij v_j."""
        t, q = V.shape
        return np.asarray((self.blocks.reshape(t * q, t * q) @ V.reshape(-1)).reshape(t, q))

    def norms(self, forms: Array) -> Array:
        """(t, t)."""
        t, q = self.blocks.shape[:2]
        hat = (forms @ self.blocks.reshape(t, q, t * q)).reshape(t, q, t, q)
        return np.maximum(np.einsum("iajb,jbia->ij", hat, hat), 0.0)

    def weighted(self, forms: Array, factor: Array) -> Array:
        """(t, q, q) sum_j factor_j M_ij G_j M_ji."""
        t, q = self.blocks.shape[:2]
        flat = self.blocks.reshape(t, q, t * q)
        middle = (factor[:, None, None] * forms) @ self.blocks.reshape(t, q, t * q)
        return np.stack([flat[k] @ middle.reshape(t * q, t, q)[:, k] for k in range(t)])

    def with_vector(self, u: Array, last: float) -> Written:
        """One more coordinate a task."""
        vector = np.column_stack([u, np.full(len(u), last)])
        padded = np.pad(self.blocks, [(0, 0), (0, 1), (0, 0), (0, 1)])
        return replace(self, blocks=padded + np.einsum("ia,jb->iajb", vector, vector))
