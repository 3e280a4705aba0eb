"""TextCNN: windows of words, the strongest of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from relatask.nets.encoders.tokens import cut, mask_of, token_numbers


class TextCNN(nn.Module):
    """An embedding, convolutions of several widths, each filter's greatest response: ``max_t relu(f * x)_t``.

    Every token is the middle of a window; what stands outside of the text is zero, padding or not.

    Parameters
    ----------
    numbers : int
        How many token numbers there are, padding (0) included.
    embedding : int
        Width of the embedding.
    widths : sequence of int
        Of the windows, in words.
    filters : int
        Of each width.
    dropout : float
        Of what it gives.

    Attributes
    ----------
    features : int
        Widths times filters.

    Raises
    ------
    InputError
        For inputs that are no token numbers.

    References
    ----------
    Kim 2014, Convolutional neural networks for sentence classification, EMNLP.

    Examples
    --------
    >>> encoder = TextCNN(100, embedding=8, filters=10)
    >>> encoder(torch.tensor([[5, 7, 0], [3, 0, 0]])).shape
    torch.Size([2, 30])
    """

    def __init__(
        self,
        numbers: int,
        embedding: int = 100,
        widths: Sequence[int] = (3, 4, 5),
        filters: int = 100,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.features = len(widths) * filters
        self.embedding = nn.Embedding(numbers, embedding, padding_idx=0)
        self.convolutions = nn.ModuleList([nn.Conv1d(embedding, filters, width) for width in widths])
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Any) -> Tensor:
        """Give (n, features) of token numbers (n, T)."""
        tokens = cut(token_numbers(x, "TextCNN"))
        mask, _ = mask_of(tokens)
        h = (self.embedding(tokens) * mask[..., None]).transpose(1, 2)
        found = [convolution(_around(h, convolution)).relu() * mask[:, None] for convolution in self.convolutions]
        return self.drop(torch.cat([one.amax(2) for one in found], 1))


def _around(h: Tensor, convolution: nn.Module) -> Tensor:
    """Put zeros around a text, so that every token is the middle of a window."""
    width = int(convolution.kernel_size[0])  # type: ignore
    return nn.functional.pad(h, ((width - 1) // 2, width // 2))
