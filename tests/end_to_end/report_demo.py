"""A record made from synthetic scores, to look at the report: ``report_demo.py 12 page.html`` writes a page."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from relatask.measure.checks import check_negative_transfer
from relatask.measure.differences import differences
from relatask.measure.metrics import evaluate
from relatask.measure.scores import Scores
from relatask.report import (
    Coefficients,
    Cost,
    DataFacts,
    Method,
    RunRecord,
    Strength,
    TaskCertainty,
    TaskRelation,
    TaskSupport,
    Teaching,
    overall_rows,
)

CROPS = (
    "winter wheat, north",
    "winter wheat, south",
    "spring barley",
    "oats",
    "rye (light soils, measured by hand until 2004 and by the harvester's own balance since)",
    "maize",
    "sugar beet",
    "potatoes <early>",
    'potatoes "late" & stored',
    "rapeseed",
    "faba beans",
    "学校の庭",
)
INPUTS = (
    *("rain in spring", "rain in summer", "soil depth", "nitrogen", "days above 30 °C", "sowing day", "altitude"),
    *("organic matter", "soil pH", "wind", "frost days", "slope", "clay share", "years since legumes"),
)
LAMBDA = {"shared": 0.25, "single": 1.0, "pooled": 0.0, "pooled_slopes": 0.0}


def demo_record(t: int = 12, d: int = 14, splits: int = 10, seed: int = 0, names: tuple[str, ...] = ()) -> RunRecord:
    """t tasks that share most of d slopes, a few that do not; scored by four ways to shrink them."""
    draw = np.random.default_rng(seed)
    tasks = names or (CROPS[:t] if t <= len(CROPS) else tuple(f"farm {k + 1}" for k in range(t)))
    inputs = tuple(INPUTS[j] if j < len(INPUTS) else f"input {j + 1}" for j in range(d))
    own = 0.5 * draw.normal(size=d) + 0.05 * draw.normal(size=(t, d))
    own += 0.12 * np.outer(draw.choice([-1.0, 1.0], t), draw.normal(size=d))
    own[: max(1, t // 40)] *= -0.8
    level = 6 + draw.normal(size=t)
    n = np.maximum(16 if t < 50 else 40, draw.lognormal(3.4 if t < 50 else 3.6, 0.6, size=t).astype(int))
    kept = {method: [] for method in LAMBDA}
    rows, coefficients = [], []
    for split in range(splits):
        x = [draw.normal(size=(40 * n_k, d)) for n_k in n]  # many test rows, so that a demonstration has few doubts
        y = [level[k] + x[k] @ own[k] + 1.5 * draw.normal(size=40 * n[k]) for k in range(t)]
        train = [int(0.75 * n_k) for n_k in n]
        alone = np.array([ridge(x[k][: train[k]], y[k][: train[k]]) for k in range(t)])
        common = np.average(alone, axis=0, weights=n)
        together = np.array([(train[k] * alone[k] + 60 * common) / (train[k] + 60) for k in range(t)])
        codes = np.repeat(np.arange(t), [40 * n[k] - train[k] for k in range(t)])
        truth = np.concatenate([y[k][train[k] :] for k in range(t)])
        for method, w in {"shared": together, "single": alone, "pooled": common, "pooled_slopes": common}.items():
            slopes = np.broadcast_to(w, (t, d))
            base = np.array([y[k][: train[k]].mean() for k in range(t)])
            base = np.full(t, base.mean()) if method == "pooled" else base
            guess = np.concatenate([base[k] + x[k][train[k] :] @ slopes[k] for k in range(t)])
            scored = evaluate(truth, guess, codes, tasks, n_train=train)
            rows += [row | {"method": method, "split": f"split {split + 1}"} for row in scored]
            kept[method].append(LAMBDA[method] * draw.lognormal())
        coefficients = together
    scores = Scores.of(rows)
    others = ("single", "pooled", "pooled_slopes")
    found = tuple(differences(scores, "shared", other, "rmse", ratio=1 / 3) for other in others)
    main = found[0]
    shares = np.where(np.eye(t, dtype=bool), 3.0 * t, draw.gamma(2.0, size=(t, t)))
    effects = np.where(
        np.eye(t, dtype=bool), np.nan, 0.02 * np.corrcoef(coefficients) + 0.002 * draw.normal(size=(t, t))
    )
    return RunRecord(
        title="Yields of related crops" if t <= len(CROPS) else "Yields of many farms",
        made="2026-03-14 15:09",
        version="0.1.0",
        data=DataFacts(
            name="yields.parquet",
            rows=int(n.sum()),
            features=d,
            target="yield, in tonnes per hectare",
            tasks_are="values of the column 'crop'",
            path="data/yields.parquet",
            sha256="5f2b" * 16,
            source="synthetic, drawn for this page",
        ),
        methods=(
            Method("shared", "A model per task, pulled towards their mean (Pairwise), strength chosen inside.", "main"),
            Method("single", "Each task alone: ridge with its own strength.", "baseline", "single-task"),
            Method("pooled", "One model for all tasks: they are taken to be the same.", "baseline"),
            Method("pooled_slopes", "Common slopes, each task its own intercept.", "baseline", "pooled slopes"),
        ),
        unit="t/ha",
        support=tuple(
            TaskSupport(task, int(0.75 * n[k]), n[k] - int(0.75 * n[k]), 0.02 * k / t, float(level[k]), 1.2)
            for k, task in enumerate(tasks)
        ),
        differences=found,
        overall=overall_rows(scores),
        verdict=(
            f"Over all tasks, the RMSE is {main.overall.difference:.3f} t/ha lower with sharing than with single-task "
            f"models. It helped {main.count('helped')} of {t} tasks and hurt {main.count('hurt')}; for the others no "
            "difference is shown.",
            "Against pooled slopes with own intercepts little is gained: most of the help is the common slopes.",
        ),
        baseline="single",
        coefficients=Coefficients("shared", tasks, inputs, coefficients),
        relation=TaskRelation(tasks, np.corrcoef(coefficients)),
        transfer=Teaching(tasks, np.round(shares / shares.sum(1, keepdims=True), 5)),
        removal=Teaching(tasks, np.round(effects, 5)),
        certainty=tuple(
            TaskCertainty(
                task, int(n[k]), 3.1 + k / t, 0.6, 1.1 + 2 / n[k], 1.0, 1.3, 1.2, int(n[k]) // 5, int(n[k]) // 4
            )
            for k, task in enumerate(tasks)
        ),
        strengths=tuple(
            Strength(method, f"split {i + 1}", "Pairwise" if method == "shared" else "Ridge", value)
            for method, values in kept.items()
            for i, value in enumerate(values)
        ),
        costs=tuple(
            Cost(method, seconds, splits, 25, residual)
            for method, seconds, residual in (
                ("shared", 0.412, 3e-9),
                ("single", 0.92, 2e-15),
                ("pooled", 0.021, 1e-15),
                ("pooled_slopes", 0.023, 1e-15),
            )
        ),
        checks=tuple(check_negative_transfer(main)),
        splits="10 random splits, 25% of each task's rows for testing, drawn within each crop",
        configuration="version: 1\ndata:\n  path: data/yields.parquet\n  by: crop\nmodel:\n  kind: linear\n"
        "  relation: {name: Pairwise, strength: auto}\n",
        environment={"python": "3.12.4", "numpy": "2.3.1", "machine": "2 cores, 8 GB"},
    )


def ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slopes of a light ridge on centred rows."""
    x, y = x - x.mean(0), y - y.mean()
    return np.linalg.solve(x.T @ x + 2.0 * np.eye(x.shape[1]), x.T @ y)


if __name__ == "__main__":
    from relatask.report import render_html

    count, path = int(sys.argv[1]), Path(sys.argv[2])
    path.write_text(render_html(demo_record(count, 14 if count < 50 else 28)), encoding="utf-8")
