"""A shared encoder, three heads and a table of task relations, as an article on hierarchical cost functions has it.

The article minimises   sum_i lambda_i L_i + alpha Tr(X' A X)   with A = [[1, .8, .2], [.8, 1, .5], [.2, .5, 1]] and
alpha = .1, on a shared linear layer 100 -> 64 and three heads 64 -> 1. Its program multiplies the 3 x 3 table with a
vector of all the parameters, which cannot run: A belongs to the (3, 64) table of the heads. And with positive entries
Tr(W' A W) = sum_ij A_ij <w_i, w_j> grows when related heads agree: it drives them apart. What was meant is the graph's
Laplacian, sum_ij A_ij ||w_i - w_j||^2, or A as a kernel. Here both are trained, then what else the article names:
clusters of tasks in the cost, a cost fused by attention, a cross-stitch network, tasks of different scale.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from relatask import InputError
from relatask.balance import Balancer, TaskAttention
from relatask.data.tensors import Columns, Loader
from relatask.nets import CrossStitch, HardSharing, Model
from relatask.relations import Clustered, Graph, Relation, TaskKernel, TraceForm
from relatask.tasks import Task
from relatask.train import Balanced, Trained, fit

TASKS = ("first", "second", "third")
A = np.array([[1.0, 0.8, 0.2], [0.8, 1.0, 0.5], [0.2, 0.5, 1.0]])
ALPHA, D, HIDDEN, ROWS = 0.1, 100, 64, 120


def make(seed: int, rows: int, scale: float = 1.0) -> Columns:
    """Rows with three targets whose true coefficients correlate as A says; the third in its own unit."""
    truth = np.linalg.cholesky(A) @ np.random.default_rng(0).normal(size=(3, D)) / np.sqrt(D)
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, D)).astype(np.float32)
    y = X @ truth.T + 0.5 * rng.normal(size=(rows, 3))
    y[:, 2] *= scale
    return Columns(X, {name: torch.from_numpy(y[:, k]).float() for k, name in enumerate(TASKS)})


def hard(relation: Relation | None = None) -> HardSharing:
    """The article's net: 100 -> 64, then 64 -> 1 for each task."""
    torch.manual_seed(0)
    return HardSharing(nn.Linear(D, HIDDEN), {name: nn.Linear(HIDDEN, 1) for name in TASKS}, relation)


def train(model: Model, data: Columns, balancer: Balancer | None = None, epochs: int = 12) -> Trained:
    """Adam on mean squared errors, each divided by its variance, and the relation's penalty."""
    return fit(model, [Task(n) for n in TASKS], Loader(data, 32), step=Balanced(balancer), epochs=epochs, lr=3e-3)


def agreement(model: Model) -> float:
    """Cosine of the two heads that A holds for the closest."""
    first, second = model.task_matrix().detach()[:2]
    return float(torch.cosine_similarity(first, second, dim=0))


def error(fitted: Trained, data: Columns) -> dict[str, float]:
    """Mean squared error of each task by the variance of its labels."""
    told = fitted.predict(data)
    return {str(n): float((told[n] - data.target(n)).square().mean() / data.target(n).var()) for n in TASKS}


def main() -> None:
    data, new = make(1, ROWS), make(2, 1000)

    # 1. What the article's program does cannot run: a 3 x 3 table against thousands of numbers.
    flat = torch.cat([p.flatten() for p in hard().parameters()])
    try:
        torch.from_numpy(A).float() @ flat
    except RuntimeError as message:
        print("A times all the parameters:", message)
    else:
        raise AssertionError("shapes (3, 3) and (n,) cannot be multiplied")
    assert hard().task_matrix().shape == (3, HIDDEN)

    # 2. On the heads it runs; as it stands in the article, it asks less of heads that oppose than of heads that agree.
    agree, oppose = torch.ones(3, HIDDEN), torch.ones(3, HIDDEN)
    agree[2], oppose[1:] = 0, torch.tensor([[-1.0], [0.0]])
    for name, relation, together in (
        ("Tr(W' A W)", TraceForm(A, ALPHA), False),
        ("the Laplacian of A", Graph(A - np.eye(3), ALPHA), True),
        ("A as a kernel", TaskKernel(A, ALPHA), True),
    ):
        costs = float(relation(agree)), float(relation(oppose))
        print(f"{name}: two related heads that agree cost {costs[0]:.1f}, that oppose {costs[1]:.1f}")
        assert (costs[0] < costs[1]) == together

    # 3. Trained: the Laplacian and the kernel bring the related heads together, the article's form does not.
    forms = {
        "no relation": None,
        "Tr(W' A W)": TraceForm(A, ALPHA),
        "the Laplacian of A": Graph(A - np.eye(3), ALPHA),
        "A as a kernel": TaskKernel(A, ALPHA),
    }
    cosines = {}
    for name, relation in forms.items():
        fitted = train(hard(relation), data)
        cosines[name] = agreement(fitted.model)
        told = ", ".join(f"{task} {value:.3f}" for task, value in error(fitted, new).items())
        print(f"{name}: cosine of the two closest heads {cosines[name]:.3f}; error over variance {told}")
    assert cosines["the Laplacian of A"] > cosines["no relation"] > cosines["Tr(W' A W)"]
    assert cosines["A as a kernel"] > cosines["Tr(W' A W)"]

    # 4. Clusters of tasks in the cost: two clusters for three tasks, found while the net is trained.
    clustered = train(hard(Clustered(2, 3.0, ridge=0.1)), data)
    cosine = torch.corrcoef(clustered.model.task_matrix().detach())
    print("clusters: correlations of the heads", cosine.numpy().round(2).tolist())
    assert cosine[0, 1] > max(cosines["no relation"], float(cosine[0, 2]), float(cosine[1, 2]))
    try:
        Clustered(0)
    except InputError as message:
        print("no cluster at all:", message)
    else:
        raise AssertionError("no cluster must be refused")

    # 5. A cost fused by attention over task embeddings: weights that stay positive and sum to one.
    attention = TaskAttention(TASKS)
    fused = train(hard(), data, attention)
    print("fused by attention: error over variance", {k: round(v, 3) for k, v in error(fused, new).items()})
    assert all(value < 1 for value in error(fused, new).values())

    # 6. A cross-stitch network: a column for each task, mixed; the mixtures are learned.
    torch.manual_seed(0)
    stitched = CrossStitch([lambda: nn.Linear(D, HIDDEN)], {name: nn.Linear(HIDDEN, 1) for name in TASKS})
    before = stitched.stitches[0].detach().clone()
    crossed = train(stitched, data)
    print("cross-stitch: what each task takes of each column")
    print(stitched.gates()["stitch 0"].numpy().round(3))
    assert not torch.equal(before, stitched.stitches[0])
    assert all(value < 1 for value in error(crossed, new).values())

    # 7. Scale: a target told in another unit leaves all the tasks as they are, because a loss is divided by that of
    #    the best constant answer. (It is not so for head biases and a penalty, which have the target's unit.)
    far = make(1, ROWS, scale=1000.0)
    unit = error(train(hard(), data, epochs=3), data)
    other = {}
    for normalize in (True, False):
        model = hard()
        with torch.no_grad():  # the head in the new unit, so that both begin alike
            model.heads["third"].weight *= 1000
            model.heads["third"].bias *= 1000
        loader = Loader(far, 32)
        step = {"lr": 3e-3, "epochs": 3, "normalize": normalize, "lr_of": {"third": 3.0}}
        other[normalize] = error(fit(model, [Task(n) for n in TASKS], loader, **step), far)
    print(f"error of the first task: {unit['first']:.4f}; with the third in another unit {other[True]['first']:.4f}")
    print(f"  and where losses are not divided by their null losses {other[False]['first']:.4f}")
    assert abs(other[True]["first"] - unit["first"]) < 0.01 * unit["first"]
    assert abs(other[False]["first"] - unit["first"]) > abs(other[True]["first"] - unit["first"])


if __name__ == "__main__":
    main()
