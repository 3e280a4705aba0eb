"""The balancers as `relatask methods` shows them: what each sees of the tasks, what a step costs, whose it is."""

from __future__ import annotations

import inspect
from typing import Any

from relatask.notices import InputError

NO_TORCH = 'Balancers and networks need torch, which is not installed here: pip install "relatask[deep]"'
SEES = {
    "FromLosses": "losses",
    "FromGramian": "the Gramian of the tasks' gradients",
    "FromLossesAndGramian": "losses and the Gramian",
    "FromProducts": "products with the Gramian",
    "FromBlocks": "the gradients, tensor by tensor",
    "FromJacobian": "all gradients at once",
    "Balancer": "what the balancer inside sees",
}
"""What a balancer's type must see of a step, the cheapest first; a wrapper's inner balancer says it for both."""


def balancers() -> dict[str, Any] | None:
    """Return the registry of balancers; None where torch is not installed."""
    try:
        from relatask.balance import registry
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return None
    return registry()


def all_facts(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is told of all of them, by what they see, then by name."""
    told = [facts(name, kind) for name, kind in sorted(found.items(), key=lambda item: item[0].lower())]
    return sorted(told, key=lambda fact: list(SEES).index(fact["type"]))


def facts(name: str, kind: Any) -> dict[str, Any]:
    """Return what is told of one balancer."""
    found = next(base.__name__ for base in kind.__mro__ if base.__name__ in SEES)
    return {
        "name": name,
        "formula": kind.formula,
        "sees": SEES[found],
        "type": found,
        "cost": kind.cost,
        "source": kind.reference,
        "options": options(kind),
        "description": plain(inspect.getdoc(kind) or ""),
    }


def options(kind: Any) -> dict[str, str]:
    """Return the constructor's parameters, each with its default, or "needed", or "needed by name"."""
    if kind.__init__.__qualname__ == "Balancer.__init__":
        return {}  # tasks are for those with state of their own
    found = inspect.signature(kind).parameters.values()
    needed = {True: "needed by name", False: "needed"}
    return {
        each.name: needed[each.kind is each.KEYWORD_ONLY] if each.default is each.empty else repr(each.default)
        for each in found
    }


def call(name: str, given: dict[str, str]) -> str:
    """Return the call that makes one, its defaults shown."""
    shown = {"needed": "", "needed by name": "=..."}
    return f"{name}({', '.join(key + shown.get(value, f'={value}') for key, value in given.items())})"


def plain(text: str) -> str:
    """Return a docstring up to its examples, without markup."""
    return text.split("\nExamples\n")[0].replace("``", "").rstrip()


def unknown(name: str, known: list[str], *, torch_here: bool) -> InputError:
    """Return the error for a name that is no method's."""
    from relatask.cli.explain import suggestion

    words = f"relatask methods: there is no method {name!r}.{suggestion(name, known)}"
    return InputError(words + ("" if torch_here else f" ({NO_TORCH})"))
