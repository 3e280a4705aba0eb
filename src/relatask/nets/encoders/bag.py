"""BagOfNgrams: a text as the sum of its n-grams' embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from relatask.nets.encoders.tokens import token_numbers
from relatask.notices import InputError


class BagOfNgrams(nn.Module):
    """The weighted sum of the embeddings of a text's n-grams: ``sum_g v_g e_g / |v|``, then a layer if asked for.

    Linear in the text's unit-length TF-IDF vector where the weights v are inverse document frequencies.

    Parameters
    ----------
    numbers : int
        How many n-gram numbers there are, padding (0) included.
    width : int
        Of the embeddings.
    hidden : int, optional
        Width of a layer behind the sum: ``relu(A relu(sum) + b)``. None gives the sum itself.
    weights : sequence of float (numbers,), optional
        The weight of each number, `HashedNgrams.weights_` for example; all alike by default.
    dropout : float
        Of what it gives.

    Attributes
    ----------
    features : int
        hidden, or width.

    Raises
    ------
    InputError
        For weights of another number, and inputs that are no numbers of n-grams.

    References
    ----------
    Joulin et al. 2017, Bag of tricks for efficient text classification, EACL.

    Examples
    --------
    >>> encoder = BagOfNgrams(1000, width=16)
    >>> encoder(torch.tensor([[5, 7, 0], [3, 0, 0]])).shape
    torch.Size([2, 16])
    """

    weights: Tensor

    def __init__(
        self,
        numbers: int,
        width: int = 64,
        hidden: int | None = None,
        weights: Sequence[float] | Tensor | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        found = torch.ones(numbers) if weights is None else torch.as_tensor(weights, dtype=torch.float32).clone()
        if found.shape != (numbers,):
            raise InputError(f"BagOfNgrams: weights has shape {tuple(found.shape)}; expected ({numbers},).")
        found[0] = 0
        self.register_buffer("weights", found)
        self.features = width if hidden is None else hidden
        self.embedding = nn.EmbeddingBag(numbers, width, mode="sum", padding_idx=0)
        self.layer = nn.Identity() if hidden is None else nn.Sequential(nn.ReLU(), nn.Linear(width, hidden), nn.ReLU())
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Any) -> Tensor:
        """Give (n, features) of n-gram numbers (n, G), in any order."""
        numbers = token_numbers(x, "BagOfNgrams")
        weights = self.weights[numbers]
        length = weights.square().sum(1, keepdim=True).clamp(min=1e-12).sqrt()
        found: Tensor = self.embedding(numbers, per_sample_weights=weights / length)
        return self.drop(self.layer(found))
