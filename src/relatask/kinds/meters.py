"""Meters that torchmetrics lacks, or has only with torchvision: entity F1, average precision; and how all are read."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import binary_average_precision
from torchmetrics.utilities import dim_zero_cat

from relatask.boxes import OVERLAPS, Matches
from relatask.entities import agreement, f1
from relatask.kinds.labels import MISSING


class EntityF1(Metric):
    """F1 of the entities read from tags, by seqeval's rules.

    Parameters
    ----------
    names : sequence of str
        The tags' names, ``"O"``, ``"B-city"``, ...

    Examples
    --------
    >>> meter = EntityF1(["O", "B-a", "I-a"])
    >>> meter.update(torch.tensor([[1, 2, 0]]), torch.tensor([[1, 2, -100]]))
    >>> meter.compute()
    tensor(1.)
    """

    higher_is_better = True
    full_state_update = False
    counts: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.add_state("counts", torch.zeros(3, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, tags: Tensor, target: Tensor) -> None:
        """Count sentences, (n, T) each; tokens labelled -100 are passed over."""
        for guess, truth in zip(tags.tolist(), target.tolist(), strict=True):
            kept = [place for place, tag in enumerate(truth) if tag != MISSING]
            sides = ([self.names[tags[place]] for place in kept] for tags in (truth, guess))
            self.counts += torch.tensor(agreement(*sides), device=self.counts.device)

    def compute(self) -> Tensor:
        """F1 of all sentences together."""
        return torch.tensor(f1(*self.counts.tolist()))


class AveragePrecision(Metric):
    """COCO's average precision of boxes.

    Parameters
    ----------
    overlaps : sequence of float
        At which thresholds of overlap; their mean is taken.
    """

    higher_is_better = True
    full_state_update = False

    def __init__(self, overlaps: Sequence[float] = OVERLAPS) -> None:
        super().__init__()
        self.overlaps = tuple(overlaps)
        self.truth: list[Mapping[str, Any]] = []
        self.told: list[Mapping[str, Any]] = []

    def update(self, told: Sequence[Mapping[str, Any]], truth: Sequence[Mapping[str, Any]]) -> None:
        """Keep the boxes of some pictures."""
        self.told += [{name: torch.as_tensor(value).cpu() for name, value in picture.items()} for picture in told]
        self.truth += [
            {name: torch.as_tensor(picture[name]).cpu() for name in ("boxes", "labels")} for picture in truth
        ]

    def compute(self) -> Tensor:
        """Average precision of all pictures."""
        return torch.tensor(Matches.of(self.truth, self.told).precision(self.overlaps))

    def reset(self) -> None:
        """Forget the pictures."""
        super().reset()
        self.truth, self.told = [], []


class MacroAveragePrecision(Metric):
    """Mean over the classes of their average precision, (n, classes) each; classes without a one are left out."""

    higher_is_better = True
    full_state_update = False
    guess: list[Tensor]
    truth: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("guess", "truth"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, guess: Tensor, truth: Tensor) -> None:
        """Keep chances and entries; those that are -100 are passed over."""
        self.guess.append(guess)
        self.truth.append(truth)

    def compute(self) -> Tensor:
        """Mean average precision."""
        guess, truth = dim_zero_cat(self.guess), dim_zero_cat(self.truth)
        found = [
            binary_average_precision(chance[label != MISSING], label[label != MISSING])
            for chance, label in zip(guess.T, truth.T, strict=True)
            if (label == 1).any()
        ]
        return torch.stack(found).mean() if found else torch.tensor(math.nan)


class Flat(Metric):
    """Another meter, shown all entries one after the other."""

    full_state_update = False

    def __init__(self, inner: Metric) -> None:
        super().__init__()
        self.inner = inner

    def update(self, guess: Tensor, truth: Tensor) -> None:
        """Show it the entries."""
        self.inner.update(guess.flatten(), truth.flatten())

    def compute(self) -> Any:
        """What it says."""
        return self.inner.compute()

    def reset(self) -> None:
        """Begin anew."""
        super().reset()
        self.inner.reset()


def readings(meters: Mapping[str, Metric]) -> dict[str, float]:
    """Read meters; NaN where one has seen nothing, or too little to be defined (an AUC of one class).

    Examples
    --------
    >>> from torchmetrics import MeanMetric
    >>> readings({"mean": MeanMetric()})
    {'mean': nan}
    """
    found = {}
    for name, meter in meters.items():
        if not meter.update_called:
            found[name] = math.nan
            continue
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                value = float(meter.compute())
            except (ValueError, IndexError):  # torchmetrics refuses what it cannot compute, r2 of one row
                value = math.nan
        found[name] = (
            math.nan
            if any("No positive" in str(one.message) or "No negative" in str(one.message) for one in told)
            else value
        )
    return found
