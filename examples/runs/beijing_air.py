"""What the Beijing run is made of: features of weather and calendar, what is known of which station, its own net."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from relatask.data import load
from relatask.data.beijing import POLLUTANTS, STATIONS
from relatask.nets import Model
from relatask.relations import Relation

LAGS, MEANS = (3, 12, 24), (24, 72)
WEEKS = 2 * 7 * 24
Predict = Callable[[np.ndarray], np.ndarray]
"""From the station's standardised features (n, d) to its pollutants (n, 6)."""


@dataclass(frozen=True, eq=False)
class Air:
    """All stations: features (12, hours, d), labels (12, hours, 6), and each hour's year."""

    X: np.ndarray
    Y: np.ndarray
    years: np.ndarray


@dataclass(frozen=True, eq=False)
class Problem:
    """What is trained on when one station has two weeks of labels: standardised rows of each, and where it is judged.

    `scale` is the mean and the deviation of each pollutant's labels: of all stations, or of the one alone.
    """

    station: int
    rows: list[tuple[np.ndarray, np.ndarray]]
    X_test: np.ndarray
    Y_test: np.ndarray
    scale: tuple[np.ndarray, np.ndarray]
    scale_alone: tuple[np.ndarray, np.ndarray]


@cache
def read() -> Air:
    """Read all stations, and make their features: nothing of a later hour, and no pollutant."""
    parts = [load("beijing_air", station=station) for station in STATIONS]
    columns = parts[0].features
    years = parts[0].X[:, columns.index("year")].astype(int)
    X = np.stack([features(dict(zip(columns, part.X.T, strict=True))) for part in parts])
    return Air(X, np.stack([part.y for part in parts]), years)


def features(column: Mapping[str, np.ndarray]) -> np.ndarray:
    """Give (hours, d): hour and day of the year as circles, weekend, weather now, before, and its means so far."""
    hours = np.arange(len(column["year"]))
    day = (hours // 24) % 365.25
    angles = [2 * np.pi * column["hour"] / 24, 2 * np.pi * day / 365.25]
    weekend = ((hours // 24 + 4) % 7 >= 5).astype(float)  # 1 March 2013 was a Friday
    wind = filled(column["WSPM"])
    weather = {name: filled(column[name]) for name in ("TEMP", "PRES", "DEWP")}
    weather |= {"WSPM": wind, "RAIN": np.log1p(filled(column["RAIN"]))}
    weather |= {name: filled(column[name]) * wind for name in ("wind_north", "wind_east")}
    now = list(weather.values())
    before = [np.r_[np.repeat(v[0], lag), v[:-lag]] for lag in LAGS for v in now]
    means = [running_mean(v, span) for span in MEANS for v in now]
    circles = [turn(angle) for angle in angles for turn in (np.sin, np.cos)]
    return np.column_stack([*circles, weekend, now[0] - now[2], *now, *before, *means]).astype(np.float32)


def filled(values: np.ndarray) -> np.ndarray:
    """Carry the last value known forward over holes."""
    last = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(len(values))))
    return np.nan_to_num(values[last])


def running_mean(values: np.ndarray, span: int) -> np.ndarray:
    """Give the mean of the last so many hours, this one included; of all there are at the beginning."""
    total = np.r_[0.0, np.cumsum(values)]
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(ends - span, 0)
    return (total[ends] - total[begins]) / (ends - begins)


def problem(air: Air, station: str, every: int, *, test: Sequence[int]) -> Problem:
    """Give the problem of a station; it is trained on what lies before the first of the test years."""
    k, past = STATIONS.index(station), np.flatnonzero(air.years < test[0])
    future = np.flatnonzero(np.isin(air.years, test))
    thin = past[::every]
    mean, spread = air.X[:, thin].mean((0, 1)), np.maximum(air.X[:, thin].std((0, 1)), 1e-6)
    known = past[~np.isnan(air.Y[k, past]).any(1)]
    kept = [known[-WEEKS:] if j == k else thin for j in range(len(STATIONS))]
    rows = [((air.X[j, some] - mean) / spread, air.Y[j, some]) for j, some in enumerate(kept)]
    labels = np.concatenate([y for _, y in rows])
    return Problem(
        k,
        rows,
        (air.X[k, future] - mean) / spread,
        air.Y[k, future],
        (np.nanmean(labels, 0), np.nanstd(labels, 0)),
        (np.nanmean(rows[k][1], 0), np.nanstd(rows[k][1], 0)),
    )


def errors(given: Problem, predict: Predict) -> np.ndarray:
    """Give each pollutant's RMSE over the standard deviation of its labels, on the test hours; NaN without answers."""
    off = predict(given.X_test) - given.Y_test
    with np.errstate(invalid="ignore"):
        squares = np.nansum(off**2, 0) / np.isfinite(off).sum(0)
    return np.sqrt(squares) / np.nanstd(given.Y_test, 0)


def with_station(X: np.ndarray, station: int) -> np.ndarray:
    """Features, and which station it is: twelve columns, whose weights in the first layer are its embedding."""
    which = np.zeros((len(X), len(STATIONS)), dtype=X.dtype)
    which[:, station] = 1
    return np.column_stack([X, which])


def trunk(d: int, width: int) -> nn.Module:
    """Give two hidden layers."""
    return nn.Sequential(nn.Linear(d, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())


class ByStation(Model):
    """One trunk; for each pollutant W (12, width), a linear head of every station, which a relation ties."""

    def __init__(self, trunk: nn.Module, width: int, relation: Relation | None) -> None:
        super().__init__({name: StationHead(width) for name in POLLUTANTS})
        self.trunk = trunk
        self.between = None if relation is None else relation.bind(list(STATIONS))

    def forward(self, x: torch.Tensor, tasks: Sequence[Any] | None = None) -> dict[Any, torch.Tensor]:
        """Give the outputs of rows whose last columns say which station they are of."""
        x, which = x[:, : -len(STATIONS)], x[:, -len(STATIONS) :]
        if self.between is not None:
            tied = [self.between.value(head.weight) for head in self.heads.modules_]
            self.add_penalty("stations", torch.stack(tied).sum())
        return self.heads(torch.cat([self.trunk(x), which], 1), self.asked(tasks))

    @classmethod
    def example(cls, tasks: Sequence[Any], features: int) -> ByStation:
        """Give a small one; its tasks are the pollutants."""
        return cls(nn.Linear(features, 6), 6, None)


class StationHead(nn.Module):
    """A linear head of every station, all alike at the start."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first = nn.Linear(width, 1)
        self.weight = nn.Parameter(first.weight.detach().repeat(len(STATIONS), 1))
        self.bias = nn.Parameter(first.bias.detach().repeat(len(STATIONS)))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Give (n, 1)."""
        z, which = z[:, : -len(STATIONS)], z[:, -len(STATIONS) :]
        return (z * (which @ self.weight)).sum(1, keepdim=True) + (which @ self.bias)[:, None]
