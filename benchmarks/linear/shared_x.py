"""Row sparsity on tasks that share X, beside scikit-learn, celer and skglm, at a relative gap of 1e-6."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.linear import problems
from benchmarks.linear.peer import kernel_seconds
from relatask.linear.problem import Problem
from relatask.linear.solvers.working_sets import SparsePenalty, working_sets
from relatask.linear.sums.forms import Bucket, Forms

PEERS = ("scikit-learn", "celer", "skglm")
ROUNDS, PATIENCE = 5, 600


def report() -> Iterator[str]:
    """CPU seconds and ratios to a matrix product."""
    yield "## Shared X: row sparsity to a relative gap of 1e-6"
    yield ""
    yield "CPU seconds, and in brackets the ratio to a product of two 1000 x 1000 matrices taken beside."
    yield ""
    yield from table("shared", {name: divisors for name, (_, divisors) in problems.SHARED.items()}, PEERS)


def table(kind: str, cases: dict[str, tuple[int, ...]], peers: tuple[str, ...]) -> Iterator[str]:
    """A row for each problem and strength."""
    yield f"| problem | strength | rows kept | relatask | passes | gap | {' | '.join(peers)} |"
    yield "|---" * (6 + len(peers)) + "|"
    for name, divisors in cases.items():
        X, Y = problems.SHARED[name][0]() if kind == "shared" else problems.own(0, *problems.OWN[name][0])
        for divisor in divisors:
            theirs = " | ".join(peer(p, kind, name, divisor) for p in peers)
            yield f"| {name} | max/{divisor} | {ours(X, Y, divisor)} | {theirs} |"


def problem_of(X: np.ndarray, Y: np.ndarray) -> Problem:
    """Half the sum of squares, on shared rows (n, d) or own ones (t, n, d)."""
    t = Y.shape[1] if X.ndim == 2 else len(Y)
    cross = Y.T @ X if X.ndim == 2 else (Y[:, None] @ X)[:, 0]
    bucket = Bucket(np.arange(t), np.ones(t), rows=X[None] if X.ndim == 2 else X)
    return Problem(Forms((bucket,), t, X.shape[-1]), cross, 0.5 * float(np.square(Y).sum()))


def ours(X: np.ndarray, Y: np.ndarray, divisor: float) -> str:
    """Rows kept, best time from X and Y, passes over working sets, and the gap as the peers' is computed."""
    strength = problems.null_strength(X, Y) / divisor
    best = np.inf
    for _ in range(ROUNDS + 1):
        start = time.process_time()
        solution = working_sets(problem_of(X, Y), SparsePenalty("rows", strength), tol=1e-6)
        best = min(best, time.process_time() - start)
    gap = problems.relative_gap(X, Y, solution.W, strength)
    kept = int(solution.W.any(0).sum())
    return f"{kept} | {best:.3f} ({best / kernel_seconds():.1f}) | {solution.n_iter} | {gap:.0e}"


def peer(name: str, kind: str, problem: str, divisor: float) -> str:
    """Run a peer in its interpreter."""
    python = os.environ.get(f"RELATASK_{name.upper().replace('-', '_')}_PYTHON", sys.executable)
    script = str(Path(__file__).with_name("peer.py"))
    command = [python, script, name, kind, problem, str(divisor)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, **threads})
    except subprocess.TimeoutExpired:
        return f"> {PATIENCE} s in all"
    except OSError as error:
        return f"cannot run: {error.strerror}"
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1][:60]}"
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    if answer.get("missing"):
        return "not installed"
    reached = "" if answer["gap"] <= 1e-6 else f", gap {answer['gap']:.0e}"
    return f"{answer['seconds']:.3f} ({answer['seconds'] / answer['kernel']:.1f}){reached}"
