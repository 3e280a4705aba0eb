"""One peer on one problem, in its own interpreter: `python peer.py NAME KIND PROBLEM DIVISOR`; prints JSON.

Tightens the peer's tolerance by half decades until its coefficients have a relative gap of 1e-6, and gives the
time of the first fit that does, beside that of a matrix product. See peers.md for how to install the peers.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

GOAL, LONG = 1e-6, 60.0
FIRST = {"scikit-learn": 3.0, "celer": 4.0, "skglm": 3.0, "mutar": 3.0}
"""Decades of the loosest tolerance that is tried, which few problems pass at."""


def scikit_learn(X: np.ndarray, Y: np.ndarray, strength: float, tol: float) -> np.ndarray:
    from sklearn.linear_model import MultiTaskLasso

    model = MultiTaskLasso(strength / len(X), fit_intercept=False, tol=tol, max_iter=100_000, copy_X=False)
    return model.fit(X, Y).coef_


def celer(X: np.ndarray, Y: np.ndarray, strength: float, tol: float) -> np.ndarray:
    from celer import MultiTaskLasso

    return MultiTaskLasso(strength / len(X), fit_intercept=False, tol=tol, max_iter=1_000).fit(X, Y).coef_


def skglm(X: np.ndarray, Y: np.ndarray, strength: float, tol: float) -> np.ndarray:
    from skglm import MultiTaskLasso

    return MultiTaskLasso(strength / len(X), fit_intercept=False, tol=tol, max_iter=1_000).fit(X, Y).coef_


def mutar(X: np.ndarray, Y: np.ndarray, strength: float, tol: float) -> np.ndarray:
    from mutar import GroupLasso

    model = GroupLasso(alpha=strength / X.shape[1], fit_intercept=False, tol=tol, max_iter=100_000)
    return model.fit(X, Y).coef_.T


PEERS: dict[str, Callable[..., np.ndarray]] = {
    "scikit-learn": scikit_learn,
    "celer": celer,
    "skglm": skglm,
    "mutar": mutar,
}
MODULES = {"scikit-learn": "sklearn"}


def kernel_seconds() -> float:
    """The best time of a product (1000, 1000) x (1000, 1000): what a machine gives at that moment."""
    A = np.random.default_rng(0).standard_normal((1_000, 1_000))
    return min(_timed(lambda: A @ A)[0] for _ in range(5))


def _timed(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.process_time()
    out = work()
    return time.process_time() - start, out


def main(name: str, kind: str, problem: str, divisor: float) -> dict[str, object]:
    """Time the peer."""
    sys.path.insert(0, str(Path(__file__).parent))
    import problems

    try:
        version = importlib.import_module(MODULES.get(name, name)).__version__
    except ImportError:
        return {"missing": True}
    if kind == "shared":
        X, Y = problems.SHARED[problem][0]()
        order = np.asfortranarray
        small = (X[:50, :60], Y[:50])
    else:
        X, Y = problems.own(0, *problems.OWN[problem][0])
        order = np.ascontiguousarray
        small = (X[:, :20, :30], Y[:, :20])
    fit, X = PEERS[name], order(X)
    strength = problems.null_strength(X, Y) / divisor
    warnings.simplefilter("ignore")
    fit(order(small[0]), order(small[1]), problems.null_strength(*small) / 2, 1e-3)  # compiles, loads
    seconds, gap, tol = np.inf, np.inf, np.nan
    for tol in 10.0 ** -np.arange(FIRST[name], 13.1, 0.5):
        seconds, W = _timed(lambda tol=tol: fit(X, Y, strength, tol))
        gap = problems.relative_gap(X, Y, W, strength)
        if gap <= GOAL or seconds > LONG:
            break
    if seconds < 5:
        seconds = min(seconds, *(_timed(lambda: fit(X, Y, strength, tol))[0] for _ in range(2)))
    return {
        "version": version,
        "seconds": seconds,
        "gap": gap,
        "tol": float(tol),
        "rows": int(W.any(0).sum()),
        "kernel": kernel_seconds(),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))))
