"""`Balancing`: a balancer by its name and options, made anew for each fit, told its tasks where it keeps state."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from relatask.balance import Balancer, registry
from relatask.notices import InputError

NEEDS = {"inner", "groups", "tree", "balancers", "balancer"}
"""What a wrapper is made of, which no name says."""


@dataclass(frozen=True)
class Balancing:
    """A balancer by its name and options.

    Parameters
    ----------
    name : str
        One of `relatask.balance.registry`, in any spelling: "pcgrad", "PCGrad", "imtl_g".
    options : mapping
        What its constructor takes, but for the tasks.

    Raises
    ------
    InputError
        For an unknown name, or options that its balancer does not take, or needs and does not have.

    Examples
    --------
    >>> Balancing("cagrad", {"c": 0.5})(["a", "b"]).c
    0.5
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", known_name(self.name))
        taken = inspect.signature(registry()[self.name]).parameters
        options = taken if registry()[self.name].__init__ is not Balancer.__init__ else {}
        unknown = [key for key in self.options if key not in options or key == "tasks"]
        if unknown:
            known = ", ".join(key for key in options if key != "tasks") or "none"
            raise InputError(f"{self.name} has no option {unknown[0]!r}; its options are: {known}.")
        needed = [
            key
            for key, parameter in options.items()
            if parameter.default is parameter.empty and key != "tasks" and key not in self.options
        ]
        if needed:
            told = "; from Python, give the balancer itself" if NEEDS & set(needed) else ""
            raise InputError(f"{self.name} needs {', '.join(needed)}{told}.")

    def __call__(self, tasks: Sequence[str]) -> Balancer:
        """Give the balancer for these tasks.

        Raises
        ------
        InputError
            For options of a wrong kind or size.
        """
        kind = registry()[self.name]
        own = kind.__init__ is not Balancer.__init__ and "tasks" in inspect.signature(kind).parameters
        try:
            return kind(tasks=list(tasks), **self.options) if own else kind(**self.options)
        except (TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self.name}: {error}") from error


def known_name(name: str) -> str:
    """Give a balancer's name as the registry has it.

    Raises
    ------
    InputError
        For a name that is none.
    """
    known = {_plain(one): one for one in registry()}
    if _plain(name) not in known:
        raise InputError(
            f"balance={name!r:.60} is unknown; expected a relatask.balance.Balancer, or one of "
            f"{', '.join(sorted(registry()))}."
        )
    return known[_plain(name)]


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
