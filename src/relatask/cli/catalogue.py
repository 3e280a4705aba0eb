"""`relatask methods` and `relatask schema`: what there is to choose from."""

from __future__ import annotations

import inspect
from typing import Any

from relatask.cli import show
from relatask.cli.build import options_of, relation_class
from relatask.cli.config import RunConfig
from relatask.cli.grid import tabular


def methods(name: str | None, *, as_json: bool) -> int:
    """List relations, baselines and metrics, or show one relation in full."""
    return _list(as_json) if name is None else _one(name, as_json)


def schema() -> int:
    """Print the JSON schema of the configuration."""
    show.print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **RunConfig.model_json_schema()})
    return 0


def _list(as_json: bool) -> int:
    from relatask.measure import METRICS, WORDS
    from relatask.relations import registry
    from relatask.study import BASELINES

    relations = [_facts(name, kind) for name, kind in registry().items() if name != "Sum"]
    metrics = [
        {"name": name, "better": metric.better, "words": WORDS.get(name, "")} for name, metric in METRICS.items()
    ]
    if as_json:
        baselines = [{"name": name, "words": baseline.words} for name, baseline in BASELINES.items()]
        show.print_json({"relations": relations, "baselines": baselines, "metrics": metrics})
        return 0
    out = show.results()
    rows = [(fact["name"], fact["formula"], fact["solver"], fact["source"]) for fact in relations]
    out.print(tabular(("relation", "R(W)", "solver", "source"), rows, title="Relations (model.relation)", left=4))
    told = [(name, baseline.words) for name, baseline in BASELINES.items()]
    out.print(tabular(("baseline", "what it is"), told, title="Baselines (baselines)", left=2))
    words = [(metric["name"], metric["better"], metric["words"]) for metric in metrics]
    out.print(tabular(("metric", "better", "what it is"), words, title="Metrics (tasks.NAME.metrics)", left=3))
    show.say("One in full: relatask methods Pairwise. Relations add up: relation: [{name: TraceNorm}, {name: Ridge}]")
    return 0


def _one(name: str, as_json: bool) -> int:
    from relatask.measure import METRICS, WORDS
    from relatask.relations import FeatureQuadratic
    from relatask.study import BASELINES

    if name in BASELINES or name in METRICS:
        words = BASELINES[name].words if name in BASELINES else WORDS.get(name, "")
        if as_json:
            show.print_json({"name": name, "words": words})
        else:
            show.say(f"{name}: {words}")
        return 0
    kind = relation_class(name, "relatask methods")
    facts = _facts(name, kind)
    if as_json:
        show.print_json(facts)
        return 0
    show.say(name, style="bold")
    show.say(f"  R(W)    {facts['formula']}")
    show.say(f"  solver  {facts['solver']}")
    show.say(f"  source  {facts['source']}")
    show.say("")
    show.say(facts["description"])
    if issubclass(kind, FeatureQuadratic):
        show.say("")
        show.say(f"Not for configurations: its rows are features made ready. From Python: relatask.relations.{name}.")
        return 0
    options = ", ".join(f"{key}: ..." for key, must in options_of(kind).items() if must)
    show.say("")
    show.say(f"In a configuration: relation: {{name: {name}, strength: auto{', ' + options if options else ''}}}")
    return 0


def _facts(name: str, kind: Any) -> dict[str, Any]:
    from relatask.relations import FeatureQuadratic, Proximal, Quadratic, Split

    terms = kind.example(3).terms()
    if all(isinstance(term, Quadratic | FeatureQuadratic) for term in terms):
        solver = "direct, exact"
    elif all(isinstance(term, Quadratic | Proximal | Split) for term in terms):
        solver = "iterative, duality gap"
    else:
        solver = "iterative, stationary"
    return {
        "name": name,
        "formula": kind.formula,
        "solver": solver,
        "source": kind.source,
        "options": options_of(kind),
        "description": _plain(inspect.getdoc(kind) or ""),
    }


def _plain(text: str) -> str:
    """Return a docstring up to its examples, without markup."""
    return text.split("\nExamples\n")[0].replace("``", "").rstrip()
