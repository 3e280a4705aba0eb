"""BiLSTM: text read forwards and backwards, a state a token and one for the sentence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from relatask.nets.encoders.states import TextStates, one_of
from relatask.nets.encoders.tokens import cut, mask_of, mean_of, token_numbers

GIVES = ("sentence", "tokens", "both")
POOLS = ("last", "max", "mean", "attention")


class BiLSTM(nn.Module):
    """An embedding and a bidirectional LSTM; padding takes no part (sequences are packed).

    Parameters
    ----------
    numbers : int
        How many token numbers there are, padding (0) included.
    embedding : int
        Width of the embedding.
    hidden : int
        Width of each direction's state.
    layers : int
        Of the LSTM.
    dropout : float
        Of embedded tokens, between layers, and of states.
    pool : {"last", "max", "mean", "attention"}
        How the sentence is made of its tokens: both directions' last states, the greatest or mean of each feature, or
        a mean weighted by ``softmax(u' tanh(A h))``.
    gives : {"sentence", "tokens", "both"}
        A tensor (n, features) or (n, T, features), or `TextStates` with both, for `SentenceHead` and `TokenHead`.

    Attributes
    ----------
    features : int
        Width of states and sentences, 2 hidden.

    Raises
    ------
    InputError
        For unknown names, and inputs that are no token numbers.

    References
    ----------
    Graves and Schmidhuber 2005, Framewise phoneme classification with bidirectional LSTM, Neural Networks 18; attention
    as in Lin et al. 2017, A structured self-attentive sentence embedding, ICLR, equation 5.

    Examples
    --------
    >>> encoder = BiLSTM(100, embedding=8, hidden=16, gives="both")
    >>> states = encoder(torch.tensor([[5, 7, 0], [3, 0, 0]]))
    >>> states.tokens.shape, states.sentence.shape, encoder.features
    (torch.Size([2, 3, 32]), torch.Size([2, 32]), 32)
    """

    def __init__(
        self,
        numbers: int,
        embedding: int = 64,
        hidden: int = 100,
        layers: int = 1,
        dropout: float = 0.0,
        pool: str = "last",
        gives: str = "sentence",
    ) -> None:
        super().__init__()
        self.gives = one_of(gives, GIVES, "gives", "BiLSTM")
        self.pool = one_of(pool, POOLS, "pool", "BiLSTM")
        self.features = 2 * hidden
        self.embedding = nn.Embedding(numbers, embedding, padding_idx=0)
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True, bidirectional=True, dropout=between)
        self.drop = nn.Dropout(dropout)
        if pool == "attention":
            self.attention = nn.Sequential(
                nn.Linear(self.features, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False)
            )

    def forward(self, x: Any) -> Tensor | TextStates:
        """Give states of token numbers (n, T)."""
        tokens = token_numbers(x, "BiLSTM")
        tokens = cut(tokens) if self.gives == "sentence" else tokens
        mask, lengths = mask_of(tokens)
        embedded = self.drop(self.embedding(tokens))
        packed = pack_padded_sequence(embedded, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        found, (last, _) = self.lstm(packed)
        states = pad_packed_sequence(found, batch_first=True, total_length=tokens.shape[1])[0]
        states = self.drop(states) * mask[..., None]
        if self.gives == "tokens":
            return states
        sentence = self._sentence(states, mask, self.drop(torch.cat([last[-2], last[-1]], -1)))
        return sentence if self.gives == "sentence" else TextStates(states, sentence)

    def _sentence(self, states: Tensor, mask: Tensor, last: Tensor) -> Tensor:
        some = mask.any(1, keepdim=True)
        if self.pool == "last":
            return last * some
        if self.pool == "mean":
            return mean_of(states, mask)
        if self.pool == "max":
            highest = states.masked_fill(~mask[..., None], -torch.inf).amax(1)
            return torch.where(some, highest, 0.0)
        scores = self.attention(states)[..., 0].masked_fill(~(mask | ~some), -torch.inf)
        return (scores.softmax(1)[..., None] * states).sum(1)
