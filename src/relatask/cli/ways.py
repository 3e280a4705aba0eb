"""Ways of sharing a network and kinds of tasks, as `relatask methods` shows them."""

from __future__ import annotations

import inspect
import re
from typing import Any

from relatask.cli import show
from relatask.cli.config import TARGET_METRICS
from relatask.cli.network import plain, sharings


def names() -> tuple[str, ...]:
    """Return the ways of sharing that a configuration can name."""
    return sharings()


def known(name: str) -> bool:
    """Return whether a name is that of a way of sharing."""
    return plain(name) in {plain(one) for one in names()}


def all_facts() -> list[dict[str, Any]]:
    """Return what is told of each way of sharing."""
    return [facts(name) for name in names()]


def facts(name: str) -> dict[str, Any]:
    """Return what is told of one."""
    from relatask.nets import registry

    kinds = {plain(key.removesuffix("Sharing")): kind for key, kind in registry().items()}
    kind = kinds[plain(name)]
    text = inspect.getdoc(kind) or ""
    return {
        "name": name,
        "words": " ".join(text.split("\n\n")[0].split()).replace("`", ""),
        "source": _source(text),
        "class": f"relatask.nets.{kind.__name__}",
        "description": text.split("\nExamples\n")[0].replace("``", "").rstrip(),
    }


def one(name: str, as_json: bool) -> int:
    """Show one way of sharing in full."""
    spelled = next(each for each in names() if plain(each) == plain(name))
    found = facts(spelled)
    if as_json:
        show.print_json(found)
        return 0
    show.say(spelled, style="bold")
    show.say(f"  from Python  {found['class']}")
    show.say("")
    show.say(found["description"])
    show.say("")
    show.say(f"In a configuration: model: {{kind: mlp, sharing: {spelled}}}")
    return 0


def kinds() -> list[dict[str, Any]]:
    """Return the kinds of tasks: those of a table's column by configuration, the others from Python."""
    from relatask.tasks import KINDS

    where = dict.fromkeys(TARGET_METRICS, "linear, networks") | {"multiclass": "networks"}
    return [{"name": name, "words": words, "models": where.get(name, "from Python")} for name, words in KINDS.items()]


def _source(text: str) -> str:
    """The first reference of a docstring."""
    found = re.search(r"References\n-+\n(.+?)(?:\n\n|$)", text, flags=re.DOTALL)
    return " ".join(found[1].split()) if found else ""
