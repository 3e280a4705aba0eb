"""SmallTransformer: self-attention over the tokens of a text."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from relatask.nets.encoders.bilstm import GIVES
from relatask.nets.encoders.states import TextStates, one_of
from relatask.nets.encoders.tokens import cut, mask_of, mean_of, token_numbers


class SmallTransformer(nn.Module):
    """An embedding, sines of positions, and a few layers of self-attention; padding is attended to by nobody.

    ``h <- h + attention(norm(h))``, ``h <- h + mlp(norm(h))``; the sentence is the mean of its tokens' states.

    Parameters
    ----------
    numbers : int
        How many token numbers there are, padding (0) included.
    width : int
        Of states; even.
    heads : int
        Of attention.
    layers : int
        How many.
    dropout : float
        In all layers, and of embedded tokens.
    gives : {"sentence", "tokens", "both"}
        As of `BiLSTM`.

    Attributes
    ----------
    features : int
        The width.

    Raises
    ------
    InputError
        For unknown names, and inputs that are no token numbers.

    References
    ----------
    Vaswani et al. 2017, Attention is all you need, NeurIPS, section 3; norms first as in Xiong et al. 2020, On layer
    normalization in the transformer architecture, ICML.

    Examples
    --------
    >>> encoder = SmallTransformer(100, width=16, heads=2, layers=1)
    >>> encoder(torch.tensor([[5, 7, 0], [3, 0, 0]])).shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        numbers: int,
        width: int = 128,
        heads: int = 4,
        layers: int = 2,
        dropout: float = 0.1,
        gives: str = "sentence",
    ) -> None:
        super().__init__()
        self.gives = one_of(gives, GIVES, "gives", "SmallTransformer")
        self.features = width
        self.embedding = nn.Embedding(numbers, width, padding_idx=0)
        self.drop = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, x: Any) -> Tensor | TextStates:
        """Give states of token numbers (n, T)."""
        tokens = token_numbers(x, "SmallTransformer")
        tokens = cut(tokens) if self.gives == "sentence" else tokens
        mask, _ = mask_of(tokens)
        open_ = mask | ~mask.any(1, keepdim=True)  # a text of no token attends to its padding, rather than to nothing
        h = self.embedding(tokens) * self.features**0.5
        h = self.drop(h + sines(tokens.shape[1], self.features, h))
        states = self.layers(h, src_key_padding_mask=~open_) * mask[..., None]
        if self.gives == "tokens":
            return states
        sentence = mean_of(states, mask)
        return sentence if self.gives == "sentence" else TextStates(states, sentence)


def sines(length: int, width: int, like: Tensor) -> Tensor:
    """Give (length, width): sines and cosines of position / 10000^(2i / width).

    Examples
    --------
    >>> sines(2, 2, torch.zeros(1))
    tensor([[0.0000, 1.0000],
            [0.8415, 0.5403]])
    """
    place = torch.arange(length, device=like.device, dtype=torch.float64)[:, None]
    rate = 10_000.0 ** (-torch.arange(0, width, 2, device=like.device, dtype=torch.float64) / width)
    out = torch.stack([torch.sin(place * rate), torch.cos(place * rate)], -1).flatten(1)
    return out[:, :width].to(like.dtype)
