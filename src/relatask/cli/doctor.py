"""`relatask doctor`: versions, folders, threads, and a tiny problem fitted and compared with its closed form."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import relatask
from relatask.cli import show
from relatask.cli.extra import INSTALL
from relatask.cli.extra import missing as missing_of_deep
from relatask.cli.grid import tabular

NEEDED = ("numpy", "scipy", "scikit-learn", "numba", "pyarrow", "pydantic", "matplotlib", "rich", "cyclopts")
OPTIONAL = {
    "pandas": "pandas frames as X (extra docs)",
    "polars": "polars frames as X",
    "networkx": "graphs of tasks (extra docs)",
    "torch": "networks and balancers (extra deep)",
    "lightning-fabric": "networks (extra deep)",
    "torchmetrics": "networks (extra deep)",
    "safetensors": "networks (extra deep)",
    "distributed": "fits on a cluster, later (extra dask)",
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def environment(*, deep: bool = False) -> dict[str, str]:
    """Return versions and machine, as env.json and the report keep them; of a network's run torch's, too."""
    facts = {
        "relatask": relatask.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": str(os.cpu_count() or "unknown"),
    }
    needed = (*NEEDED, "torch", "lightning-fabric") if deep else NEEDED
    facts |= {name: _version(name) or "absent" for name in needed}
    return facts | {name: os.environ[name] for name in THREADS if name in os.environ}


def doctor(*, as_json: bool) -> int:
    """Show the environment; return 1 where something is wrong."""
    problems: list[str] = []
    for name in NEEDED:
        if _version(name) is None:
            problems.append(f"{name} is absent: pip install --upgrade relatask")
    cache = _cache(problems)
    test = _self_test(problems)
    facts: dict[str, Any] = {
        "environment": environment(),
        "optional": {name: _version(name) for name in OPTIONAL},
        "deep": not missing_of_deep(),
        "cache": cache,
        "RELATASK_DATA": os.environ.get("RELATASK_DATA"),
        "self_test": test,
        "problems": problems,
    }
    if as_json:
        show.print_json(facts)
    else:
        _show(facts)
    return 1 if problems else 0


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "installed" if importlib.util.find_spec(name.replace("-", "_")) else None


def _cache(problems: list[str]) -> str:
    from relatask.data import cache_folder

    folder = cache_folder()
    above = folder
    while not above.exists() and above != above.parent:
        above = above.parent
    try:
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        problems.append(
            f"the cache folder {folder} cannot be written ({error.strerror}): data sets cannot be downloaded. "
            "Set RELATASK_CACHE to a folder that can."
        )
    return str(folder)


def _self_test(problems: list[str]) -> dict[str, Any]:
    """Fit two tasks under a ridge, and compare with the normal equations."""
    start = time.perf_counter()
    try:
        import numpy as np

        from relatask.linear import MultiTaskRegressor
        from relatask.relations import Ridge

        random = np.random.default_rng(0)
        X = random.normal(size=(40, 3))
        tasks = np.repeat(["a", "b"], 20)
        y = X @ [1.0, -2.0, 0.5] + (tasks == "a") + 0.1 * random.normal(size=40)
        model = MultiTaskRegressor(Ridge(2.0), weighting="sum", standardize=False).fit(X, y, tasks=tasks)
        error = 0.0
        for k, task in enumerate(("a", "b")):
            own = X[tasks == task] - X[tasks == task].mean(0)
            label = y[tasks == task] - y[tasks == task].mean()
            expected = np.linalg.solve(own.T @ own + 2 * np.eye(3), own.T @ label)
            error = max(error, float(np.abs(model.coef_[k] - expected).max()))
    except Exception as failure:  # whatever goes wrong in a self-test is the finding
        problems.append(f"the self-test failed: {type(failure).__name__}: {failure}")
        return {"passed": False}
    if not error < 1e-8:
        problems.append(f"the self-test is off by {error:.2g}; expected less than 1e-8. Is another BLAS loaded?")
    return {"passed": error < 1e-8, "largest_error": error, "seconds": time.perf_counter() - start}


def _show(facts: dict[str, Any]) -> None:
    out = show.results()
    out.print(tabular(("environment", ""), list(facts["environment"].items()), left=2))
    rows = [(name, version or "absent", OPTIONAL[name]) for name, version in facts["optional"].items()]
    out.print(tabular(("optional", "version", "for"), rows, left=3))
    show.say(f"Python: {sys.executable}")
    show.say(f"Cache folder: {facts['cache']}")
    absent = missing_of_deep()
    show.say(
        "Networks (relatask[deep]): all of it is here."
        if not absent
        else f"Networks: {', '.join(absent)} absent; linear models need none of it. To have them: {INSTALL}"
    )
    where = facts["RELATASK_DATA"]
    missing = where and not Path(where).is_dir()
    show.say(f"RELATASK_DATA: {where or 'not set'}{' (there is no such folder)' if missing else ''}")
    test = facts["self_test"]
    if test["passed"]:
        show.say(f"Self-test: two tasks fitted in {show.seconds(test['seconds'])}, off by {test['largest_error']:.1g}.")
    for problem in facts["problems"]:
        show.say(f"Problem: {problem}", style="red")
    if not facts["problems"]:
        show.say("All is well.", style="green")
