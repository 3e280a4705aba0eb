"""What encoders of sequences and pictures give, and heads that choose from it: the whole, or its parts."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn

from relatask.notices import InputError


class TextStates(NamedTuple):
    """A text as a whole and token by token, so that sentence tasks and tagging share one encoder.

    Attributes
    ----------
    tokens : tensor (n, T, features)
        Zeros at padding.
    sentence : tensor (n, features)
    """

    tokens: Tensor
    sentence: Tensor


class PictureStates(NamedTuple):
    """A picture as a map and pooled, so that detection or segmentation and classes share one encoder.

    Attributes
    ----------
    map : tensor (n, features, height, width)
    pooled : tensor (n, features)
    """

    map: Tensor
    pooled: Tensor


class SentenceHead(nn.Module):
    """A head that reads the sentence of `TextStates`: ``head(states.sentence)``.

    Parameters
    ----------
    head : Module
        From (n, features).

    Raises
    ------
    InputError
        Where the encoder gives something else (in forward).

    Examples
    --------
    >>> import torch
    >>> states = TextStates(torch.zeros(2, 5, 8), torch.zeros(2, 8))
    >>> SentenceHead(nn.Linear(8, 3))(states).shape, TokenHead(nn.Linear(8, 4))(states).shape
    (torch.Size([2, 3]), torch.Size([2, 5, 4]))
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, states: Any) -> Any:
        """Give the head's output for the sentences."""
        return self.head(_of(states, "sentence", "gives='both' of a text encoder"))


class TokenHead(nn.Module):
    """A head that reads the tokens of `TextStates`: ``head(states.tokens)``.

    Parameters
    ----------
    head : Module
        From (n, T, features).

    Raises
    ------
    InputError
        Where the encoder gives something else (in forward).
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, states: Any) -> Any:
        """Give the head's output for the tokens."""
        return self.head(_of(states, "tokens", "gives='both' of a text encoder"))


class PooledHead(nn.Module):
    """A head that reads the pooled vector of `PictureStates`: ``head(states.pooled)``.

    Parameters
    ----------
    head : Module
        From (n, features).

    Raises
    ------
    InputError
        Where the encoder gives something else (in forward).
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, states: Any) -> Any:
        """Give the head's output for the pictures."""
        return self.head(_of(states, "pooled", "gives='both' of a picture encoder"))


class MapHead(nn.Module):
    """A head that reads the map of `PictureStates`: ``head(states.map)``.

    Parameters
    ----------
    head : Module
        From (n, features, height, width).

    Raises
    ------
    InputError
        Where the encoder gives something else (in forward).
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, states: Any) -> Any:
        """Give the head's output for the maps."""
        return self.head(_of(states, "map", "gives='both' of a picture encoder"))


def one_of(value: str, known: tuple[str, ...], name: str, owner: str) -> str:
    """Give a choice back if it is one of the known ones, else raise InputError."""
    if value not in known:
        raise InputError(f"{owner}: {name}={value!r} is unknown; expected one of {', '.join(map(repr, known))}.")
    return value


def _of(states: Any, name: str, how: str) -> Tensor:
    if not isinstance(states, TextStates | PictureStates) or name not in states._fields:
        shape = tuple(states.shape) if isinstance(states, Tensor) else type(states).__name__
        raise InputError(f"a head reads .{name} of what the encoder gives, which is {shape}; ask for it by {how}.")
    found: Tensor = getattr(states, name)
    return found
