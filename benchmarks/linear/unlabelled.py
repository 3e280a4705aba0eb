"""Rows without labels: what `Manifold` adds where each task has few labels, on data where it helps and where not."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem

from relatask.data import load
from relatask.linear import MultiTaskRegressor
from relatask.relations import Manifold, Pairwise, Relation, Ridge

SPLITS, SPLITS_OF_DIGITS = 40, 10
UNLABELLED = 2_000
"""Rows without labels at most."""
AUTO: Any = "auto"
METHODS = ("alone", "alone, unlabelled", "tied", "tied, unlabelled")


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled rows, rows without labels (the labelled among them), and rows to be judged by."""

    X: np.ndarray
    y: np.ndarray
    tasks: np.ndarray | None
    unlabelled: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    tasks_test: np.ndarray | None


def groups(name: str, labels: int, seed: int, rows: int = 10**9) -> Split:
    """Some labels a task, drawn in each; half of each task's rows are for testing, the others have no labels."""
    data = load(name)
    X, y, code = np.asarray(data.X, float), np.asarray(data.y, float), np.unique(data.tasks, return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(~np.isnan(y) & ~np.isnan(X).any(1))
    lab, rest, test = [], [], []
    for k in range(code.max() + 1):
        own = rng.permutation(known[code[known] == k])[:rows]
        half = len(own) // 2
        test.append(own[half:])
        lab.append(own[:labels])
        rest.append(own[:half])
    a, b, c = (np.concatenate(part) for part in (lab, rest, test))
    unlabelled = X[np.union1d(a, rng.permutation(b)[:UNLABELLED])]
    return Split(X[a], y[a], code[a], unlabelled, X[c], y[c], code[c])


def sarcos(labels: int, seed: int) -> Split:
    """Torques in units of their standard deviations; the labelled states are labelled for all seven."""
    data = load("sarcos")
    X, Y = np.asarray(data.X, float), np.asarray(data.y, float)
    order = np.random.default_rng(seed).permutation(len(X))
    half = len(X) // 2
    Y = Y / Y[order[:half]].std(0)
    a, b, c = order[:labels], order[:half][:UNLABELLED], order[half:]
    return Split(X[a], Y[a], None, X[b], X[c], Y[c], None)


def digits(labels: int, seed: int, features: int = 300) -> Split:
    """MNIST, a task a digit: fifty components of the images, as features of an RBF kernel; both by unlabelled ones."""
    stored = np.load(Path(os.environ["RELATASK_DATA"]) / "mnist" / "mnist20k.npz")
    X, X_test = (stored[name].reshape(-1, 784) / 255.0 for name in ("x_train", "x_test"))
    y, y_test = stored["y_train"], stored["y_test"]
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(X))[:UNLABELLED]
    X, y = X[some], y[some]
    components = PCA(50, random_state=0).fit(X)
    X, X_test = components.transform(X), components.transform(X_test)
    median = float(np.median(pdist(X[:300])))
    kernel = Nystroem(gamma=0.5 / median**2, n_components=features, random_state=seed).fit(X)
    lab = np.concatenate([np.flatnonzero(y == k)[:labels] for k in range(10)])
    hot = (y[lab][:, None] == np.arange(10)).astype(float)
    F = kernel.transform(X)
    return Split(F[lab], hot, None, F, kernel.transform(X_test), y_test, None)


CASES: dict[str, tuple[Callable[[int, int], Split], tuple[int, ...], bool]] = {
    "Parkinsons": (lambda n, seed: groups("parkinsons", n, seed), (5, 20), True),
    "School": (lambda n, seed: groups("school", n, seed), (5,), True),
    "Beijing": (lambda n, seed: groups("beijing_air", n, seed, rows=1_000), (5, 20), True),
    "Sarcos": (sarcos, (5, 20), True),
    "MNIST": (digits, (5, 20), False),
}
"""Data, labels a task, whether columns are standardised (kernel features are not)."""


def relations(unlabelled: np.ndarray, standardize: bool) -> dict[str, Relation]:
    """Two strengths each, but for `alone`."""
    manifold = Manifold(unlabelled, AUTO, standardize=standardize)
    found = (Ridge(AUTO), Ridge(AUTO) + manifold, Pairwise(AUTO) + Ridge(AUTO), Pairwise(AUTO) + manifold)
    return dict(zip(METHODS, found, strict=True))


def errors(split: Split, standardize: bool) -> list[float]:
    """RMSE on the test rows, or the share of digits that are wrong, by method; strengths by the labelled rows alone."""
    found = []
    for relation in relations(split.unlabelled, standardize).values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few labels, columns that do not vary
            model = MultiTaskRegressor(relation, standardize=standardize).fit(split.X, split.y, split.tasks)
        predicted = model.predict(split.X_test, split.tasks_test)
        if predicted.ndim == 2 and split.y_test.ndim == 1:
            found.append(100 * float(np.mean(predicted.argmax(1) != split.y_test)))
        else:
            found.append(float(np.sqrt(np.mean(np.square(predicted - split.y_test)))))
    return found


def report() -> Iterator[str]:
    """A row a data set and number of labels; changes are paired over splits, with their standard error."""
    yield "| data | labels a task | alone | tied | unlabelled rows change alone by | and tied by |"
    yield "|---|---|---|---|---|---|"
    for name, (draw, sizes, standardize) in CASES.items():
        for labels in sizes:
            splits = SPLITS_OF_DIGITS if name == "MNIST" else SPLITS
            each = np.array([errors(draw(labels, seed), standardize) for seed in range(splits)])
            mean, told = each.mean(0), []
            for without, beside in ((0, 1), (2, 3)):
                change = each[:, beside] - each[:, without]
                told.append(f"{change.mean():+.3f} ± {change.std(ddof=1) / np.sqrt(splits):.3f}")
            yield f"| {name} | {labels} | {mean[0]:.3f} | {mean[2]:.3f} | {told[0]} | {told[1]} |"
