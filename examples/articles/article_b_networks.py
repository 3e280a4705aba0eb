"""A shared layer, three heads and what ties them, as an article on task relations has it: networks, made right.

The article's program has one layer 100 -> 64 for three tasks, three heads, a penalty of .1 on sum_{i != j}
||w_i - w_j||^2 and visits the tasks in turn. Each of its steps holds the whole penalty, so that a round through t tasks
holds it t times; `Alternating` takes a t-th part a step. All four of its penalties are one argument of a net here, and
so is a relation that is learned in turn with the tasks. (`article_b_relations.py` has the same for linear models.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from relatask.data.tensors import Columns, Loader
from relatask.nets import AttentionRelation, HardSharing, Tie
from relatask.relations import GramTarget, Graph, LearnedCovariance, Pairwise, Relation, TraceNorm
from relatask.tasks import Task
from relatask.train import Alternating, Balanced, LearnRelation, Step, Trained, fit

NAMES = ("first", "second", "third")
D, HIDDEN, ROWS, STRENGTH = 100, 64, 100, 0.1
A = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])  # the first two are alike
TRUTH = np.random.default_rng(0).normal(size=(3, D)) / np.sqrt(D)
TRUTH[1] = 0.9 * TRUTH[0] + 0.4 * TRUTH[1]


def make(seed: int, rows: int) -> Columns:
    """Rows with three targets."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, D)).astype(np.float32)
    y = (X @ TRUTH.T + 0.5 * rng.normal(size=(rows, 3))).astype(np.float32)
    return Columns(X, {name: torch.from_numpy(y[:, k]) for k, name in enumerate(NAMES)})


def train(
    relation: Relation | Tie | None,
    data: Columns,
    step: Step | None = None,
    epochs: int = 12,
    calls: Sequence[object] = (),
) -> Trained:
    torch.manual_seed(0)
    model = HardSharing(nn.Linear(D, HIDDEN), {name: nn.Linear(HIDDEN, 1) for name in NAMES}, relation)
    tasks = [Task(name) for name in NAMES]
    return fit(model, tasks, Loader(data, 25), step=step or Balanced(), epochs=epochs, lr=3e-3, callbacks=calls)


def error(fitted: Trained, data: Columns) -> float:
    """Mean squared error over variance, mean of the tasks."""
    told = fitted.predict(data)
    return float(np.mean([(told[n] - data.target(n)).square().mean() / data.target(n).var() for n in NAMES]))


def spread(fitted: Trained) -> float:
    """How far the heads are from their mean."""
    W = fitted.model.task_matrix().detach()
    return float((W - W.mean(0)).norm())


def main() -> None:
    data, new = make(1, ROWS), make(2, 1000)

    # 1. The four penalties of the article on the heads of a net, each with its value written out.
    by_hand = {
        "pairwise": lambda W: STRENGTH * sum(((u - v) ** 2).sum() for u in W for v in W),
        "Gram target": lambda W: STRENGTH * ((W @ W.T - np.eye(3)) ** 2).sum(),
        "graph": lambda W: STRENGTH * sum(A[i, j] * ((W[i] - W[j]) ** 2).sum() for i in range(3) for j in range(3)),
        "trace norm": lambda W: STRENGTH * np.linalg.svd(W, compute_uv=False).sum(),
    }
    relations = {
        "pairwise": Pairwise(STRENGTH),
        "Gram target": GramTarget(np.eye(3), STRENGTH),
        "graph": Graph(A, STRENGTH),
        "trace norm": TraceNorm(STRENGTH),
    }
    alone = train(None, data)
    print(f"no relation: error over variance {error(alone, new):.3f}")
    errors = {}
    for name, relation in relations.items():
        fitted = train(relation, data)
        W = fitted.model.task_matrix().detach().double().numpy()
        assert np.isclose(float(fitted.model.penalties()["relation"].detach()), by_hand[name](W), rtol=1e-4)
        errors[name] = error(fitted, new)
        print(f"{name}: error over variance {errors[name]:.3f}, heads {spread(fitted):.2f} from their mean")
    assert errors["graph"] < error(alone, new)

    # 2. Tasks in turn. What a step adds to the gradient of its task is a t-th of the penalty's gradient: a round of t
    #    steps at one point holds it once. Told by the gradients themselves, on heads that no loss moves.
    still = Columns(np.zeros((ROWS, D), np.float32), {name: data.target(name) * 0 for name in NAMES})
    pulled = {}
    for name, step, epochs in (("together", Balanced(), 1), ("in turn", Alternating(), 3)):
        torch.manual_seed(0)
        model = HardSharing(nn.Linear(D, HIDDEN), {n: nn.Linear(HIDDEN, 1) for n in NAMES}, Pairwise(STRENGTH))
        with torch.no_grad():
            for bias in (model.encoder.bias, *(model.heads[n].bias for n in NAMES)):
                bias.zero_()
        start = model.task_matrix().detach().clone()
        tasks = [Task(n) for n in NAMES]
        options = {"step": step, "optimizer": torch.optim.SGD, "lr": 1e-4, "normalize": False, "epochs": epochs}
        fit(model, tasks, Loader(still, ROWS), **options)
        pulled[name] = start - model.task_matrix().detach()
        by_gradient = 1e-4 * Pairwise(STRENGTH).precision(3).apply(start.numpy())
        print(
            f"{name}: a round moves the heads by {float(pulled[name].norm()):.2e}, the penalty's gradient by "
            f"{np.linalg.norm(by_gradient):.2e}"
        )
        missed = np.linalg.norm(pulled[name].numpy() - by_gradient)
        assert missed < 0.01 * np.linalg.norm(by_gradient)

    in_turn = train(Pairwise(STRENGTH), data, Alternating(), epochs=36)
    print(f"pairwise, tasks in turn: error over variance {error(in_turn, new):.3f}, heads {spread(in_turn):.2f} apart")

    # 3. Tasks and relation in turn: every ten steps the covariance of the tasks is learned from the heads, in between
    #    the heads from the data with the covariance held. It finds who is alike.
    learned = train(LearnedCovariance(0.1), data, calls=[LearnRelation(every=10)])
    correlation = learned.model.relation.correlation
    print("learned correlations of the tasks", correlation.round(2).tolist())
    assert correlation[0, 1] > max(abs(correlation[0, 2]), abs(correlation[1, 2]))
    print(f"learned covariance: error over variance {error(learned, new):.3f}")
    assert error(learned, new) < error(alone, new)

    # 4. The outlook, a relation neither linear nor fixed: attention over embeddings of the tasks, trained along.
    attended = train(AttentionRelation(STRENGTH), data)
    print(f"a relation by attention: error over variance {error(attended, new):.3f}")
    assert error(attended, new) < error(alone, new)


if __name__ == "__main__":
    main()
