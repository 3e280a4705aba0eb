"""SharedPrivate: an encoder of all tasks beside one of each, kept apart by an adversary and by orthogonality."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from relatask.nets.gradient_reversal import reverse_gradient
from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.tie import Tie
from relatask.notices import InputError
from relatask.relations import Relation


class SharedPrivate(Model):
    """What a task reads comes from an encoder of all tasks and one of its own, side by side.

    ``y_k = head_k([s, p_k])``, ``s = shared(x)``, ``p_k = private_k(x)``, and as penalties

    * adversary: the cross-entropy of a discriminator that tells from s which task a row belongs to. The discriminator
      learns to tell; its gradient is reversed, times `adversary`, on its way into the shared encoder, which unlearns
      what tells tasks apart.
    * orthogonality: ``orthogonality * sum_k ||S' P_k / n||_F^2`` over the n rows of a part and the tasks that it is of,
      so that the two do not say the same. Divided by n, its strength does not depend on the size of a batch. Of a batch
      in several parts it is the mean over them: with a source a task the mean over tasks, a t-th of the paper's sum.

    The adversary needs data of each task by itself (separate inputs): rows that all tasks share belong to none.

    Parameters
    ----------
    shared : Module
        From x to s (n, width).
    private : mapping from task to Module
        From x to p_k.
    heads : mapping from task to Module
        From [s, p_k].
    width : int
        Of s.
    adversary : float
        Strength of the reversed gradient; 0 leaves the adversary out.
    orthogonality : float
        Strength; 0 leaves it out.
    discriminator : Module, optional
        From s to a logit for each task; linear by default.
    relation : Relation or Tie, optional
        What ties the heads together.

    Raises
    ------
    InputError
        Where a task has no private encoder, or a private encoder no task; while training with an adversary, for inputs
        that several tasks share.

    References
    ----------
    Liu, Qiu, Huang 2017, Adversarial multi-task learning for text classification, ACL, equations 12 to 15.
    Bousmalis, Trigeorgis, Silberman, Krishnan, Erhan 2016, Domain separation networks, NeurIPS, for the orthogonality.
    Ganin et al. 2016, Domain-adversarial training of neural networks, JMLR 17, for the reversal.

    Examples
    --------
    >>> tasks = ("books", "music")
    >>> private = {task: nn.Linear(5, 3) for task in tasks}
    >>> model = SharedPrivate(nn.Linear(5, 4), private, {task: nn.Linear(7, 1) for task in tasks}, 4, adversary=0.05)
    >>> outputs = model(torch.zeros(2, 5), tasks=("music",))
    >>> list(outputs), list(model.penalties())
    (['music'], ['adversary'])
    """

    def __init__(
        self,
        shared: nn.Module,
        private: Mapping[Hashable, nn.Module],
        heads: Mapping[Hashable, nn.Module] | Heads,
        width: int,
        adversary: float = 0.0,
        orthogonality: float = 0.0,
        discriminator: nn.Module | None = None,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        unlike = [task for task in self.tasks if task not in private] + [k for k in private if k not in self.heads]
        if unlike:
            raise InputError(
                f"SharedPrivate: task {unlike[0]!r} has not both a head and a private encoder; give each task one of "
                f"each (heads: {', '.join(map(str, self.tasks))}; private: {', '.join(map(str, private))})."
            )
        if adversary < 0 or orthogonality < 0:
            raise InputError(f"SharedPrivate: adversary={adversary}, orthogonality={orthogonality}; both must be >= 0.")
        self.shared = shared
        self.private = Heads({task: private[task] for task in self.tasks})
        self.adversary, self.orthogonality = adversary, orthogonality
        default = nn.Linear(width, len(self.tasks)) if adversary else None
        self.discriminator = default if discriminator is None else discriminator

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give linear encoders with a penalty on what they say twice."""
        private: dict[Hashable, nn.Module] = {task: nn.Sequential(nn.Linear(features, 3), nn.Tanh()) for task in tasks}
        heads = {task: nn.Linear(7, 1) for task in tasks}
        return cls(nn.Sequential(nn.Linear(features, 4), nn.Tanh()), private, heads, 4, orthogonality=0.1)

    def own(self, task: Hashable) -> tuple[nn.Module, ...]:
        """A task's head and its private encoder."""
        return self.heads[task], self.private[task]

    def aside(self) -> tuple[nn.Module, ...]:
        """The discriminator: no task's loss reaches it."""
        return (*super().aside(), *(() if self.discriminator is None else (self.discriminator,)))

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Encode once for all and once for each task."""
        asked = self.asked(tasks)
        s, private = self.shared(x), self.private(x, asked)
        if self.training and self.adversary and self.discriminator is not None:
            self.add_penalty("adversary", self._told(s, asked))
        if self.training and self.orthogonality:
            repeated = torch.stack([repetition(s, p) for p in private.values()]).sum()
            self.add_penalty("orthogonality", self.orthogonality * repeated)
        return self.heads.each({task: torch.cat([s, p], -1) for task, p in private.items()})

    def _told(self, s: Tensor, asked: tuple[Hashable, ...]) -> Tensor:
        """Give how badly the discriminator tells whose rows these are."""
        if len(asked) != 1:
            raise InputError(
                f"SharedPrivate: an adversary tells from inputs which task they belong to, and these rows belong to "
                f"{len(asked)} tasks; give each task its own data (a source a task), or adversary=0."
            )
        assert self.discriminator is not None
        logits = self.discriminator(reverse_gradient(s, self.adversary)).flatten(0, -2)
        return cross_entropy(logits, logits.new_full((len(logits),), self.tasks.index(asked[0]), dtype=torch.long))


def repetition(s: Tensor, p: Tensor) -> Tensor:
    """Give ``||S' P / n||_F^2``, of two representations (n, ...) of the same n rows.

    Examples
    --------
    >>> repetition(torch.eye(2), torch.eye(2))
    tensor(0.5000)
    """
    S, P = s.flatten(0, -2), p.flatten(0, -2)
    return (S.T @ P / len(S)).square().sum()
