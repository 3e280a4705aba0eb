"""Token numbers as encoders of text take them: (n, T) with padding behind each text, or a list of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from relatask.notices import InputError


def token_numbers(x: Any, owner: str) -> Tensor:
    """Give (n, T) whole numbers, 0 at padding, from such a tensor or a list of tensors (T_i,).

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> token_numbers([torch.tensor([3, 4]), torch.tensor([5])], "BiLSTM")
    tensor([[3, 4],
            [5, 0]])
    """
    if isinstance(x, Sequence) and not isinstance(x, str) and len(x) and not isinstance(x[0], str):
        x = pad_sequence([torch.as_tensor(row, dtype=torch.long).reshape(-1) for row in x], batch_first=True)
    if not isinstance(x, Tensor) or x.ndim != 2 or x.is_floating_point():
        told = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else f"{type(x).__name__}"
        raise InputError(f"{owner} takes whole numbers (n, T), 0 at padding, or a list of such texts; given {told}.")
    return x if x.shape[1] else x.new_zeros(len(x), 1)


def mask_of(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Give where the texts are (n, T), and how long each is (n,): up to its last number that is not 0."""
    place = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
    lengths = (place * (tokens != 0)).amax(1)
    return place <= lengths[:, None], lengths


def cut(tokens: Tensor) -> Tensor:
    """Give the columns up to the longest text, at least one."""
    longest = int(mask_of(tokens)[1].max()) if len(tokens) else 0
    return tokens[:, : max(longest, 1)]


def mean_of(states: Tensor, mask: Tensor) -> Tensor:
    """Give the mean state of each text (n, d), zeros for a text of no token."""
    kept = states * mask[..., None]
    return kept.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
