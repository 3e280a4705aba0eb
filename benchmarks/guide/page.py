"""The tables of docs/which-relation.md, made from the CSV files beside it and put between its markers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.guide.record import read

PAGE = Path(__file__).parents[2] / "docs" / "which-relation.md"
TABLES = PAGE.parent / "which-relation"
MARK = re.compile(r"(<!-- table: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
WORDS = {
    "explained_variance_within": "explained variance within tasks, %",
    "r2_mean_of_tasks": "R2, mean of the tasks, %",
    "rmse": "RMSE",
}
BASELINES = {
    "single": "each alone: ridge, scaled columns",
    "single_raw": "each alone: ridge, columns as they are",
    "single_lasso": "each alone: lasso",
    "pooled": "one pooled model",
    "pooled_slopes": "pooled slopes, own intercepts",
}
Row = dict[str, str]


def filled(text: str) -> str:
    """The page with every table made anew."""
    return MARK.sub(lambda found: f"{found[1]}{table(found[2])}\n{found[4]}", text)


def write_page() -> None:
    """Fill the page and draw its figure."""
    from benchmarks.guide.figure import draw

    draw(read(TABLES / "labels.csv"), TABLES / "labels.svg")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def table(name: str) -> str:
    """One table by name, as Markdown."""
    kind, _, which = name.partition(":")
    return TABLES_BY_KIND[kind](which)


def overview(_: str) -> str:
    """A row a comparison: what pooling, the best relation and the prior do against the best single-task model."""
    rows = []
    for told in read(TABLES / "sets.csv"):
        found = {row["method"]: row for row in _methods(told["case"])}
        relations = [row for row in found.values() if row["kind"] == "relation"]
        better = [_name(row["method"]) for row in relations if row["verdict"] == "better"]
        worse = [_name(row["method"]) for row in relations if row["verdict"] == "worse"]
        beyond = [_name(row["method"]) for row in relations if row["beyond_verdict"] == "better"]
        prior = found["HierarchicalPrior"]["verdict"]
        grouped = _grouped(told["case"])
        rows.append(
            [
                told["title"],
                f"{told['tasks']} x {told['train']}, {told['features']}",
                found[told["pooled"]]["verdict"] if grouped else "no sense",
                _count(better, relations),
                _count(beyond, relations) if grouped else "",
                _count(worse, relations),
                prior,
            ]
        )
    head = ["data", "tasks x training rows, features", "pooling (the better way)", "relations better than single"]
    return _table([*head, "better than pooling", "worse than single", "HierarchicalPrior"], rows)


def relations(_: str) -> str:
    """A row a relation: on how many comparisons it is better, worse, or no difference is shown."""
    every = [row for row in read(TABLES / "methods.csv") if row["method"] not in ("single", "single_raw")]
    rows = []
    for method in dict.fromkeys(row["method"] for row in every):
        ours = [row for row in every if row["method"] == method]
        seconds = sorted(float(row["seconds"]) for row in ours)
        cells = [str(len(ours))]
        for verdict in ("verdict", "beyond_verdict"):
            if verdict == "beyond_verdict":
                ours = [row for row in ours if _grouped(row["case"]) and row["pooled"] != method]
                cells.append(str(len(ours)))
            cells += [str(sum(row[verdict] == word for row in ours)) for word in ("better", "worse")]
        rows.append([_name(method), *cells, f"{seconds[len(seconds) // 2]:.2g} ({seconds[-1]:.2g})"])
    head = ["method", "comparisons", "better than single", "worse", "of groups", "better than pooling", "worse"]
    return _table([*head, "seconds, median (most)"], rows)


def case(name: str) -> str:
    """The methods of one comparison."""
    found = _methods(name)
    told = next(row for row in read(TABLES / "sets.csv") if row["case"] == name)
    metric = found[0]["metric"]
    up = -1 if metric == "rmse" else 1
    grouped = _grouped(name)
    rows = []
    for row in sorted(found, key=lambda row: -up * float(row["mean"])):
        single = row["method"] == row["single"]
        tasks = f"{row['helped']} / {row['hurt']}"
        cells = ["the best single", "", ""] if single else [_gain(row, "gain", "low", "high"), row["verdict"], tasks]
        pooled = row["method"] == row["pooled"]
        beyond = [_gain(row, "beyond", "beyond_low", "beyond_high"), row["beyond_verdict"]]
        beyond = [] if not grouped else ["the best pooled", ""] if pooled else beyond
        star = f" ({row['not_converged']} not converged)" if row["not_converged"] != "0" else ""
        rows.append(
            [
                _name(row["method"]) + star,
                f"{_number(row['mean'], metric)} ({_number(row['sd'], metric)})",
                *cells,
                *beyond,
                f"{float(row['seconds']):.2g}",
            ]
        )
    missing = f", {int(told['missing']):,} of them missing" if told["missing"] != "0" else ""
    total = int(told["labels"]) + int(told["missing"])
    first = (
        f"{told['tasks']} tasks, {told['features']} features, {total:,} labels{missing}; {told['how']} "
        f"(median {told['train']} training labels a task). {WORDS[metric][0].upper()}{WORDS[metric][1:]}."
    )
    head = ["method", "mean (sd over splits)", "gain over the best single (95%)", "verdict", "tasks helped / hurt"]
    head += ["gain over the best pooled (95%)", "verdict"] if grouped else []
    return f"{first}\n\n" + _table([*head, "seconds"], rows)


def few(name: str) -> str:
    """Gains against labels a task."""
    found = [row for row in read(TABLES / "labels.csv") if row["set"] == f"few-{name}"]
    metric = found[0]["metric"]
    sizes = list(dict.fromkeys(row["rows"] for row in found))
    by = {(row["rows"], row["method"]): row for row in found}
    methods = [m for m in dict.fromkeys(row["method"] for row in found) if not m.startswith("single")]
    best = [
        f"{_number(by[size, by[size, methods[0]]['single']]['mean'], metric)}, {_name(by[size, methods[0]]['single'])}"
        for size in sizes
    ]
    rows = [["the best single", *best]]
    for method in methods:
        cells = []
        for size in sizes:
            row = by[size, method]
            mark = {"better": " **+**", "worse": " **-**"}.get(row["verdict"], "")
            cells.append(f"{_number(row['mean'], metric)} ({_signed(row['gain'], metric)}){mark}")
        rows.append([_name(method), *cells])
    return f"{WORDS[metric][0].upper()}{WORDS[metric][1:]}; gain over the best single in brackets.\n\n" + _table(
        ["training rows a task", *sizes], rows
    )


TABLES_BY_KIND: dict[str, Callable[[str], str]] = {
    "overview": overview,
    "relations": relations,
    "case": case,
    "few": few,
}


def _methods(name: str) -> list[Row]:
    return [row for row in read(TABLES / "methods.csv") if row["case"] == name]


def _grouped(name: str) -> bool:
    """Whether tasks are groups of rows; pooling columns of different units makes no sense."""
    return any(row["method"] == "pooled_slopes" for row in _methods(name))


def _name(method: str) -> str:
    if method in BASELINES:
        return BASELINES[method]
    return f"`{method.removesuffix(', tied')}`, tied intercepts" if method.endswith(", tied") else f"`{method}`"


def _count(names: list[str], all_of_them: list[Row]) -> str:
    if len(names) > 3:
        return f"{len(names)} of {len(all_of_them)}"
    return ", ".join(names) if names else "none"


def _gain(row: Row, *names: str) -> str:
    middle, low, high = (_signed(row[name], row["metric"]) for name in names)
    return f"{middle} ({low} to {high})"


def _signed(text: str, metric: str) -> str:
    plain = _number(text, metric)
    return plain if plain[0] in "-u" or not float(plain.replace(",", "")) else f"+{plain}"


def _number(text: str, metric: str) -> str:
    value = float(text)
    if value != value:
        return "undefined"
    plain = f"{value:.2f}" if metric == "rmse" else f"{100 * value:,.{0 if abs(value) >= 10 else 1}f}"
    return plain if float(plain.replace(",", "")) else plain.lstrip("-")


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
