"""Put the recorded results into docs/runs: `python -m examples.runs.page` writes each page's table anew."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from examples.runs.common import RESULTS, Results

PAGES = Path(__file__).parents[2] / "docs" / "runs"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"


@dataclass(frozen=True)
class Page:
    """What a page shows of a run.

    Parameters
    ----------
    name : str
        Of the page, and of the run with underscores.
    columns : mapping from title to (task, metric)
        Of the table.
    published : mapping from who to numbers, one a column
        Lines below ours; None where none was told.
    digits : int
        Behind the point.
    """

    name: str
    columns: dict[str, tuple[str, str]]
    published: dict[str, tuple[float | None, ...]]
    digits: int = 2


ALL = (
    Page(
        "atis",
        {
            "intent accuracy": ("intent", "accuracy"),
            "slot F1": ("slots", "entity F1"),
            "intent, dev": ("intent", "dev accuracy"),
            "slot F1, dev": ("slots", "dev entity F1"),
        },
        {
            "RNN-LSTM (Hakkani-Tür 2016)": (94.3, 92.6, None, None),
            "Slot-Gated (Goo 2018)": (94.1, 95.2, None, None),
            "Attention BiRNN (Liu and Lane 2016)": (98.2, 96.0, None, None),
            "Joint BERT (Chen 2019), pretrained": (97.5, 96.1, None, None),
        },
    ),
    Page(
        "fdu-mtl",
        {"mean error, %": ("mean", "error")},
        {
            "CNN multi-task, pretrained vectors (fudan_mtl_reviews)": (13.75,),
            "the same + adversary": (12.79,),
            "the same + orthogonality": (12.70,),
        },
    ),
    Page(
        "tox21",
        {"test ROC-AUC": ("mean", "ROC-AUC"), "validation ROC-AUC": ("mean", "validation ROC-AUC")},
        {
            "logistic regression (DeepChem 2017)": (None, 0.735),
            "random forest": (None, 0.763),
            "multitask network": (None, 0.754),
            "robust multitask network": (None, 0.755),
            "graph convolution": (None, 0.832),
        },
        digits=3,
    ),
    Page(
        "hillstrom",
        {
            "AUC buying": ("conversion", "auc"),
            "AUC visiting": ("visit", "auc"),
            "log loss buying": ("conversion", "log_loss"),
            "calibration error buying": ("conversion", "ece"),
            "foretold / observed, buying": ("conversion", "mean_ratio"),
            "visiting": ("visit", "mean_ratio"),
            "spent": ("spend", "mean_ratio"),
        },
        {},
        digits=4,
    ),
)


def table(page: Page, results: Results) -> str:
    """Give the page's table: a line a method, mean over seeds (standard deviation), then what others published."""
    lines = [" | ".join(["", "method", *page.columns, "seeds", "seconds a seed", ""]).strip()]
    lines.append("|" + "---|" * (len(page.columns) + 3))
    rows = results.rows()
    for method in dict.fromkeys(row.method for row in rows):
        cells = []
        for key in page.columns.values():
            value, spread, n = results.mean(method, *key)
            told = f"{value:.{page.digits}f}" if n else ""
            cells.append(told + (f" ({spread:.{page.digits}f})" if n > 1 else ""))
        seconds = {row.seed: row.seconds for row in rows if row.method == method}
        mean = sum(seconds.values()) / len(seconds)
        lines.append(" | ".join(["", method, *cells, str(len(seconds)), f"{mean:.0f}", ""]).strip())
    for who, values in page.published.items():
        cells = ["" if value is None else f"{value:.{page.digits}f}" for value in values]
        lines.append(" | ".join(["", f"*{who}*", *cells, "", "", ""]).strip())
    return "\n".join(lines)


def filled(text: str, made: str) -> str:
    """Put a table between a page's two marks."""
    found, n = re.subn(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{made}\n{END}", text, flags=re.DOTALL)
    if n != 1:
        raise SystemExit(f"the page needs {BEGIN} and {END}, each once.")
    return found


def main() -> None:
    for page in ALL:
        results = Results(page.name, RESULTS / f"{page.name.replace('-', '_')}.csv")
        place = PAGES / f"{page.name}.md"
        if results.rows():
            place.write_text(filled(place.read_text(encoding="utf-8"), table(page, results)), encoding="utf-8")
            print(f"{place.name}: {len(results.rows())} rows")


if __name__ == "__main__":
    main()
