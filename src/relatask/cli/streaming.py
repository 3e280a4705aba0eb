"""`relatask train` on more rows than memory: Parquet parts read twice, sums in between; the same report."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from relatask.cli import show
from relatask.cli.build import build_model, describe_splits, make_encoder, method_name
from relatask.cli.doctor import environment
from relatask.cli.files import check_folder, prepare, write_json, write_text
from relatask.cli.fitted import save_fitted
from relatask.cli.loading import Loaded
from relatask.cli.outcome import as_json as outcome_json
from relatask.cli.outcome import tell
from relatask.cli.problem import sha256
from relatask.cli.splitting import KFoldSplit, RandomSplit
from relatask.cli.streamed_rows import check_streamed, open_parts, rows_of, told
from relatask.data.parts import Parts
from relatask.notices import InputError
from relatask.report import TaskSupport


@dataclass(frozen=True)
class Streamed:
    """What a record asks of a problem, where rows are not in memory."""

    rows: int
    tasks: Any
    names: tuple[Any, ...]
    targets: tuple[str, ...]
    kinds: tuple[str, ...]
    classes: dict[str, tuple[Any, ...]]


def train_streamed(loaded: Loaded, *, resume: bool, overwrite: bool, dry_run: bool, as_json: bool) -> int:
    """Train as the configuration says, from sums; return 1 where a solver did not reach its tolerance."""
    from relatask.linear import MultiTaskRegressor
    from relatask.linear.streaming.collecting import Collector
    from relatask.linear.streaming.dealing import Dealer
    from relatask.study.baselines import build_baselines
    from relatask.study.by_sums import PARTS, Trial, collected

    if resume:
        raise InputError("--resume: a streamed run keeps nothing to go on with; give --overwrite to start it again.")
    check_streamed(loaded)
    check_folder(loaded.folder, resume=False, overwrite=overwrite)
    config, split = loaded.config, loaded.config.data.split
    assert isinstance(split, RandomSplit | KFoldSplit)
    parts, features = open_parts(loaded)
    main, grouped = method_name(config.model), config.data.by is not None
    splits = f"{describe_splits(config)}; made of {PARTS} parts, to which rows are dealt out by a seeded hash"
    sides = _sides(split)
    if dry_run:
        show.say(
            f"Dry run: would read {show.plural(len(parts.files), 'Parquet file')} twice, {parts.n_rows:,} rows, "
            f"{len(features)} inputs; fit {main} and {', '.join(config.beside)} from sums; {splits}; and write "
            f"{loaded.folder}."
        )
        return 0
    prepare(loaded.folder, resume=False, overwrite=overwrite)
    collector = Collector(MultiTaskRegressor(), PARTS, seed=split.seed)
    for batch in told(parts, "sums of all rows"):
        collector.add(*rows_of(loaded, batch, features))
    summed = collected(collector, None if grouped else tuple(config.tasks))
    names = tuple(summed.tasks.tolist())
    model = build_model(config, loaded.file.parent, names)
    models = {main: model} | build_baselines(config.beside, {main: model}, grouped)
    trial = Trial(summed, models, sides)
    dealer = Dealer(PARTS, seed=split.seed)
    for batch in told(parts, "errors on held-out rows"):
        X, y, codes = rows_of(loaded, batch, features, summed.tasks)
        trial.add(X, y, codes, dealer.folds_of(len(y), codes))
    metric, overall = config.judged
    asked = {"run": loaded.file.stem, "metric": metric, "overall": overall, "splits": splits}
    study = trial.study([main], asked, config.metrics)
    checks = _finish(loaded, parts, features, trial, study, main, models, splits)
    if as_json:
        facts = outcome_json(study, main, config.metrics, checks)
        show.print_json({"folder": str(loaded.folder), "report": str(loaded.folder / "report.html"), **facts})
    else:
        tell(study, main, config.metrics, checks)
        show.say(f"Report: {loaded.folder / 'report.html'}")
    return 1 if any(check.code == "RT015" for check in checks) else 0


def _sides(split: RandomSplit | KFoldSplit) -> Any:
    from relatask.study.by_sums import fold_sides, random_sides

    if isinstance(split, RandomSplit):
        return random_sides(split.test, split.repeats, split.seed)
    return fold_sides(split.k, split.repeats, split.seed)


def _finish(
    loaded: Loaded,
    parts: Parts,
    features: list[str],
    trial: Any,
    study: Any,
    main: str,
    models: dict[str, Any],
    splits: str,
) -> tuple[Any, ...]:
    """Fit on all rows, and write everything that a run folder holds but predictions; return what to know."""
    from relatask.cli.record import make_record
    from relatask.cli.rerender import write_report
    from relatask.cli.run import coded_warnings, method_words

    folder, config, summed = loaded.folder, loaded.config, trial.summed
    write_text(folder / "config.resolved.yaml", loaded.resolved())
    write_json(folder / "env.json", environment())
    study.scores.save(folder / "scores.parquet")
    support = _support(trial, study.names)
    digest = hashlib.sha256("".join(sha256(file) for file in parts.files).encode()).hexdigest()
    facts = {
        "path": str(loaded.data.resolve()),
        "sha256": digest,
        "parts": [file.name for file in parts.files],
        "rows": summed.rows,
        "inputs": {name: str(parts.schema.field(name).type) for name in features},
        "features": features,
        "targets": list(config.targets),
        "by": config.data.by,
        "classes": {},
        "tasks": [vars(row) for row in support],
    }
    write_json(folder / "data.json", facts)
    # Numbers stay as they are: the encoder keeps their names and their order.
    encoder = make_encoder(config).fit(pa.table({name: [0.0, 1.0] for name in features}))
    with coded_warnings():
        model, single = (summed.fitted(models[name]) for name in (main, study.single))
    save_fitted(folder, model, encoder)
    (folder / "baseline").mkdir(exist_ok=True)
    save_fitted(folder / "baseline", single)
    kinds = ("regression",) * len(study.names)
    tasks = summed.tasks if config.data.by is not None else None
    problem: Any = Streamed(summed.rows, tasks, tuple(summed.tasks.tolist()), config.targets, kinds, {})
    checks = tuple(study.checks())
    record = make_record(
        loaded,
        problem,
        study,
        main,
        checks=checks,
        words=method_words(loaded, [main]),
        features=tuple(features),
        digest=digest,
        environment=environment(),
        model=model,
        scale=model.scale_,
        support=support,
        splits=splits,
    )
    record.save(folder / "record.json")
    write_report(folder, record)
    return checks


def _support(trial: Any, names: tuple[str, ...]) -> tuple[TaskSupport, ...]:
    """Labels per task; in training and test the mean over splits."""
    whole = trial.summed.whole()
    train = np.mean(list(trial.train_count.values()), axis=0)
    test = np.mean([stats.count for stats in trial.test.values()], axis=0)
    sd = np.sqrt(whole.yy / np.maximum(whole.count - 1, 1))
    by_columns = trial.summed.layout == "columns"
    return tuple(
        TaskSupport(
            task=name,
            train=float(train[k]),
            test=float(test[k]),
            missing=float(1 - whole.count[k] / trial.summed.rows) if by_columns else None,
            mean=float(whole.mean_y[k]),
            sd=float(sd[k]) if whole.count[k] > 1 else None,
        )
        for k, name in enumerate(names)
    )
