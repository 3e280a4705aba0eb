"""`relatask methods` and `relatask schema`: what there is to choose from."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from relatask.cli import balancers, show, ways
from relatask.cli.build import options_of
from relatask.cli.config import RunConfig
from relatask.cli.grid import tabular

GROUPS = ("relations", "balancers", "sharing", "kinds", "baselines", "metrics")
"""What is listed, in this order; each can be asked for alone."""

COLUMNS = {
    "relations": ("name", "formula", "solver", "source"),
    "balancers": ("name", "formula", "cost", "source"),
    "sharing": ("name", "words", "source"),
    "kinds": ("name", "words", "models"),
    "baselines": ("name", "words"),
    "metrics": ("name", "better", "words"),
}


def methods(name: str | None, *, as_json: bool) -> int:
    """List relations, balancers, ways of sharing, kinds, baselines and metrics, or one group; or show one in full."""
    return _list(as_json, GROUPS if name is None else (name,)) if name in (None, *GROUPS) else _one(name, as_json)


def schema() -> int:
    """Print the JSON schema of the configuration."""
    show.print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **RunConfig.model_json_schema()})
    return 0


def _list(as_json: bool, groups: Sequence[str | None]) -> int:
    from relatask.measure import METRICS, WORDS
    from relatask.relations import registry
    from relatask.study import BASELINES

    found = balancers.balancers() if {"balancers", "sharing"} & set(groups) else {}
    told: dict[str, list[dict[str, Any]]] = {
        "relations": [_facts(name, kind) for name, kind in registry().items() if name != "Sum"],
        "balancers": balancers.all_facts(found or {}) if "balancers" in groups else [],
        "sharing": ways.all_facts() if found and "sharing" in groups else [],
        "kinds": ways.kinds(),
        "baselines": [{"name": name, "words": baseline.words} for name, baseline in BASELINES.items()],
        "metrics": [
            {"name": name, "better": metric.better, "words": WORDS.get(name, "")} for name, metric in METRICS.items()
        ],
    }
    if as_json:
        missing = {"balancers_missing": balancers.NO_TORCH} if found is None else {}  # and the ways of sharing
        show.print_json({group: facts for group, facts in told.items() if group in groups} | missing)
        return 0
    for group in GROUPS:
        if group in groups and told[group]:
            _table(group, told[group])
    if "relations" in groups:
        show.say(
            "One in full: relatask methods Pairwise. Relations add up: relation: [{name: TraceNorm}, {name: Ridge}]"
        )
    if found is None:
        show.say(balancers.NO_TORCH)
    elif found and "balancers" in groups:
        show.say("A balancer takes the place of loss.backward(): relatask.balance.backward(losses, MGDA())")
    return 0


def _table(group: str, facts: list[dict[str, Any]]) -> None:
    out = show.results()
    if group == "balancers":
        for sees in dict.fromkeys(fact["sees"] for fact in facts):
            here = [fact for fact in facts if fact["sees"] == sees]
            title = f"Balancers that see {sees} (relatask.balance)"
            out.print(
                tabular(
                    ("balancer", "formula", "cost of a step", "source"),
                    _cells(here, COLUMNS[group]),
                    title=title,
                    left=4,
                )
            )
        return
    headings, title = {
        "relations": (("relation", "R(W)", "solver", "source"), "Relations (model.relation)"),
        "sharing": (("sharing", "what it is", "source"), "Ways of sharing a network (model.sharing)"),
        "kinds": (("kind", "a label is", "models"), "Kinds of tasks (tasks.NAME.kind)"),
        "baselines": (("baseline", "what it is"), "Baselines (baselines)"),
        "metrics": (("metric", "better", "what it is"), "Metrics (tasks.NAME.metrics)"),
    }[group]
    out.print(tabular(headings, _cells(facts, COLUMNS[group]), title=title, left=len(headings)))


def _cells(facts: list[dict[str, Any]], columns: tuple[str, ...]) -> list[list[Any]]:
    return [[fact[key] for key in columns] for fact in facts]


def _one(name: str, as_json: bool) -> int:
    from relatask.measure import METRICS, WORDS
    from relatask.relations import registry
    from relatask.study import BASELINES

    relations = {key: kind for key, kind in registry().items() if key != "Sum"}
    if name in BASELINES or name in METRICS:
        words = BASELINES[name].words if name in BASELINES else WORDS.get(name, "")
        if as_json:
            show.print_json({"name": name, "words": words})
        else:
            show.say(f"{name}: {words}")
        return 0
    if name in relations:
        return _relation(name, relations[name], as_json)
    found = balancers.balancers()
    if found is not None and name in found:
        return _balancer(name, found[name], as_json)
    if found is not None and ways.known(name):
        return ways.one(name, as_json)
    known = [*relations, *(found or {}), *(ways.names() if found else ()), *BASELINES, *METRICS]
    raise balancers.unknown(name, known, torch_here=found is not None)


def _relation(name: str, kind: Any, as_json: bool) -> int:
    from relatask.relations import FeatureQuadratic

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
    show.say("")
    if issubclass(kind, FeatureQuadratic):
        show.say(f"Not for configurations: its rows are features made ready. From Python: relatask.relations.{name}.")
        return 0
    options = ", ".join(f"{key}: ..." for key, must in options_of(kind).items() if must)
    show.say(f"In a configuration: relation: {{name: {name}, strength: auto{', ' + options if options else ''}}}")
    return 0


def _balancer(name: str, kind: Any, as_json: bool) -> int:
    facts = balancers.facts(name, kind)
    if as_json:
        show.print_json(facts)
        return 0
    show.say(name, style="bold")
    show.say(f"  formula  {facts['formula']}")
    show.say(f"  sees     {facts['sees']} ({facts['type']})")
    show.say(f"  cost     {facts['cost']}")
    show.say(f"  source   {facts['source']}")
    show.say("")
    show.say(facts["description"])
    show.say("")
    show.say(f"From Python: relatask.balance.backward(losses, {balancers.call(name, facts['options'])})")
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
        "description": balancers.plain(inspect.getdoc(kind) or ""),
    }
