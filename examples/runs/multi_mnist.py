"""Multi-MNIST: two digits in one picture, a dozen balancers; the runs of docs/guides/which-balancer.md on `fit`.

    python -m examples.runs.multi_mnist

Two digits lie over each other, 18 x 18 pixels; which stands left, which right? 16,000 pairs for training, 2,000 each
for validation and test, made of digits that are not in the others' pairs. A small convolutional net with two heads, 250
steps of 64 pictures; the weights of the best of five looks at the validation pairs are tested. Data, net, number of
steps and each balancer's learning rate (chosen at seed 0 on validation pairs) are those of the guide, whose loop is
written by hand; here `fit` runs them, at the guide's first three seeds. What differs is the order of the pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from benchmarks.balancers import record
from benchmarks.balancers.cases import multi_mnist
from benchmarks.balancers.problem import Problem, Rows
from examples.runs.common import Results, start

from relatask.balance import Balancer, registry
from relatask.data.tensors import Columns, Loader, Sampler
from relatask.data.tensors.dealing import Draw
from relatask.measure import corrected_interval
from relatask.nets import HardSharing
from relatask.tasks import Task
from relatask.train import Balanced, Trained, fit

TASKS = ("0", "1")
"""Left and right: as balancers with a state for each task are made for two of them, `kind.example(2)`."""
METHODS = (
    *("Equal", "Uncertainty", "DWA", "FAMO", "MGDA", "CAGrad", "PCGrad", "UPGrad", "NashMTL", "IMTLG", "AlignedMTL"),
    *("GradDrop", "MetaBalance"),
)
CASE = "multi-mnist"


@dataclass(frozen=True)
class Settings:
    """What can be set; every field is an option."""

    methods: tuple[str, ...] = METHODS
    seeds: tuple[int, ...] = (1, 2, 3)
    looks: int = 5
    steps: int = 250
    batch_size: int = 64
    lr: float | None = None
    """None for the one that was chosen on validation pairs, of each balancer."""


@dataclass(frozen=True)
class Steps(Sampler):
    """So many batches an epoch, of rows drawn anew: a look at the validation pairs after each epoch."""

    steps: int

    def draws(self, sizes: Sequence[int], batch_size: int, rng: np.random.Generator) -> Iterator[Draw]:
        """Give the batches of one epoch."""
        for _ in range(self.steps):
            yield ((0, rng.choice(sizes[0], batch_size, replace=False)),)


def main(argv: Sequence[str] | None = None) -> Results:
    """Run every balancer at every seed, and show what came out beside the guide's."""
    quick = {"methods": ("Equal", "MGDA"), "seeds": (1,), "looks": 1, "steps": 20}
    settings, results = start("multi_mnist", Settings, quick=quick, argv=argv)
    for seed in settings.seeds:
        problem = None
        for method in settings.methods:
            if not results.done(method, seed):
                problem = problem or multi_mnist(seed)
                results.run(method, seed, lambda m=method, p=problem, s=seed: one(m, p, s, settings))
    results.show([("", "accuracy"), ("left", "accuracy"), ("right", "accuracy"), ("", "guide")], digits=4)
    for line in compared(results, settings):
        results.console.print(line, highlight=False)
    return results


def one(method: str, problem: Problem, seed: int, settings: Settings) -> dict[tuple[str, str], float]:
    """Train with a balancer, and score the test pairs."""
    rows = record.read()
    rate = settings.lr or record.best_rate(rows, CASE, method)
    done = trained(problem, balancer_of(method, settings.steps), rate, seed, settings)
    left, right = accuracies(done, problem.test)
    numbers = {("", "accuracy"): (left + right) / 2, ("left", "accuracy"): left, ("right", "accuracy"): right}
    guide = [float(r["test"]) for r in rows if (r["case"], r["balancer"], r["seed"]) == (CASE, method, str(seed))]
    return {**numbers, ("", "guide"): guide[0], ("", "lr"): rate}


def balancer_of(method: str, steps: int) -> Balancer:
    """Give a balancer at its defaults; DWA looks back by periods of a tenth of the run."""
    kind = registry()[method]
    return kind(2, period=max(steps // 10, 1)) if method == "DWA" else kind.example(2)


def trained(problem: Problem, balancer: Balancer, rate: float, seed: int, settings: Settings) -> Trained:
    """Train the guide's net from the guide's start."""
    torch.manual_seed(seed)
    model = HardSharing(problem.trunk(), {task: problem.head() for task in TASKS})
    return fit(
        model,
        [Task(task, "multiclass", classes=10) for task in TASKS],
        Loader(source(problem.train), settings.batch_size, Steps(settings.steps // settings.looks), seed=seed),
        Loader(source(problem.validation), 1000),
        step=Balanced(balancer),
        optimizer=torch.optim.Adam,
        epochs=settings.looks,
        lr=rate,
        monitor=accuracy,
        device="cpu",
        seed=seed,
    )


def source(rows: Rows) -> Columns:
    """Give pictures with the digits left and right."""
    pictures, digits = rows
    return Columns(pictures, dict(zip(TASKS, digits.unbind(1), strict=True)))


def accuracy(values: Mapping[tuple[str, str], float]) -> float:
    """Give what looks are compared by: the mean accuracy on validation pairs."""
    return float(np.mean([values[task, "accuracy"] for task in TASKS]))


def accuracies(done: Trained, rows: Rows) -> tuple[float, float]:
    """Give the share of digits that are read right, left and right."""
    answers = done.predict(rows[0])
    found = [float((answers[task].argmax(1) == rows[1][:, k]).double().mean()) for k, task in enumerate(TASKS)]
    return found[0], found[1]


def compared(results: Results, settings: Settings) -> list[str]:
    """Tell how far `fit` is from the guide's loop, over all runs, and each balancer from equal weights."""
    held = {(r.method, r.seed, r.metric): r.value for r in results.rows() if r.task == ""}
    pairs = [(m, s) for m in settings.methods for s in settings.seeds if (m, s, "accuracy") in held]
    lines = []
    if len({s for _, s in pairs}) > 1:
        by_seed = [
            float(np.mean([held[m, t, "accuracy"] - held[m, t, "guide"] for m, t in pairs if t == s]))
            for s in settings.seeds
        ]
        mean, low, high, _ = corrected_interval(np.array(by_seed), 0.0)
        lines.append(f"fit less the guide's loop, mean of {len(pairs)} runs: {mean:+.4f} ({low:+.4f} to {high:+.4f})")
    for method in settings.methods:
        found = [
            held[method, s, "accuracy"] - held["Equal", s, "accuracy"]
            for m, s in pairs
            if m == method and ("Equal", s) in pairs
        ]
        if method != "Equal" and len(found) > 1:
            mean, low, high, _ = corrected_interval(np.array(found), record.RATIO[CASE])
            lines.append(f"{method} less Equal: {mean:+.4f} ({low:+.4f} to {high:+.4f}), {len(found)} seeds")
    return lines


if __name__ == "__main__":
    main()
