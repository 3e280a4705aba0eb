"""Every example in a docstring runs, module by module."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import warnings

import pytest

import relatask

# Running it is the command itself.
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(relatask.__path__, "relatask.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", ["relatask", *MODULES])
def test_the_examples_of_the_module_run(
    name: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path_factory.mktemp("doctest"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed
