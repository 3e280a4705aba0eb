"""Training of one net: rows set aside, features, units, the net, the loop."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import deepcopy
from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from relatask.balance import Balancer
from relatask.data.features import HashedNgrams, TableFeatures, Vocabulary
from relatask.data.features.rows import Rows
from relatask.data.tensors import Columns, Loader
from relatask.nets import Model
from relatask.notices import InputError
from relatask.tasks import Task
from relatask.train.callbacks import LearnRelation
from relatask.train.estimators.balancing import Balancing
from relatask.train.estimators.fitted import Fitted
from relatask.train.estimators.grouped import CODES, LABELS, Grouped
from relatask.train.estimators.labels import Labels
from relatask.train.estimators.plan import plan_of
from relatask.train.estimators.sharing import shared
from relatask.train.estimators.splitting import held_out
from relatask.train.estimators.targets import Units, row_weights, tasks_of, units
from relatask.train.loop import fit
from relatask.train.steps.balanced import Balanced

Settings = Mapping[str, Any]


def trained(settings: Settings, rows: Rows, labels: Labels) -> tuple[Fitted, NDArray[np.intp]]:
    """Train one net on rows and labels; give it, and the rows that were set aside for stopping.

    Parameters
    ----------
    settings : mapping
        The estimator's parameters by name.
    rows, labels
        All of them, each with a label of some task.
    """
    seed = int(settings["random_state"])
    kept, aside = held_out(labels, settings["validation_fraction"], seed)
    features = unfitted(settings).fit(rows.take(kept))
    arrays = features.transform(rows)
    train = labels.take(kept)
    unit = units(train)
    tasks = tasks_of(train, settings["class_weight"])
    weights = row_weights_of(labels, train, kept, settings["class_weight"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = net(settings, features, tasks)
    balancer = chosen_balancer(settings["balance"], [str(task.name) for task in tasks])
    grouped = labels.codes is not None and len(tasks) > 1
    as_one = grouped and balancer is None and len({task.kind for task in tasks}) == 1
    targets = _targets(labels, unit, tasks, as_one)
    if as_one and labels.codes is not None:
        arrays = {**arrays, CODES: labels.codes}
    run, told = (Grouped(model), (_one(tasks[0]),)) if as_one else (model, tasks)
    size = batch_size(settings["batch_size"], len(kept))
    steps = ceil(len(kept) / size)
    found = fit(
        run,
        told,
        Loader(_source(arrays, targets, weights, kept), size, seed=seed),
        Loader(_source(arrays, targets, weights, aside), 1024, seed=seed) if len(aside) else None,
        step=Balanced(balancer),
        epochs=settings["epochs"],
        lr=settings["lr"],
        weight_decay=settings["weight_decay"],
        device=settings["device"],
        stop="mean" if len(aside) else None,
        patience=settings["patience"],
        callbacks=[] if settings["relation"] is None else [LearnRelation(steps)],
        seed=seed,
        live=settings["verbose"],
        folder=settings.get("folder"),
        resume=settings.get("folder") is not None,
    )
    if next(model.parameters()).device.type == "cpu":
        model.double()
    epochs = 1 + max((int(row["epoch"]) for row in found.history), default=-1)
    return Fitted(features, model.eval(), tasks, unit, grouped, found.history, found.best_epoch, epochs), aside


def net(settings: Settings, features: TableFeatures, tasks: tuple[Task, ...]) -> Model:
    """Give the untrained net of the settings."""
    sharing = "hard" if settings["sharing"] in ("single", "pooled") or len(tasks) == 1 else settings["sharing"]
    plan = plan_of({**settings, "relation": settings["relation"] if len(tasks) > 1 else None}, features, tasks)
    return shared(sharing, plan)


def unfitted(settings: Settings) -> TableFeatures:
    """Give the features that the settings ask for, not yet learned."""
    given: TableFeatures | None = settings["features"]
    found = TableFeatures() if given is None else given
    reader: Any = found.text
    if settings["text"] != "ngrams" and not isinstance(reader, Vocabulary):
        reader = "words"
    elif settings["text"] == "ngrams" and not isinstance(reader, HashedNgrams):
        reader = "ngrams"
    only = settings["encoder"] == "mlp"
    return found.like(text=reader, only=("numeric", "categorical") if only else None)


def chosen_balancer(balance: Any, tasks: Sequence[str] = ()) -> Balancer | None:
    """Give a balancer of one's own for this fit; None for equal weights.

    Raises
    ------
    InputError
        For an unknown name, or one that needs more than its name.
    """
    if isinstance(balance, Balancer):
        return deepcopy(balance)
    if not isinstance(balance, str | Balancing):
        raise InputError(f"balance={balance!r:.60} is neither a name nor a relatask.balance.Balancer.")
    named = Balancing(balance) if isinstance(balance, str) else balance
    if named == Balancing("Equal"):
        return None
    return named(tasks) if tasks else None


def batch_size(given: Any, n: int) -> int:
    """Give the rows of a step: as told, or a sixteenth of the training rows, at least 16 and at most 256."""
    if given == "auto":
        return min(max(n // 16, 16), 256)
    return int(given)


def row_weights_of(labels: Labels, train: Labels, kept: NDArray[np.intp], class_weight: Any) -> Any:
    """Weights of all rows, those of classes as the training rows have them."""
    if class_weight is None or labels.codes is None:
        return labels.weights
    found = row_weights(train, class_weight)
    out = row_weights(labels, class_weight)
    if found is None or out is None:
        return None
    out[kept] = found
    return out


def _one(task: Task) -> Task:
    return Task(LABELS, task.kind, classes=task.classes)


def _targets(labels: Labels, unit: Units, tasks: tuple[Task, ...], as_one: bool) -> dict[Hashable, Any]:
    """Labels by task, as training takes them."""
    codes = labels.codes
    if as_one and codes is not None:
        values = (labels.values - unit.center[codes]) / unit.scale[codes]
        return {LABELS: _tensor(values, tasks[0].kind)}
    out: dict[Hashable, Any] = {}
    for k, task in enumerate(tasks):
        own = labels.values[:, k] if codes is None else np.where(codes == k, labels.values, np.nan)
        out[task.name] = _tensor((own - unit.center[k]) / unit.scale[k], task.kind)
    return out


def _tensor(values: NDArray[np.float64], kind: str) -> torch.Tensor:
    if kind in ("multiclass", "ordinal"):
        return torch.from_numpy(np.where(np.isnan(values), -100, values).astype(np.int64))
    return torch.from_numpy(values.astype(np.float32))


def _source(
    arrays: Mapping[str, NDArray[Any]], targets: Mapping[Hashable, Any], weights: Any, rows: NDArray[np.intp]
) -> Columns:
    index = torch.from_numpy(rows)
    own = None if weights is None else torch.from_numpy(weights[rows].astype(np.float32))
    return Columns(
        {key: torch.from_numpy(values[rows]) for key, values in arrays.items()},
        {task: target[index] for task, target in targets.items()},
        own,
    )
