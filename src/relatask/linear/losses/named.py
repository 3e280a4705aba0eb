"""Losses of numbers beyond the squared one: how the regressor names them, and what it learns under them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from relatask.linear.input.design import Design
from relatask.linear.losses import AnyLoss, Huber, Loss, Poisson, RootSquared
from relatask.linear.losses.model import LossModel, learned
from relatask.linear.newton.solving import LossStart
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError
from relatask.relations import Relation

LOSSES: dict[str, AnyLoss] = {"root_squared": RootSquared(), "huber": Huber(), "poisson": Poisson()}
"""Losses by name, beside "squared"."""


def chosen_loss(loss: Any) -> AnyLoss | None:
    """The loss that a regressor was given; None is the squared one.

    Raises
    ------
    InputError
        For what is not a loss of numbers.
    """
    if isinstance(loss, str) and loss == "squared":
        return None
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]
    if isinstance(loss, Huber | Poisson | RootSquared):
        return loss
    raise InputError(
        f"loss={loss!r} is unknown; expected 'squared', {', '.join(map(repr, LOSSES))}, or a loss such as Huber(1.0); "
        "for classes use MultiTaskClassifier."
    )


def learned_under(
    loss: AnyLoss,
    design: Design,
    stats: Statistics,
    relation: Relation,
    layout: str,
    scale: Array | None,
    start: LossStart | None,
    settings: dict[str, Any],
) -> tuple[LossStart, dict[str, Any]]:
    """Fit, and give what the regressor stores, in original units; `scale` (t,) is what targets are divided by.

    Raises
    ------
    InputError
        For what these losses do not take: blocks of missing features, scaled counts, labels that the loss cannot have.
    """
    name = type(loss).__name__
    if design.absent is not None:
        raise InputError(f"loss={name} does not take missing_features='block'; leave such columns out.")
    if scale is not None and isinstance(loss, Poisson):
        raise InputError("loss=Poisson: counts have no unit to be divided by; use scale_targets=False.")
    if isinstance(loss, Loss):
        loss.check(design.y[~np.isnan(design.y)])
    if scale is not None:
        design = replace(design, y=design.y / (scale if design.codes is None else scale[design.codes]))
    model = LossModel(loss, **settings)
    found, facts = learned(design, layout, relation, model, start)
    unit = np.ones(stats.n_tasks) if scale is None else scale
    pieces = {name: piece * unit[:, None] for name, piece in found.components.items()}
    # Where features are measured from: their means, unless nothing centres them.
    centred = settings["intercept"] == "free" or (settings["standardize"] and settings["intercept"] != "none")
    facts["fill_"] = stats.center if centred else np.zeros_like(stats.center)
    facts |= {"coef_": found.coef * unit[:, None], "intercept_": found.intercept * unit, "components_": pieces}
    return found.start, facts
