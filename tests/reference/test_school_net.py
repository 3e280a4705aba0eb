"""School by a net: heads on the columns themselves, a relation, and the linear wing's optimum reached."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from relatask.balance import Equal
from relatask.data import load
from relatask.data.tensors import Columns, Loader
from relatask.linear import MultiTaskRegressor
from relatask.nets import HardSharing
from relatask.relations import Pairwise, Relation, TraceNorm
from relatask.tasks import Task
from relatask.train import Balanced, fit

LBFGS = partial(
    torch.optim.LBFGS,
    max_iter=150,
    max_eval=200,
    history_size=30,
    tolerance_grad=1e-9,
    tolerance_change=1e-14,
    line_search_fn="strong_wolfe",
)


def objective(W: np.ndarray, b: np.ndarray, X: np.ndarray, Y: np.ndarray, relation: Relation) -> float:
    """sum_k 1/(2 n_k) |X_k w_k + b_k - y_k|^2 + R(W), by numpy."""
    return float(np.nansum(np.nanmean((X @ W.T + b - Y) ** 2, axis=0)) / 2 + relation.value(W))


@pytest.mark.data
@pytest.mark.parametrize("relation", [Pairwise(1e-4), pytest.param(TraceNorm(0.2), marks=pytest.mark.slow)], ids=repr)
def test_heads_with_a_relation_reach_the_linear_optimum(relation: Relation) -> None:
    data = load("school")
    X = np.asarray(data.X, dtype=float)
    schools, code = np.unique(data.tasks, return_inverse=True)
    X = X[:, np.any([np.ptp(X[code == k], axis=0) > 0 for k in range(len(schools))], axis=0)]  # what varies in a school
    X = (X - X.mean(0)) / X.std(0)
    Y = np.full((len(X), len(schools)), np.nan)
    Y[np.arange(len(X)), code] = data.y

    exact = MultiTaskRegressor(relation, weighting="task", standardize=False, tol=1e-8).fit(X, Y)
    best = objective(exact.coef_, exact.intercept_, X, Y, relation)

    names = [int(name) for name in schools]
    model = HardSharing(nn.Identity(), {name: nn.Linear(X.shape[1], 1) for name in names}, relation=relation).double()
    with torch.no_grad():
        for name, labels in zip(names, Y.T, strict=True):
            model.heads[name].weight.zero_()
            model.heads[name].bias.fill_(np.nanmean(labels))
    source = Columns(X, dict(zip(names, Y.T, strict=True)))
    fit(
        model,
        [Task(name, weight=0.5) for name in names],
        Loader(source, len(X)),
        step=Balanced(Equal("sum")),
        optimizer=LBFGS,
        lr=1.0,
        epochs=1,
        normalize=False,
        precision="64-true",
        device="cpu",
    )
    W = model.task_matrix().detach().numpy()
    b = np.array([model.heads[name].bias.item() for name in names])
    found = objective(W, b, X, Y, relation)
    assert (found - best) / best < 1e-4
    assert found > best * (1 - 1e-6)
