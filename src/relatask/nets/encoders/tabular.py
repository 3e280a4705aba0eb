"""TabularMLP: columns of numbers, categories and anything else with an encoder, through hidden layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from relatask.nets.encoders.states import one_of
from relatask.notices import InputError

NORMS: dict[str | None, Any] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, None: None}


class Stem(nn.Module):
    """What stands before the first hidden layer: numbers, embedded categories, other encoders side by side.

    Parameters
    ----------
    numeric : int
        Columns of "numeric" (n, numeric).
    categories : sequence of int
        How many codes each column of "categorical" (n, c) has; 0 is a value that is not known.
    embedding : int, optional
        Width of categories' embeddings; by default round(1.6 codes^0.56), at most 50.
    others : mapping from key to Module, optional
        Encoders of other arrays, each with `features`.

    Attributes
    ----------
    features : int
        Widths of all, added up.

    Raises
    ------
    InputError
        For nothing to read, an encoder without `features`, and arrays that are absent or of other widths.
    """

    def __init__(
        self,
        numeric: int = 0,
        categories: Sequence[int] = (),
        embedding: int | None = None,
        others: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.numeric = numeric
        widths = [min(50, round(1.6 * count**0.56)) if embedding is None else embedding for count in categories]
        self.embeddings = nn.ModuleList([nn.Embedding(n, w) for n, w in zip(categories, widths, strict=True)])
        self.keys = tuple(others or {})
        self.others = nn.ModuleList((others or {}).values())
        for key, other in (others or {}).items():
            if not isinstance(getattr(other, "features", None), int):
                raise InputError(
                    f"the encoder of {key!r}, {type(other).__name__}, does not say its width; give it an attribute "
                    "features, a whole number."
                )
        self.features = numeric + sum(widths) + sum(int(other.features) for other in self.others)  # type: ignore
        if not self.features:
            raise InputError("there is nothing to read: give numeric columns, categories or other encoders.")

    def forward(self, x: Any) -> Tensor:
        """Give (n, features) of a mapping of arrays, or of "numeric" alone as a tensor (n, numeric)."""
        arrays = x if isinstance(x, Mapping) else {"numeric": x}
        parts = []
        if self.numeric:
            parts.append(_array(arrays, "numeric", self.numeric))
        if len(self.embeddings):
            codes = _array(arrays, "categorical", len(self.embeddings))
            parts += [embedding(codes[:, j]) for j, embedding in enumerate(self.embeddings)]
        parts += [other(_array(arrays, key)) for key, other in zip(self.keys, self.others, strict=True)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


class Hidden(nn.Module):
    """A hidden layer: ``dropout(relu(norm(W h + b)))``.

    Parameters
    ----------
    features, width : int
        Of what it reads and gives.
    dropout : float
        Share of units left out.
    normalization : {"batch", "layer", None}
        What stands between.
    """

    def __init__(self, features: int, width: int, dropout: float = 0.0, normalization: str | None = None) -> None:
        super().__init__()
        one_of(normalization, tuple(NORMS), "normalization", "Hidden")  # type: ignore[arg-type]
        norm = NORMS[normalization]
        self.features = width
        steps = [nn.Linear(features, width), *([] if norm is None else [norm(width)]), nn.ReLU()]
        self.steps = nn.Sequential(*steps, *([nn.Dropout(dropout)] if dropout else []))

    def forward(self, h: Tensor) -> Tensor:
        """Give (n, width); a batch of one row, which has no spread, is normalised as in evaluation."""
        for step in self.steps:
            if isinstance(step, nn.BatchNorm1d) and self.training and len(h) == 1:
                known = step.running_mean, step.running_var, step.weight, step.bias
                h = nn.functional.batch_norm(h, *known, eps=step.eps)
            else:
                h = step(h)
        return h


class TabularMLP(nn.Module):
    """Numbers, embedded categories and other columns' encoders side by side, then hidden layers.

    ``h_0 = [numeric, E_1[c_1], ..., e_1(x_1), ...]``, ``h_l = dropout(relu(norm(W_l h_(l-1) + b_l)))``

    Parameters
    ----------
    numeric : int
        Columns of the array "numeric" (n, numeric), or of x itself where x is a tensor.
    hidden : sequence of int
        Widths of the hidden layers; none gives h_0.
    categories : sequence of int
        How many codes each column of the array "categorical" (n, c) has; 0 is a value that is not known.
    embedding : int, optional
        Width of categories' embeddings; by default round(1.6 codes^0.56), at most 50.
    others : mapping from key to Module, optional
        Encoders of other arrays of x, each with `features`.
    dropout : float
        Of hidden units.
    normalization : {"batch", "layer", None}
        Of hidden layers.

    Attributes
    ----------
    features : int
        Width of the last hidden layer.

    Raises
    ------
    InputError
        For nothing to read, an encoder without `features`, and arrays that are absent or of other widths.

    References
    ----------
    Guo and Berkhahn 2016, Entity embeddings of categorical variables, arXiv:1604.06737.

    Examples
    --------
    >>> encoder = TabularMLP(numeric=3, hidden=(16,), categories=(5,))
    >>> encoder({"numeric": torch.zeros(2, 3), "categorical": torch.tensor([[1], [4]])}).shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        numeric: int = 0,
        hidden: Sequence[int] = (128, 64),
        categories: Sequence[int] = (),
        embedding: int | None = None,
        others: Mapping[str, nn.Module] | None = None,
        dropout: float = 0.0,
        normalization: str | None = None,
    ) -> None:
        super().__init__()
        self.stem = Stem(numeric, categories, embedding, others)
        widths = [self.stem.features, *hidden]
        self.layers = nn.Sequential(*[Hidden(i, o, dropout, normalization) for i, o in pairwise(widths)])
        self.features = widths[-1]

    def forward(self, x: Any) -> Tensor:
        """Give (n, features)."""
        found: Tensor = self.layers(self.stem(x))
        return found


def _array(arrays: Mapping[str, Any], key: str, width: int | None = None) -> Any:
    if key not in arrays:
        raise InputError(f"x has no array {key!r}; it has {', '.join(map(repr, arrays)) or 'none'}.")
    found = arrays[key]
    if width is not None and (found.ndim != 2 or found.shape[1] != width):
        raise InputError(f"array {key!r} has shape {tuple(found.shape)}; expected (n, {width}).")
    return found
