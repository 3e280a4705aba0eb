"""Tagging: a tag per token, cross-entropy of each or the chance of all in a chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from relatask.kinds.crf import Chain, likeliest, negative_log_likelihood
from relatask.kinds.kind import Kind
from relatask.kinds.labels import (
    MISSING,
    classes_of,
    cross_entropies,
    cross_entropy_of_best,
    highest,
    in_range,
    present,
    tensor_of,
)
from relatask.notices import InputError
from relatask.tasks import Better, Task


class Tagging(Kind):
    """A tag per token; labels are (n, T) of 0, 1, ..., and -100 for padding and for tokens without one.

    The head gives (n, T, tags), or is a `relatask.kinds.LinearChain`. `Task.class_names` are the tags' names
    (``"B-city"``), which entities are read from.
    """

    name: ClassVar[str] = "tagging"
    words: ClassVar[str] = "a tag per token of a sequence"
    metrics: ClassVar[Mapping[str, Better]] = {"entity_f1": "higher", "accuracy": "higher"}
    class_weights: ClassVar[bool] = True
    smooths: ClassVar[bool] = True

    def width(self, task: Task) -> int:
        """A logit per tag."""
        return classes_of(task)

    def shape(self, target: Any, task: Task) -> tuple[int | None, ...] | None:
        """(n, T, tags)."""
        return (*target.shape, self.width(task))

    def observed(self, target: Tensor) -> Tensor:
        """Sentences with at least one tag."""
        return present(target).any(1)

    def counts(self, target: Tensor) -> Tensor:
        """Tokens with a tag (n,)."""
        return present(target).sum(1).float()

    def losses(self, output: Tensor | Chain, target: Tensor, task: Task) -> Tensor:
        """Cross-entropies summed over the tokens, or minus the log chance of the tags, (n,)."""
        if isinstance(output, Chain):
            if task.class_weight is not None or task.label_smoothing:
                raise InputError(
                    f"task {task.name!r}: a chain scores whole sentences and knows no class_weight or label_smoothing; "
                    "leave them out, or take a linear head."
                )
            return negative_log_likelihood(output, target)
        return cross_entropies(task, output.transpose(1, 2), target).sum(1)

    def null_loss(self, target: Tensor, task: Task, weight: Tensor | None = None) -> float | None:
        """The entropy of the tags."""
        seen = present(target)
        if not seen.any():
            return None
        return cross_entropy_of_best(
            task, target[seen], None if weight is None else weight[:, None].expand(target.shape)[seen]
        )

    def answer(self, output: Tensor | Chain, task: Task) -> Any:
        """Lists of tags, as long as the batch's longest sentence: what stands at padding means nothing."""
        tags = likeliest(output) if isinstance(output, Chain) else output.detach().argmax(-1)
        return tags.tolist()

    def check(self, target: Any, task: Task) -> None:
        """Expect (n, T) of 0 to tags - 1, and -100."""
        labels = tensor_of(task, target, 2, "(n, T): a tag for each token, -100 for padding")
        in_range(task, labels, 0, None if task.classes is None else task.classes - 1)

    def resolved(self, task: Task, target: Any) -> Task:
        """As many tags as names, else as the labels have."""
        return task if task.classes is not None else replace(task, classes=highest(target) + 1)

    def meters(self, task: Task) -> dict[str, Any]:
        """F1 of the entities, where the tags have names, and the share of tokens that are right."""
        from torchmetrics.classification import MulticlassAccuracy

        from relatask.kinds.meters import EntityF1

        tokens = {"accuracy": MulticlassAccuracy(classes_of(task), average="micro", ignore_index=MISSING)}
        return tokens if task.class_names is None else {"entity_f1": EntityF1(task.class_names), **tokens}

    def watched(self, output: Any, target: Any, task: Task) -> tuple[Any, Any]:
        """Tags and labels, both (n, T)."""
        return torch.tensor(self.answer(output, task)), target.long().cpu()

    def take(self, values: Any, rows: Tensor) -> Any:
        """Give some sentences."""
        if isinstance(values, Chain):
            return values._replace(scores=values.scores[rows], lengths=values.lengths[rows])
        return values[rows]
