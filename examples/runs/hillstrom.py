"""Hillstrom: 64,000 customers of an e-mail campaign; who visits, who of these buys, and what these spend.

    python -m examples.runs.hillstrom

The three outcomes are nested: 14.7% visit, 0.9% buy, all of them visitors. So labels of the later steps are rare, and
the earlier ones tell of them. Ways to use that, over 10 random splits, each with nets of one size:

* separate: a net for each outcome, the chance to buy learned from all rows;
* separate, given: the same, but the chance to buy of those who visit (``where=("visit", 1)``), times that to visit;
* hard, and hard, given: both with one trunk;
* ESMM: one trunk, the chance to buy is a product, learned from all rows;
* AITM: one tower a step, each taking over from the one before.

What is spent is learned where something was bought (``where=("conversion", 1)``), in all of them. The best epoch, the
learning rate, and for nets of one task the weight decay, for joint nets the weighting (equal on normalised losses, or
the likelihood of all rows) are chosen on validation rows, for each split and net: by the log losses of both steps over
all rows, of nets of one task by that task's. Told of the test rows: areas under the curve, log losses, calibration.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from examples.runs.common import Results, start
from torch import nn

from relatask.data import Dataset, load
from relatask.data.tensors import Columns, Loader
from relatask.measure import corrected_interval
from relatask.nets import AITM, ESMM, HardSharing, Model
from relatask.tasks import Task
from relatask.train import Trained, fit

STEPS = ("visit", "conversion")
KINDS = {"visit": "binary", "conversion": "binary", "spend": "regression"}
METHODS = ("separate", "separate, given", "hard", "hard, given", "ESMM", "AITM")


@dataclass(frozen=True)
class Settings:
    """What can be set; every field is an option."""

    methods: tuple[str, ...] = METHODS
    seeds: tuple[int, ...] = tuple(range(10))
    """One random split each."""
    test: float = 0.25
    valid: float = 0.2
    width: int = 16
    epochs: int = 12
    patience: int = 3
    batch_size: int = 2048
    lrs: tuple[float, ...] = (2e-3, 8e-3)
    weight_decays: tuple[float, ...] = (1e-2, 1.0)
    """Tried for nets of one task; joint ones have the first, and as many weightings tried in its place."""
    weightings: tuple[str, ...] = ("equal", "likelihood")
    rows: int = 64_000


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of one split: features (n, d) and outcomes (n, 3), of training, validation and test."""

    train: tuple[np.ndarray, np.ndarray]
    valid: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def main(argv: Sequence[str] | None = None) -> Results:
    """Run every method on every split, and show what came out."""
    quick = {"seeds": (0,), "epochs": 1, "rows": 4_000, "lrs": (4e-3,), "weight_decays": (1e-2,)}
    settings, results = start("hillstrom", Settings, quick=quick, argv=argv)
    data = load("hillstrom")
    for seed in settings.seeds:
        split = split_of(data, settings, seed)
        for method in settings.methods:
            results.run(method, seed, lambda m=method, p=split, s=seed: judged(m, p, settings, s))
    metrics = [("conversion", "auc"), ("visit", "auc"), ("conversion", "log_loss"), ("conversion", "ece")]
    results.show([*metrics, ("conversion", "mean_ratio"), ("spend", "mean_ratio")], digits=4)
    for line in compared(results, settings):
        results.console.print(line, highlight=False)
    return results


def features(data: Dataset) -> np.ndarray:
    """Give numbers (n, 21): recency, the logarithm of the history, flags, an indicator for each category."""
    column = dict(zip(data.features, data.X.T, strict=True))
    plain = [column["recency"].astype(float), np.log(column["history"].astype(float))]
    plain += [column[name].astype(float) for name in ("mens", "womens", "newbie")]
    for name in ("history_segment", "zip_code", "channel"):
        plain += [column[name] == value for value in np.unique(column[name].astype(str))]
    sent = [column["treatment"] == value for value in np.unique(column["treatment"].astype(str))]
    return np.column_stack([*plain, *sent]).astype(np.float32)


def split_of(data: Dataset, settings: Settings, seed: int) -> Split:
    """Draw a split, and standardise by its training rows."""
    X, y = features(data), data.y.astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(y))[: settings.rows]
    last, middle = (round(len(order) * share) for share in (settings.test, settings.test + settings.valid))
    test, valid, train = order[:last], order[last:middle], order[middle:]
    mean, spread = X[train].mean(0), X[train].std(0)
    X = (X - mean) / np.where(spread > 0, spread, 1)
    return Split(*((X[rows], y[rows]) for rows in (train, valid, test)))


def judged(method: str, split: Split, settings: Settings, seed: int) -> dict[tuple[str, str], float]:
    """Train with every learning rate and weight decay, choose on validation rows, and judge on test rows."""
    chosen = []
    for names in [(name,) for name in KINDS] if method.startswith("separate") else [tuple(KINDS)]:
        if len(names) == 1:
            tried = [(lr, decay, "equal") for lr in settings.lrs for decay in settings.weight_decays]
        else:
            tried = [(lr, settings.weight_decays[0], how) for lr in settings.lrs for how in settings.weightings]
        fits = [trained(method, names, split, settings, lr, decay, how, seed) for lr, decay, how in tried]
        best = max(range(len(fits)), key=lambda k: fits[k][1])
        chosen.append(fits[best][0])
    X, y = split.test
    mean, spread = moments(split.train[1])
    chances = {k: v.double().numpy() for one in chosen for k, v in one.predict(torch.from_numpy(X)).items()}
    if method.endswith("given"):
        chances["conversion"] = chances["visit"] * chances["conversion"]
    expected = chances["conversion"] * (chances["spend"] * spread + mean)
    numbers = {("spend", "rmse"): float(np.sqrt(np.mean((expected - y[:, 2]) ** 2)))}
    if len(chosen) == 1:
        numbers |= {("chosen", "lr"): tried[best][0], ("chosen", "likelihood"): float(tried[best][2] == "likelihood")}
    numbers["spend", "mean_ratio"] = float(expected.mean() / y[:, 2].mean())
    for k, step in enumerate(STEPS):
        numbers[step, "auc"] = auc(y[:, k], chances[step])
        numbers[step, "log_loss"] = log_loss(y[:, k], chances[step])
        numbers[step, "ece"] = calibration_error(y[:, k], chances[step])
        numbers[step, "mean_ratio"] = float(chances[step].mean() / y[:, k].mean())
    return numbers


@lru_cache(maxsize=64)
def trained(
    method: str, names: tuple[str, ...], split: Split, settings: Settings, lr: float, decay: float, how: str, seed: int
) -> tuple[Trained, float]:
    """Train a net of these tasks; give it, and how well its best epoch did on validation rows (more is better)."""
    given, apart = method.endswith("given"), len(names) == 1
    if apart and given and names != ("conversion",):
        return trained("separate", names, split, settings, lr, decay, how, seed)  # the same net
    where = {"conversion": ("visit", 1) if given else None, "spend": ("conversion", 1)}
    hidden = {name: other for name, other in where.items() if apart and other}
    mean, spread = moments(split.train[1])
    weights = weights_of(split.train[1], given) if how == "likelihood" else dict.fromkeys(KINDS, 1.0)
    monitor = of_all_rows(names, given, float(split.valid[1][:, 0].mean()))
    torch.manual_seed(seed)
    model = net(method, names, split.train[0].shape[1], settings.width)
    begin_at(model, method, split.train[1])
    best: list[float] = []

    def watched(values: Mapping[tuple[str, str], float]) -> float:
        best.append(monitor(values))
        return best[-1]

    done = fit(
        model,
        [Task(n, KINDS[n], weight=weights[n], where=None if apart else where.get(n)) for n in names],
        loader(split.train, hidden, mean, spread, settings.batch_size, seed),
        loader(split.valid, hidden, mean, spread, 4096, seed),
        epochs=settings.epochs,
        lr=lr,
        weight_decay=decay,
        monitor=watched,
        stop="all",
        patience=settings.patience,
        device="cpu",
        seed=seed,
    )
    return done, max(best)


def net(method: str, names: Sequence[str], d: int, width: int) -> Model:
    """Give a method's net of these tasks: one hidden layer in the trunk, one in each tower."""
    trunk = nn.Sequential(nn.Linear(d, width), nn.ReLU())
    if method == "AITM":
        heads = {name: nn.Linear(width, 1) for name in names}
        return AITM(trunk, lambda: nn.Sequential(nn.Linear(width, width), nn.ReLU()), heads, width, steps=STEPS)
    towers = {name: nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)) for name in names}
    return ESMM(trunk, towers, chain=STEPS) if method == "ESMM" else HardSharing(trunk, towers)


def begin_at(model: Model, method: str, y: np.ndarray) -> None:
    """Let the steps' heads begin at the log odds of the training rows, so that few epochs are not spent on that."""
    visited, bought = float(y[:, 0].mean()), float(y[:, 1].mean())
    product = method == "ESMM" or method.endswith("given")
    for name, share in (("visit", visited), ("conversion", bought / visited if product else bought)):
        if name in model.heads:
            last = [m for m in model.heads[name].modules() if isinstance(m, nn.Linear)][-1]
            nn.init.constant_(last.bias, np.log(share / (1 - share)))


def loader(
    rows: tuple[np.ndarray, np.ndarray],
    hidden: Mapping[str, tuple[str, int]],
    mean: float,
    spread: float,
    batch_size: int,
    seed: int,
) -> Loader:
    """Give batches; what is spent is told in standard deviations of the buyers. A net alone cannot ask another task.

    So for separate nets the labels that count only where another holds are hidden elsewhere.
    """
    X, y = rows
    labels = {"visit": y[:, 0], "conversion": y[:, 1], "spend": (y[:, 2] - mean) / spread}
    for name, (other, value) in hidden.items():
        labels[name] = np.where(y[:, STEPS.index(other)] == value, labels[name], np.nan)
    return Loader(Columns(X, {name: v.astype(np.float32) for name, v in labels.items()}), batch_size, seed=seed)


def weights_of(y: np.ndarray, given: bool) -> dict[str, float]:
    """Give weights that make the sum of normalised losses the likelihood of all rows, visiting counting one.

    A normalised loss is a mean over the rows that have the label, divided by that of the best constant; times that loss
    and the share of those rows it is the mean over all rows. So a step that few reach weighs little.
    """
    visited, bought = float(y[:, 0].mean()), float(y[:, 1].mean())
    asked = bought / visited if given else bought
    visit, buy = (-p * np.log(p) - (1 - p) * np.log1p(-p) for p in (visited, asked))
    return {"visit": 1.0, "conversion": (visited if given else 1.0) * buy / visit, "spend": bought / 2 / visit}


def moments(y: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of what buyers spend."""
    spent = y[y[:, 1] == 1, 2]
    return float(spent.mean()), float(spent.std())


def of_all_rows(
    names: Sequence[str], given: bool, visitors: float
) -> Callable[[Mapping[tuple[str, str], float]], float]:
    """Give what an epoch is chosen by: the log losses of both steps over all rows, or of the net's own task.

    Of buying alone it would be chosen by a hundred buyers; visitors are sixteen times as many.
    """

    def monitor(values: Mapping[tuple[str, str], float]) -> float:
        if len(names) == 1:
            return -values[names[0], "loss"]
        return -values["visit", "loss"] - (visitors if given else 1.0) * values["conversion", "loss"]

    return monitor


def auc(y: np.ndarray, chance: np.ndarray) -> float:
    """Area under the ROC curve: how often a one is ranked above a zero."""
    rank = np.empty(len(y))
    _, inverse, counts = np.unique(chance, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    ones = y == 1
    n, m = ones.sum(), (~ones).sum()
    return float((rank[ones].sum() - n * (n + 1) / 2) / (n * m))


def log_loss(y: np.ndarray, chance: np.ndarray) -> float:
    """Mean negative log likelihood."""
    p = np.clip(chance, 1e-12, 1 - 1e-12)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))


def calibration_error(y: np.ndarray, chance: np.ndarray, bins: int = 10) -> float:
    """Mean distance of what is foretold and what happened, over as many groups of equal size, by chance."""
    groups = np.array_split(np.argsort(chance, kind="stable"), bins)
    return float(sum(len(g) * abs(chance[g].mean() - y[g].mean()) for g in groups) / len(y))


def compared(results: Results, settings: Settings) -> list[str]:
    """Tell every method's area under the curve of buying beside that of separate nets, with its interval."""
    held = {(r.method, r.seed): r.value for r in results.rows() if (r.task, r.metric) == ("conversion", "auc")}
    ratio = settings.test / (1 - settings.test)
    lines = []
    for baseline, method in itertools.product(METHODS[:2], METHODS[1:]):
        seeds = [s for s in settings.seeds if (method, s) in held and (baseline, s) in held]
        if method != baseline and seeds:
            d = [held[method, s] - held[baseline, s] for s in seeds]
            mean, low, high, _ = corrected_interval(d, ratio)
            lines.append(f"{method} - {baseline}: {mean:+.4f} ({low:+.4f} to {high:+.4f}), {len(d)} splits")
    return lines


if __name__ == "__main__":
    main()
