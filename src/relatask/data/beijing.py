"""Loader of Beijing air: hourly pollutants at twelve stations, four years, with missing labels."""

from __future__ import annotations

import numpy as np

from relatask.data.dataset import Dataset
from relatask.data.entry import Entry, Fetch
from relatask.data.options import one_of
from relatask.data.table import read_csv_columns

STATIONS = (
    *("Aotizhongxin", "Changping", "Dingling", "Dongsi", "Guanyuan", "Gucheng"),
    *("Huairou", "Nongzhanguan", "Shunyi", "Tiantan", "Wanliu", "Wanshouxigong"),
)
POLLUTANTS = ("PM2.5", "PM10", "SO2", "NO2", "CO", "O3")
PLAIN = ("year", "month", "day", "hour", "TEMP", "PRES", "DEWP", "RAIN", "WSPM")
POINTS = ("N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW")


def load_beijing(fetch: Fetch, target: str = "PM2.5", station: str | None = None) -> Dataset:
    """Load Beijing air: 12 stations of 35,064 hours each, weather and calendar as features.

    By default one task per station: X is (420768, 11), y (420768,) the pollutant `target` (micrograms per cubic metre),
    tasks (420768,) the stations. With ``station="Dongsi"`` one station's six pollutants are the tasks: X (35064, 11),
    y (35064, 6). Labels are missing in 1.5% to 4.9% of the hours, by pollutant; weather has a few holes too (NaN). The
    wind's direction (16 points) is given as its northward and eastward parts, wind_north and wind_east. Rows are in
    time order within each station: split by time. No published splits.

    Licence: none stated (UCI 501). Source: Peiris94-dev/Beijing-Multi-Site-Air-Quality-Analysis.
    """
    target = one_of(target, POLLUTANTS, "target", "beijing_air")
    chosen = STATIONS if station is None else (one_of(station, STATIONS, "station", "beijing_air"),)
    parts = [read_csv_columns(fetch(_path(name))) for name in chosen]
    X = np.vstack([_features(part) for part in parts])
    labels = np.vstack([np.column_stack([part[name] for name in POLLUTANTS]) for part in parts]).astype(np.float64)
    return Dataset(
        name="beijing_air",
        X=X,
        y=labels[:, POLLUTANTS.index(target)] if station is None else labels,
        tasks=np.repeat(chosen, [len(part["year"]) for part in parts]) if station is None else None,
        features=(*PLAIN, "wind_north", "wind_east"),
        targets=(target,) if station is None else POLLUTANTS,
        source="github.com/Peiris94-dev/Beijing-Multi-Site-Air-Quality-Analysis @ 0aa46c055fcc",
        licence=ENTRIES[0].licence,
        by="station" if station is None else "",
    )


def _path(station: str) -> str:
    return f"beijing_air/PRSA_Data_{station}_20130301-20170228.csv"


def _features(part: dict[str, np.ndarray]) -> np.ndarray:
    turn = {point: 2 * np.pi * k / len(POINTS) for k, point in enumerate(POINTS)}
    angle = np.array([turn.get(point, np.nan) for point in part["wd"]])
    return np.column_stack([*(part[name].astype(np.float64) for name in PLAIN), np.cos(angle), np.sin(angle)])


ENTRIES = (
    Entry(
        name="beijing_air",
        title="hourly air pollutants and weather at twelve stations in Beijing, 2013 to 2017",
        licence="none stated (UCI 501)",
        tasks="12 stations, regression of PM2.5 (or another of 6 pollutants; or one station's 6 pollutants)",
        rows=420_768,
        files=tuple(_path(station) for station in STATIONS),
        loader=load_beijing,
    ),
)
