"""Linear-chain conditional random field: the chance of a sentence's tags as a whole, and the likeliest ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from relatask.kinds.labels import MISSING, single


class Chain(NamedTuple):
    """What a `LinearChain` gives for n sentences of up to T tokens.

    Parameters
    ----------
    scores : tensor (n, T, C)
        Of each tag at each token.
    steps : tensor (C, C)
        Of going from a tag (row) to the next (column).
    first, last : tensor (C,)
        Of beginning and of ending with a tag.
    lengths : tensor (n,) of int
        Tokens that are no padding.
    """

    scores: Tensor
    steps: Tensor
    first: Tensor
    last: Tensor
    lengths: Tensor


class LinearChain(nn.Module):
    """A head for tagging that learns which tags follow each other.

    ``score(tags) = first[t_1] + sum_i scores[i, t_i] + sum_i steps[t_i, t_i+1] + last[t_T]``, and the chance of tags
    is ``exp(score(tags)) / Z``, Z the sum over all sequences of tags.

    Tokens at the end whose representation is zero throughout are padding (torch's `pad_packed_sequence` leaves zeros).

    Parameters
    ----------
    features : int
        Of the representation (n, T, features).
    tags : int
        How many.

    References
    ----------
    Lafferty, McCallum, Pereira 2001, Conditional random fields, ICML.

    Examples
    --------
    >>> head = LinearChain(8, 3)
    >>> head(torch.randn(2, 5, 8)).scores.shape
    torch.Size([2, 5, 3])
    """

    def __init__(self, features: int, tags: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, tags)
        self.steps = nn.Parameter(torch.zeros(tags, tags))
        self.first = nn.Parameter(torch.zeros(tags))
        self.last = nn.Parameter(torch.zeros(tags))

    def forward(self, z: Tensor) -> Chain:
        """Score tags, and note which tokens are padding."""
        return Chain(self.linear(z), self.steps, self.first, self.last, lengths_of((z != 0).any(-1)))


def lengths_of(real: Tensor) -> Tensor:
    """Give the position after the last True of each row of (n, T), at least 1."""
    place = torch.arange(1, real.shape[1] + 1, device=real.device)
    return (place * real).amax(1).clamp(min=1)


def log_partition(chain: Chain, lengths: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Sum ``exp(score)`` over all sequences of tags, or over those allowed, by the forward algorithm; its logarithm.

    Parameters
    ----------
    chain : Chain
        Scores.
    lengths : tensor (n,)
        Where each sentence ends.
    allowed : tensor (n, T, C) of bool, optional
        Which tags each token may have; at least one each.

    Returns
    -------
    tensor (n,)
    """
    with torch.autocast(chain.scores.device.type, enabled=False):  # its product would be one of halves
        return _log_partition(chain, lengths, allowed)


def _log_partition(chain: Chain, lengths: Tensor, allowed: Tensor | None) -> Tensor:
    scores, steps = single(chain.scores), single(chain.steps)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    # One matrix product a token: exp(a_i + steps_ij) is exp(a_i - max a) exp(steps_ij - max_i steps_ij), times both.
    highest = steps.detach().amax(0)
    going = (steps - highest).exp()
    tiny = torch.finfo(scores.dtype).tiny
    a = single(chain.first) + scores[:, 0]
    for t in range(1, scores.shape[1]):
        top = a.detach().amax(1, keepdim=True)
        after = ((a - top).exp() @ going).clamp(min=tiny).log() + top + highest + scores[:, t]
        a = torch.where((t < lengths)[:, None], after, a)
    return (a + single(chain.last)).logsumexp(1)


def score(chain: Chain, tags: Tensor, lengths: Tensor) -> Tensor:
    """Give the score (n,) of tags (n, T); what stands after a sentence's end is not looked at."""
    scores, steps = single(chain.scores), single(chain.steps)
    there = torch.arange(tags.shape[1], device=tags.device) < lengths[:, None]
    tags = tags.clamp(min=0)
    own = scores.gather(2, tags[..., None])[..., 0]
    moves = steps[tags[:, :-1], tags[:, 1:]]
    end = tags.gather(1, (lengths - 1)[:, None])[:, 0]
    return (
        single(chain.first)[tags[:, 0]] + (own * there).sum(1) + (moves * there[:, 1:]).sum(1) + single(chain.last)[end]
    )


def negative_log_likelihood(chain: Chain, target: Tensor) -> Tensor:
    """Give ``-log P(tags)`` of each sentence, (n,).

    A sentence ends with its last label. A label that is missing before that is summed over: the chance is that of the
    labels that are there.
    """
    there = target != MISSING
    lengths = lengths_of(there)
    inside = torch.arange(target.shape[1], device=target.device) < lengths[:, None]
    scores = chain.scores.new_zeros(())
    chain = chain._replace(scores=torch.where(inside[..., None], chain.scores, scores))  # padding may hold anything
    everything = log_partition(chain, lengths)
    if bool((there | ~inside).all()):
        return everything - score(chain, target, lengths)
    one = torch.nn.functional.one_hot(target.clamp(min=0), chain.scores.shape[-1]).bool()
    return everything - log_partition(chain, lengths, one | ~there[..., None])


@torch.no_grad()
def likeliest(chain: Chain) -> Tensor:
    """Give the tags (n, T) of the highest score (Viterbi); 0 after a sentence's end."""
    scores, steps, lengths = single(chain.scores), single(chain.steps), chain.lengths
    n, length, _ = scores.shape
    a = single(chain.first) + scores[:, 0]
    came: list[Tensor] = []
    for t in range(1, length):
        best, source = (a[:, :, None] + steps).max(1)
        inside = (t < lengths)[:, None]
        a = torch.where(inside, best + scores[:, t], a)
        came.append(source)
    tag = (a + single(chain.last)).argmax(1)
    tags = torch.zeros(n, length, dtype=torch.long, device=scores.device)
    for t in range(length - 1, -1, -1):
        if t < length - 1:
            tag = torch.where(t + 1 < lengths, came[t].gather(1, tag[:, None])[:, 0], tag)
        tags[:, t] = torch.where(t < lengths, tag, 0)
    return tags
