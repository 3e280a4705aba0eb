"""Modalities: an encoder for each kind of input, fused; any may be missing, for some rows or for all."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, Self, get_args

import torch
from torch import Tensor, nn

from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.tie import Tie
from relatask.notices import InputError
from relatask.relations import Relation

Fusion = Literal["concat", "mean", "attention", "gated"]


class Modalities(Model):
    """An encoder for each modality, fused into what the heads read; a missing modality is allowed.

    With ``h_m = encoder_m(x_m)``, or a learned placeholder for rows that lack it, the heads read

    * concat: ``[h_1, ..., h_M]``;
    * mean: ``1/M sum_m h_m``;
    * attention: ``sum_m a_m h_m``, ``a = softmax over m of <u, tanh(V h_m)>``;
    * gated: ``sum_m sigmoid(V_m [h_1, ..., h_M]) * h_m``, entry by entry.

    A row lacks a modality that x has no key for, where all its numbers are NaN, and where a list has None.

    Parameters
    ----------
    encoders : mapping from modality to Module
        Each from its part of x to (n, width).
    heads : mapping from task to Module
        From ``width`` numbers, or for "concat" ``width`` times the number of modalities.
    width : int
        Of what the encoders give.
    fusion : {"concat", "mean", "attention", "gated"}
        How modalities are put together.
    dropout : float
        In [0, 1): how often, in training, a row's modality is taken for missing; never all of a row's.
    relation : Relation or Tie, optional
        What ties the heads together.

    Raises
    ------
    InputError
        For no encoder, an unknown fusion, a dropout out of range; when called, for an unknown modality, none at all, or
        modalities with different numbers of rows. An x that is no mapping goes to every encoder.

    References
    ----------
    Arevalo, Solorio, Montes-y-Gomez, Gonzalez 2017, Gated multimodal units for information fusion, ICLR workshop;
    Neverova, Wolf, Taylor, Nebout 2016, ModDrop: adaptive multi-modal gesture recognition, TPAMI 38, for the dropout.

    Examples
    --------
    >>> encoders = {"sound": nn.Linear(4, 8), "picture": nn.Sequential(nn.Flatten(), nn.Linear(9, 8))}
    >>> model = Modalities(encoders, {"digit": nn.Linear(8, 10)}, width=8, fusion="gated")
    >>> model({"sound": torch.zeros(2, 4), "picture": torch.zeros(2, 3, 3)})["digit"].shape
    torch.Size([2, 10])
    >>> model({"sound": torch.zeros(2, 4)})["digit"].shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        encoders: Mapping[Hashable, nn.Module],
        heads: Mapping[Hashable, nn.Module] | Heads,
        width: int,
        fusion: Fusion = "concat",
        dropout: float = 0.0,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        if not encoders or fusion not in get_args(Fusion) or not 0 <= dropout < 1:
            raise InputError(
                f"Modalities: {len(encoders)} encoders, fusion={fusion!r}, dropout={dropout!r}; expected at least "
                f"one encoder, one of {', '.join(map(repr, get_args(Fusion)))}, and a share in [0, 1)."
            )
        self.encoders = Heads(encoders)
        self.placeholders = nn.Parameter(torch.randn(len(encoders), width) / width**0.5)
        self.fusion, self.dropout = fusion, dropout
        self.score: nn.Module | None = None
        if fusion == "attention":
            self.score = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1, bias=False))
        elif fusion == "gated":
            self.score = nn.Linear(width * len(encoders), width * len(encoders))

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give two encoders that read the same x."""
        encoders: dict[Hashable, nn.Module] = {
            name: nn.Sequential(nn.Linear(features, 4), nn.Tanh()) for name in ("left", "right")
        }
        return cls(encoders, {task: nn.Linear(4, 1) for task in tasks}, 4, fusion="gated")

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Encode what is there, put placeholders where it is not, fuse, and give every task's output."""
        given: Mapping[Hashable, Any] = x if isinstance(x, Mapping) else dict.fromkeys(self.encoders.names, x)
        there = self._there(given)
        encoded = [self._encode(k, given.get(name), there[:, k]) for k, name in enumerate(self.encoders.names)]
        h = torch.stack(encoded, 1)
        if self.training and self.dropout:
            there = there & self._kept(there)
        h = torch.where(there[..., None], h, self.placeholders.to(h.dtype))
        self.representation = self._fused(h)
        return self.heads(self.representation, self.asked(tasks))

    def _there(self, given: Mapping[Hashable, Any]) -> Tensor:
        """Give whether each row has each modality, (n, M)."""
        names = self.encoders.names
        unknown = [name for name in given if name not in names]
        if unknown or not given:
            raise InputError(
                f"Modalities: x has {', '.join(map(repr, given)) or 'no modality'}; expected some of "
                f"{', '.join(map(repr, names))}."
            )
        sizes = {name: len(rows) for name, rows in given.items()}
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{name!r} {size}" for name, size in sizes.items())
            raise InputError(
                f"Modalities: the modalities differ in their numbers of rows: {told}. Give as many of each."
            )
        n, device = next(iter(sizes.values())), self.placeholders.device
        nowhere = torch.zeros(n, dtype=torch.bool, device=device)
        return torch.stack([_present(given[name], device) if name in given else nowhere for name in names], 1)

    def _encode(self, k: int, rows: Any, there: Tensor) -> Tensor:
        """Give h_k (n, width): of the rows that have the modality; anything for the others."""
        encoder, placeholder = self.encoders[self.encoders.names[k]], self.placeholders[k]
        if rows is None or not there.any():
            return placeholder.expand(len(there), -1)
        if there.all():
            return encoder(rows)
        places = there.nonzero()[:, 0]
        some = encoder(rows[places] if isinstance(rows, Tensor) else [rows[i] for i in places.tolist()])
        return placeholder.to(some.dtype).expand(len(there), -1).index_put((places,), some)

    def _kept(self, there: Tensor) -> Tensor:
        """Draw which modalities stay; where a row would lose all it has, all stay."""
        kept = torch.rand(there.shape, device=there.device) >= self.dropout
        return kept | ~(kept & there).any(1, keepdim=True)

    def _fused(self, h: Tensor) -> Tensor:
        if self.fusion == "concat":
            return h.flatten(1)
        if self.score is None:
            return h.mean(1)
        if self.fusion == "attention":
            weight = self.score(h).softmax(1)
        else:
            weight = self.score(h.flatten(1)).sigmoid().unflatten(1, h.shape[1:])
        for k, name in enumerate(self.encoders.names):
            self.show_gate(str(name), weight[:, k].mean())
        return (weight * h).sum(1)


def _present(rows: Any, device: torch.device) -> Tensor:
    """Give whether each row is there, (n,)."""
    if not isinstance(rows, Tensor):
        return torch.tensor([row is not None for row in rows], device=device)
    if not rows.is_floating_point():
        return torch.ones(len(rows), dtype=torch.bool, device=device)
    return ~rows.isnan().flatten(1).all(1) if rows.ndim > 1 else ~rows.isnan()
