"""The end of a network's run: fitted on all rows with its logs, saved, and told."""

from __future__ import annotations

import warnings
from typing import Any

from relatask.cli.build import make_encoder
from relatask.cli.doctor import environment
from relatask.cli.files import write_json
from relatask.cli.fitted import save_fitted
from relatask.cli.loading import Loaded
from relatask.cli.network import read_names
from relatask.cli.network_files import cosines, read_training
from relatask.cli.problem import Problem
from relatask.cli.record import LARGEST_MATRIX
from relatask.cli.seen import raw_fingerprints, sketch
from relatask.measure import ALL, Check
from relatask.notices import RelataskWarning
from relatask.report import TaskRelation
from relatask.report.parts import grid

REMEDIES = {
    "RT002": "Another balancer may help (model.balance.method), or another weight of the task; compare tells.",
    "RT003": "Look at the task's labels; equal weights never collapse (model.balance.method: equal).",
    "RT006": "Tasks that need longer than others may do better alone; each one's best weights are in checkpoints/.",
    "RT007": "Larger batches (model.batch_size), or accept that the task learns from part of the steps.",
    "RT009": "What is not learned can be left out: another sharing, or fewer hidden layers.",
    "RT011": "Fewer experts would do the same.",
    "RT013": "A smaller learning rate (model.lr) usually mends it.",
}
"""What to do about what a training said."""


def finish_network(loaded: Loaded, problem: Problem, study: Any, main: str, model: Any, digest: str) -> tuple[Any, ...]:
    """Fit on all rows, and write everything that a run folder holds; return what a person should know."""
    from relatask.cli.record import make_record
    from relatask.cli.rerender import write_report
    from relatask.cli.run import describe_data, method_words, write_predictions
    from relatask.study.baselines import is_single

    folder = loaded.folder
    study.scores.save(folder / "scores.parquet")
    write_predictions(study, folder)
    assert make_encoder(loaded.config) is None
    columns = read_names(loaded.config, problem)
    facts = describe_data(loaded, problem, columns, digest)
    prints = raw_fingerprints(problem.inputs, problem.y, problem.tasks)
    write_json(folder / "data.json", {**facts, "seen": sketch(prints)})
    checks = [*study.checks(), *fit_all(model, problem, folder)]
    save_fitted(folder, model)
    single = next((name for name in study.singles if is_single(name)), None)
    if single is not None:
        (folder / "baseline").mkdir(exist_ok=True)
        twin = model.twin("single")
        fit_all(twin, problem, None)
        save_fitted(folder / "baseline", twin)
    record = make_record(
        loaded,
        problem,
        study,
        main,
        checks=tuple(checks),
        words=method_words(loaded, [main]),
        features=columns,
        digest=digest,
        environment=environment(deep=True),
        relation=gradient_relation(folder, problem),
        training=read_training(folder, main, model, problem.names),
    )
    record.save(folder / "record.json")
    write_report(folder, record)
    return tuple(checks)


def fit_all(model: Any, problem: Problem, folder: Any) -> list[Check]:
    """Fit on all rows, with logs and checkpoints in a folder if one is given; return what training said, as checks."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(problem.inputs, problem.labels, tasks=problem.tasks, folder=folder)
    found = []
    for warning in caught:
        code = getattr(warning.message, "code", "")
        if isinstance(warning.message, RelataskWarning) and code in REMEDIES:
            text = str(warning.message).removeprefix(f"{code}: ").split(". ")[0]  # what follows is for Python
            found.append(Check(code, ALL, text.rstrip(".") + ".", REMEDIES[code]))
    return list(dict.fromkeys(found))


def gradient_relation(folder: Any, problem: Problem) -> TaskRelation | None:
    """Return how the tasks' gradients on shared parameters lay to each other, where the balancer looked at them."""
    if not 1 < len(problem.names) <= LARGEST_MATRIX:
        return None
    found = cosines(folder, problem.names)
    if found is None:
        return None
    return TaskRelation(
        problem.names,
        grid(found),
        title="Cosine between the tasks' gradients on shared parameters",
        meaning="The mean over the steps that were looked at. Positive: a step that helps one task helps the other. "
        "Negative: they pull the shared part in opposite directions. The balancer saw these gradients.",
    )
