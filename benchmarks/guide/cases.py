"""The comparisons of the guide: a data set, how it is split, what is compared on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.guide import menu
from relatask.data import Dataset, TableEncoder, load
from relatask.relations import Relation
from relatask.study import Splits, splits


@dataclass(frozen=True, eq=False)
class Case:
    """One comparison.

    Parameters
    ----------
    name, title : str
        Its name in the CSV files, and what it is, in words.
    X, y, tasks : as `compare` takes them.
    splits : Splits
        How rows are parted, in `how` told in words.
    metric : str
        The metric over all tasks that is told.
    models : {name: model}
    encode : TableEncoder, optional
    lasso : bool
        Whether the lasso of each task is among the single-task models.
    """

    name: str
    title: str
    how: str
    X: Any
    y: Any
    tasks: Any
    splits: Splits
    metric: str
    models: dict[str, Any]
    encode: TableEncoder | None = None
    lasso: bool = True


WITHIN, ALONE, MEAN_R2 = "explained_variance_within", "rmse", "r2_mean_of_tasks"


def covariance() -> dict[str, Relation]:
    """The one of the learned relations that runs everywhere; the slower ones run on seven of the comparisons."""
    return {"LearnedCovariance": menu.learned(2)["LearnedCovariance"]}


def school() -> Case:
    """139 schools."""
    data = load("school")
    relations = menu.quick() | menu.learned(data.n_tasks)
    models = menu.models(relations, columns=False) | menu.tied({"Pairwise": relations["Pairwise"]})
    how = "5 random splits of 75/25 within each school"
    return Case("school", "School", how, data.X, data.y, data.tasks, splits.random(0.25, 5), WITHIN, models)


def parkinsons(name: str) -> Case:
    """42 patients: the next weeks of each from the weeks before, or recordings at random."""
    data = load("parkinsons")
    age, sex = data.X[:, data.features.index("age")], data.X[:, data.features.index("sex")]
    first = np.unique(data.tasks, return_index=True)[1]
    standard = (age - age[first].mean()) / age[first].std()
    described = {label: [1.0, standard[i], sex[i]] for label, i in zip(data.task_names, first, strict=True)}
    relations = menu.quick() | menu.described(described)
    relations |= menu.learned(data.n_tasks) if name == "parkinsons-later" else covariance()
    models = menu.models(relations, columns=False)
    models |= menu.tied({"Pairwise": relations["Pairwise"], "HierarchicalPrior": relations["HierarchicalPrior"]})
    days = data.X[:, data.features.index("test_time")]
    ways: dict[str, tuple[str, str, Splits]] = {
        "parkinsons-later": (
            "Parkinsons, weeks to come",
            "4 splits in time: days cut into 5 blocks, each of the last 4 predicted from all days before",
            splits.time(days, 4),
        ),
        "parkinsons-random": (
            "Parkinsons, recordings at random",
            "5 random splits of 75/25 within each patient: recordings of one day fall on both sides",
            splits.random(0.25, 5),
        ),
    }
    title, how, way = ways[name]
    return Case(name, title, how, data.X, data.y, data.tasks, way, ALONE, models)


def student(name: str) -> Case:
    """Final grades without the earlier ones: two schools, or two subjects in two schools."""
    data = load("student")
    at = data.features.index("school")
    schools = data.X[:, at].astype(str)
    features = [name for name in data.features if name != "school"]
    table = data.to_table()
    if name == "student-schools":
        rows = np.flatnonzero(data.tasks == "portuguese")
        tasks, title, way = schools[rows], "Student, two schools (Portuguese)", splits.random(0.25, 10)
        how, relations = "10 random splits of 75/25 within each school", menu.quick()
        relations |= covariance()
    else:
        rows = np.arange(len(data.y))
        tasks = np.array([f"{s} {p}" for s, p in zip(data.tasks, schools, strict=True)])
        # Many students are in both files, without a key: whoever has the same circumstances is taken for one person.
        person = ["school", "sex", "age", "address", "famsize", "Pstatus", "Medu", "Fedu", "Mjob", "Fjob", "reason"]
        columns = [data.features.index(one) for one in [*person, "nursery", "internet"]]
        same = ["|".join(map(str, row)) for row in data.X[:, columns]]
        tree = [["math GP", "math MS"], ["portuguese GP", "portuguese MS"]]
        title, way = "Student, two subjects in two schools", splits.group(same, 5)
        how = "5 folds; a student of both subjects is on one side"
        relations = menu.quick() | covariance() | menu.treed(tree)
    X, y = table.select(features).take(rows), data.y[rows]
    return Case(name, title, how, X, y, tasks, way, WITHIN, menu.models(relations, columns=False), TableEncoder())


SUBURBS = ("Changping", "Dingling", "Huairou", "Shunyi")


def beijing_stations() -> Case:
    """PM2.5 at twelve stations, each from its weather: half-years to come."""
    data = load("beijing_air")
    keep = np.arange(len(data.y)) % 6 == 0
    X, hours = weather(data, keep)
    tasks, y = data.tasks[keep], data.y[keep]
    tree = [[n for n in data.task_names if n not in SUBURBS], list(SUBURBS)]
    relations = menu.quick() | menu.learned(data.n_tasks) | menu.treed(tree)
    how = "7 splits in time: half-years, each of the last 7 predicted from all before; every sixth hour"
    models = menu.models(relations, columns=False)
    return Case(
        "beijing-stations",
        "Beijing, PM2.5 at twelve stations",
        how,
        X,
        y,
        tasks,
        splits.time(hours, 7),
        ALONE,
        models,
        TableEncoder(),
    )


def beijing_pollutants() -> Case:
    """Six pollutants at one station, with the labels that are missing."""
    data = load("beijing_air", station="Dongsi")
    keep = np.arange(len(data.y)) % 6 == 0
    X, hours = weather(data, keep)
    relations = menu.quick() | covariance()
    how = "7 splits in time, as above; every sixth hour; missing labels as they are"
    return Case(
        "beijing-pollutants",
        "Beijing, six pollutants at one station",
        how,
        X,
        data.y[keep],
        None,
        splits.time(hours, 7),
        MEAN_R2,
        menu.models(relations, columns=True),
        TableEncoder(),
    )


def weather(data: Dataset, keep: np.ndarray) -> tuple[Any, np.ndarray]:
    """Columns of weather, and hour and month on circles; and the time of each row, in hours."""
    import pyarrow as pa

    at = {name: data.X[keep, j] for j, name in enumerate(data.features)}
    year, month, day, hour = (at[name].astype(int) for name in ("year", "month", "day", "hour"))
    months = (year - 1970) * 12 + month - 1
    dates = months.astype("datetime64[M]").astype("datetime64[D]") + (day - 1)
    found = {name: at[name] for name in ("TEMP", "PRES", "DEWP", "RAIN", "WSPM", "wind_north", "wind_east")}
    for name, turn in (("hour", 2 * np.pi * hour / 24), ("month", 2 * np.pi * (month - 1) / 12)):
        found |= {f"{name}_sin": np.sin(turn), f"{name}_cos": np.cos(turn)}
    table = pa.table({name: pa.array(column, from_pandas=True) for name, column in found.items()})
    return table, dates.astype(int) * 24 + hour


def sarcos() -> Case:
    """Seven torques of one arm; the joints stand in a row."""
    data = load("sarcos")
    relations = menu.quick() | menu.learned(7) | {"Ridge + Chain": menu.ordered()["Ridge + Chain"]}
    models = menu.models(relations, columns=True)
    how = "5 random splits of 75/25"
    return Case("sarcos", "Sarcos", how, data.X, data.y, None, splits.random(0.25, 5), MEAN_R2, models)


MULAN = ("andro", "atp1d", "edm", "enb", "jura", "oes97", "rf1", "sf1", "wq")


WIDE = ("atp1d", "oes97")
"""About as many columns as training rows, correlated: a path of lassos takes minutes; those with an l1 part are out."""


def mulan(name: str) -> Case:
    """One of nine sets of outputs."""
    data = load(name)
    short = name.removeprefix("mulan/")
    relations = menu.quick()
    relations |= menu.learned(data.n_tasks) if short in ("rf1", "sf1", "wq") else covariance()
    if short in WIDE:
        del relations["SharedSparsity"]
    if short == "jura":
        relations |= menu.rest()
    if short == "rf1":
        relations["Ridge + Chain"] = menu.ordered()["Ridge + Chain"]
    repeats = 3 if short in WIDE else 5
    plain = data.X.dtype == np.float64 and not np.isnan(data.X).any()
    X = data.X if plain else data.to_table().select(list(data.features))
    return Case(
        name,
        f"Mulan {short}",
        f"{repeats} random splits of 75/25",
        X,
        data.y,
        None,
        splits.random(0.25, repeats),
        MEAN_R2,
        menu.models(relations, columns=True),
        None if plain else TableEncoder(),
        short not in WIDE,
    )


CASES: dict[str, Callable[[], Case]] = {
    "school": school,
    "parkinsons-later": lambda: parkinsons("parkinsons-later"),
    "parkinsons-random": lambda: parkinsons("parkinsons-random"),
    "student-schools": lambda: student("student-schools"),
    "student-subjects": lambda: student("student-subjects"),
    "beijing-stations": beijing_stations,
    "beijing-pollutants": beijing_pollutants,
    "sarcos": sarcos,
} | {f"mulan/{short}": (lambda short=short: mulan(f"mulan/{short}")) for short in MULAN}
