"""`Plan`: what a net of an estimator is made of: stem, hidden layers, heads."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from relatask.data.features import HashedNgrams, TableFeatures
from relatask.kinds import kind_of
from relatask.nets.encoders import BagOfNgrams, BiLSTM, Hidden, LogMelCNN, ResNet, SmallTransformer, Stem, TextCNN
from relatask.notices import InputError
from relatask.relations import Relation
from relatask.tasks import Task

ENCODERS = ("auto", "mlp", "text", "image", "sound")
TEXTS = ("ngrams", "bilstm", "cnn", "transformer")


@dataclass(frozen=True, eq=False)
class Plan:
    """What a net is made of, for a way of sharing to put together.

    Attributes
    ----------
    tasks : tuple of Task
    stem : () -> Module
        What stands before the hidden layers, with `features`; a fresh one at every call.
    hidden : tuple of int
        Widths of the hidden layers.
    layer : (features, width) -> Module
        A hidden layer.
    relation : Relation or None
        What ties the tasks.
    """

    tasks: tuple[Task, ...]
    stem: Callable[[], nn.Module]
    hidden: tuple[int, ...]
    layer: Callable[[int, int], nn.Module]
    relation: Relation | None

    def body(self) -> Body:
        """Give a fresh body: stem and hidden layers."""
        stem = self.stem()
        return Body(stem, [self.layer(i, o) for i, o in pairwise((width_of(stem), *self.hidden))])

    def stages(self) -> list[Callable[[], nn.Module]]:
        """Give functions that make the body stage by stage: the stem with the first hidden layer, then the others."""
        first, rest = self.hidden[:1], self.hidden[1:]
        made: list[Callable[[], nn.Module]] = [lambda: Body(*_begun(self, first))]
        return made + [partial(self.layer, i, o) for i, o in pairwise((*first, *rest))]

    def widths(self) -> tuple[int, ...]:
        """Give the width of every stage."""
        return self.hidden or (width_of(self.stem()),)

    def heads(self, features: int) -> dict[Hashable, nn.Module]:
        """Give a fresh head for each task."""
        return {task.name: kind_of(task).head(features, task) for task in self.tasks}


class Body(nn.Module):
    """A stem and layers behind it.

    Parameters
    ----------
    stem : Module
        With `features`.
    layers : list of Module
        The last with `features`, if there is one.
    """

    def __init__(self, stem: nn.Module, layers: list[nn.Module]) -> None:
        super().__init__()
        self.stem = stem
        self.layers = nn.Sequential(*layers)
        self.features = width_of(layers[-1] if layers else stem)

    def forward(self, x: Any) -> Any:
        """Give (n, features)."""
        return self.layers(self.stem(x))


def plan_of(settings: Mapping[str, Any], features: TableFeatures, tasks: tuple[Task, ...]) -> Plan:
    """Give the plan of an estimator's settings, for arrays as `features` makes them.

    Raises
    ------
    InputError
        For unknown names, and an encoder that finds nothing to read.
    """
    encoder = settings["encoder"]
    if isinstance(encoder, str):
        stem: Callable[[], nn.Module] = partial(_stem, settings, features)
    else:
        stem = partial(encoder, features.inputs_)
    layer = partial(Hidden, dropout=settings["dropout"], normalization=settings["normalization"])
    return Plan(tasks, stem, tuple(settings["hidden"]), layer, settings["relation"])


def _begun(plan: Plan, first: tuple[int, ...]) -> tuple[nn.Module, list[nn.Module]]:
    stem = plan.stem()
    return stem, [plan.layer(width_of(stem), width) for width in first]


def _stem(settings: Mapping[str, Any], features: TableFeatures) -> nn.Module:
    kind, inputs = settings["encoder"], features.inputs_
    found = {"text": inputs.texts, "image": inputs.images, "sound": inputs.sounds}.get(kind)
    if found is not None and not found:
        told = ", ".join(f"{name!r} ({role})" for name, role in features.roles_.items())
        raise InputError(f"encoder={kind!r} needs a column that is read as {kind}; there are {told}.")
    others: dict[str, nn.Module] = {}
    for key, numbers in inputs.texts.items():
        others[key] = _reader(settings["text"], numbers, features.readers_[key], settings["dropout"])
    for key, shape in inputs.images.items():
        others[key] = ResNet(shape[0], width=16, blocks=(1, 1, 1), stem=2 if min(shape[1:]) >= 64 else 1)
    for key, rate in inputs.sounds.items():
        others[key] = LogMelCNN(rate)
    return Stem(inputs.numeric, inputs.categories, None, others)


def _reader(text: str, numbers: int, reader: Any, dropout: float) -> nn.Module:
    if text == "bilstm":
        return BiLSTM(numbers, dropout=dropout)
    if text == "cnn":
        return TextCNN(numbers)
    if text == "transformer":
        return SmallTransformer(numbers, dropout=dropout)
    return BagOfNgrams(
        numbers, 64, weights=torch.from_numpy(reader.weights_) if isinstance(reader, HashedNgrams) else None
    )


def width_of(module: nn.Module) -> int:
    """Give the width of what a module gives, as it says itself."""
    found = getattr(module, "features", None)
    if not isinstance(found, int):
        raise InputError(
            f"encoder gives {type(module).__name__}, which does not say its width; give it an attribute features, a "
            "whole number."
        )
    return found
