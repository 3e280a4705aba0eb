"""Beijing air: six pollutants at twelve stations; what do eleven stations teach one that has two weeks of labels?

    python -m examples.runs.beijing

From the weather (now, before, and its means) and the calendar of a station alone, foretell what is in its air that
hour; no measured pollutant goes in. Split by time: training until the end of 2015, test from January 2016 to February
2017. In turn each station keeps only the labels of its last two weeks of training; the others keep all. Told is that
station's error on its test hours: RMSE over the standard deviation there, mean of its six pollutants.

* two-week mean; linear: ridge on the two weeks; linear, related: twelve linear models, `Pairwise`;
* single: a net for each pollutant, on the two weeks; station: one net of six heads, on the two weeks;
* pooled: one net for all stations, told of none; embedding: the same, told which station it is;
* joint: one trunk for all stations, and of each pollutant a head for every station; related: these heads tied.

Learning rate, weight decay, epochs and strengths of each are chosen a year earlier: training until the end of 2014, two
weeks at three stations, errors in 2015 (results/beijing_tuning.csv).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from examples.runs.beijing_air import Air, ByStation, Predict, Problem, errors, problem, read, trunk, with_station
from examples.runs.common import Results, start
from torch import nn

from relatask import MultiTaskRegressor
from relatask.data.beijing import POLLUTANTS, STATIONS
from relatask.data.tensors import Columns, Loader
from relatask.measure import corrected_interval
from relatask.nets import HardSharing, Model
from relatask.relations import Pairwise, Ridge
from relatask.tasks import Task
from relatask.train import Trained, fit

METHODS = (
    *("two-week mean", "linear", "linear, related", "single", "station", "pooled", "embedding", "joint", "related"),
)


@dataclass(frozen=True)
class Settings:
    """What can be set; every field is an option."""

    methods: tuple[str, ...] = METHODS
    seeds: tuple[int, ...] = (0, 1, 2)
    stations: tuple[str, ...] = STATIONS
    """Those that have two weeks of labels in turn."""
    tuned_on: tuple[str, ...] = ("Dongsi", "Huairou", "Gucheng")
    every: int = 10
    """Of the other stations' hours every tenth is trained on: neighbours are alike."""
    width: int = 64
    epochs: int = 12
    epochs_alone: int = 20
    batch_size: int = 384
    batch_size_alone: int = 32
    lrs: tuple[float, ...] = (1e-3, 3e-3)
    weight_decays: tuple[float, ...] = (0.01, 1.0)
    strengths: tuple[float, ...] = (0.001, 0.01, 0.1)
    linear_strengths: tuple[float, ...] = (1.0, 100.0, 1e4)


@dataclass(frozen=True)
class Choice:
    """How a method is trained."""

    lr: float = 0.0
    weight_decay: float = 0.0
    strength: float = 0.0
    epochs: int = 0


def main(argv: Sequence[str] | None = None) -> Results:
    """Choose how each method is trained, train it for every station in turn, and show what came out."""
    quick = {"seeds": (0,), "stations": STATIONS[:2], "tuned_on": STATIONS[:1], "every": 235, "width": 8, "epochs": 1}
    quick |= {"epochs_alone": 1, "lrs": (3e-3,), "weight_decays": (0.01,), "strengths": (0.01,)}
    settings, results = start("beijing", Settings, quick=quick | {"linear_strengths": (10.0,)}, argv=argv)
    tuning = Results("beijing, tuning", results.path and results.path.with_name("beijing_tuning.csv"))
    air = read()
    for seed, method in itertools.product(settings.seeds, settings.methods):
        if not results.done(method, seed):
            choice = chosen(method, air, settings, tuning)
            results.run(method, seed, lambda m=method, s=seed, c=choice: judged(m, air, settings, c, s))
    results.show([("mean", "error"), *((station, "error") for station in settings.stations[:4])], digits=3)
    for line in compared(results, settings):
        results.console.print(line, highlight=False)
    return results


def judged(method: str, air: Air, settings: Settings, choice: Choice, seed: int) -> dict[tuple[str, str], float]:
    """Train a method for every station in turn; give the errors."""
    numbers: dict[tuple[str, str], float] = {}
    for station in settings.stations:
        given = problem(air, station, settings.every, test=(2016, 2017))
        found = errors(given, trained(method, given, settings, choice, seed))
        numbers |= {(station, name): float(error) for name, error in zip(POLLUTANTS, found, strict=True)}
        numbers[station, "error"] = float(found.mean())
    numbers["mean", "error"] = float(np.mean([numbers[station, "error"] for station in settings.stations]))
    return numbers


def chosen(method: str, air: Air, settings: Settings, tuning: Results) -> Choice:
    """Choose how a method is trained, by its errors in 2015 after training until 2014, at a few stations."""
    options = menu(method, settings)
    for option in options:
        name = f"{method}: lr {option.lr:g}, decay {option.weight_decay:g}, strength {option.strength:g}"
        tuning.run(name, 0, lambda o=option: tried(method, air, settings, o))
    held = {r.method: (r.value, r.metric) for r in tuning.rows() if r.metric == "error" and r.task == "mean"}
    epochs = {r.method: int(r.value) for r in tuning.rows() if r.metric == "epochs"}
    names = [f"{method}: lr {o.lr:g}, decay {o.weight_decay:g}, strength {o.strength:g}" for o in options]
    best = min(range(len(options)), key=lambda i: held[names[i]])
    option = options[best]
    return Choice(option.lr, option.weight_decay, option.strength, epochs[names[best]])


def menu(method: str, settings: Settings) -> list[Choice]:
    """Give what is tried."""
    if method == "two-week mean":
        return [Choice()]
    if method.startswith("linear"):
        return [Choice(strength=s) for s in settings.linear_strengths]
    strengths = settings.strengths if method == "related" else (0.0,)
    most = settings.epochs_alone if method in ("single", "station") else settings.epochs
    return [Choice(*o, most) for o in itertools.product(settings.lrs, settings.weight_decays, strengths)]


def tried(method: str, air: Air, settings: Settings, choice: Choice) -> dict[tuple[str, str], float]:
    """Give the least mean error over the tuning stations, and after how many epochs it was reached."""
    curves = []
    for station in settings.tuned_on:
        given = problem(air, station, settings.every, test=(2015,))
        seen = Curve(given)
        predict = trained(method, given, settings, choice, 0, seen)
        curves.append(seen.errors or [float(errors(given, predict).mean())])
    mean = np.mean(curves, 0)
    return {("mean", "error"): float(mean.min()), ("mean", "epochs"): int(mean.argmin()) + 1}


class Curve:
    """A callback that judges the net after every epoch; each of several nets of one problem adds its share."""

    def __init__(self, given: Problem, predict: Callable[[Any], Predict] | None = None) -> None:
        self.given, self.predict, self.errors = given, predict, list[float]()
        self.share, self.at = 1.0, 0

    def of(self, predict: Callable[[Any], Predict], share: float = 1.0) -> list[Curve]:
        """Watch a net, whose answers `predict` makes; NaN where it says nothing."""
        self.predict, self.share, self.at = predict, share, 0
        return [self]

    def on_epoch(self, run: Any) -> None:
        """Judge."""
        assert self.predict is not None
        run.model.eval()
        error = self.share * float(np.nanmean(errors(self.given, self.predict(run.model))))
        if self.at == len(self.errors):
            self.errors.append(0.0)
        self.errors[self.at] += error
        self.at += 1


def trained(
    method: str, given: Problem, settings: Settings, choice: Choice, seed: int, curve: Curve | None = None
) -> Predict:
    """Train a method; give what foretells (n, 6) from the station's standardised features (n, d)."""
    k = given.station
    x, y = given.rows[k]
    if method == "two-week mean":
        return lambda X: np.tile(given.scale_alone[0], (len(X), 1))
    if method == "linear":
        return MultiTaskRegressor(Ridge(choice.strength)).fit(x, y).predict
    if method == "linear, related":
        return linear_related(given, choice.strength)
    if method == "single":
        nets = [(name,) for name in POLLUTANTS]
        made = [alone(names, given, settings, choice, seed, curve) for names in nets]
        return lambda X: np.column_stack([predict(X)[:, [j]] for j, predict in enumerate(made)])
    if method == "station":
        return alone(POLLUTANTS, given, settings, choice, seed, curve)
    return together(method, given, settings, choice, seed, curve)


def linear_related(given: Problem, strength: float) -> Predict:
    """Train twelve linear models of each pollutant, tied."""
    models = []
    for j in range(len(POLLUTANTS)):
        X, y = (np.concatenate([row[i] for row in given.rows]) for i in (0, 1))
        tasks = np.repeat(STATIONS, [len(row[0]) for row in given.rows])
        seen = ~np.isnan(y[:, j])
        models.append(MultiTaskRegressor(Pairwise(strength)).fit(X[seen], y[seen, j], tasks=tasks[seen]))
    name = STATIONS[given.station]
    return lambda X: np.column_stack([model.predict(X, tasks=np.repeat(name, len(X))) for model in models])


def net(d: int, tasks: Sequence[str], settings: Settings, seed: int) -> HardSharing:
    """Give a trunk and a linear head a task."""
    torch.manual_seed(seed)
    return HardSharing(trunk(d, settings.width), {task: nn.Linear(settings.width, 1) for task in tasks})


def alone(
    names: Sequence[str], given: Problem, settings: Settings, choice: Choice, seed: int, curve: Curve | None
) -> Predict:
    """Train a net of these pollutants on the two weeks."""
    x, y = given.rows[given.station]
    y = scaled(y, given.scale_alone)
    labels = {name: y[:, POLLUTANTS.index(name)] for name in names}
    loader = Loader(Columns(x, labels), settings.batch_size_alone, seed=seed)

    def predict(model: Model) -> Predict:
        return lambda X: restored(model, X, [n if n in names else None for n in POLLUTANTS], given.scale_alone)

    watch = [] if curve is None else curve.of(predict, len(names) / len(POLLUTANTS))
    return predict(run(net(x.shape[1], names, settings, seed), names, loader, choice, seed, watch).model)


def together(
    method: str, given: Problem, settings: Settings, choice: Choice, seed: int, curve: Curve | None
) -> Predict:
    """Train a net on all stations."""
    told = method != "pooled"
    X = np.concatenate([with_station(x, j) if told else x for j, (x, _) in enumerate(given.rows)])
    Y = scaled(np.concatenate([y for _, y in given.rows]), given.scale)
    source = Columns(X, dict(zip(POLLUTANTS, Y.T, strict=True)))
    if method in ("joint", "related"):
        torch.manual_seed(seed)
        relation = Pairwise(choice.strength) if method == "related" else None
        model: Model = ByStation(trunk(X.shape[1] - len(STATIONS), settings.width), settings.width, relation)
    else:
        model = net(X.shape[1], POLLUTANTS, settings, seed)

    def predict(model: Model) -> Predict:
        return lambda X: restored(model, with_station(X, given.station) if told else X, POLLUTANTS, given.scale)

    watch = [] if curve is None else curve.of(predict)
    loader = Loader(source, settings.batch_size, seed=seed)
    return predict(run(model, POLLUTANTS, loader, choice, seed, watch).model)


def run(
    model: Model, tasks: Sequence[Any], loader: Loader, choice: Choice, seed: int, callbacks: Sequence[Any]
) -> Trained:
    """Train a net as was chosen."""
    return fit(
        model,
        [Task(task) for task in tasks],
        loader,
        epochs=choice.epochs,
        lr=choice.lr,
        weight_decay=choice.weight_decay,
        callbacks=callbacks,
        device="cpu",
        seed=seed,
    )


def scaled(y: np.ndarray, scale: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Labels in standard deviations."""
    return ((y - scale[0]) / scale[1]).astype(np.float32)


@torch.no_grad()
def restored(model: Model, X: np.ndarray, names: Sequence[Any], scale: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Answers (n, 6) in the labels' own units; NaN where no task is named."""
    outputs = model(torch.from_numpy(X), [name for name in names if name is not None])
    empty = np.full(len(X), np.nan)
    told = [empty if name is None else outputs[name][:, 0].numpy() for name in names]
    return np.column_stack(told) * scale[1] + scale[0]


def compared(results: Results, settings: Settings) -> list[str]:
    """Tell each method's error less that of two baselines, with its interval over stations, and where it is less."""
    held: dict[tuple[str, str], list[float]] = {}
    for r in results.rows():
        if r.metric == "error" and r.task in settings.stations:
            held.setdefault((r.method, r.task), []).append(r.value)
    lines = []
    for base, method in itertools.product(("single", "pooled"), settings.methods):
        where = [s for s in settings.stations if (method, s) in held and (base, s) in held]
        if method != base and len(where) > 1:
            d = np.array([np.mean(held[method, s]) - np.mean(held[base, s]) for s in where])
            mean, low, high, _ = corrected_interval(d, 0.0)
            lines.append(
                f"{method} less {base}: {mean:+.3f} ({low:+.3f} to {high:+.3f}), less at {(d < 0).sum()} of {len(d)}"
            )
    return lines


if __name__ == "__main__":
    main()
