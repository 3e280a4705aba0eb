"""Tox21: is a molecule active in each of twelve assays? A sixth of the labels is missing.

    python -m examples.runs.tox21 [--quick]

A molecule is a bag of substructures: of `circles` around atoms and pieces of its SMILES text (`--substructures rdkit`
asks RDKit instead, which must be installed). Methods: `linear`, a logistic regression for each assay; `single`, a net
for each; `hard`, one net for all. 80% of the molecules train, 10% validate, 10% test, at random by seed; the epoch and
everything in `Settings` is chosen on the validation rows. Told in docs/runs/tox21.md.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from examples.runs.common import start
from examples.runs.molecules import by_rdkit, circles, pieces, words
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import nn

from relatask.data import load
from relatask.data.features import HashedNgrams
from relatask.data.tensors import Loader, Sequences
from relatask.nets import HardSharing
from relatask.nets.encoders import BagOfNgrams
from relatask.tasks import Task
from relatask.train import fit

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)


@dataclass(frozen=True)
class Settings:
    """Configuration of the run."""

    methods: tuple[str, ...] = ("linear", "single", "hard")
    seeds: tuple[int, ...] = (0, 1, 2)
    substructures: str = "smiles"
    buckets: int = 2**18
    min_count: int = 5  # training molecules that a substructure is in
    width: int = 512
    dropout: float = 0.5
    epochs: int = 15
    batch_size: int = 128
    lr: float = 2e-3
    weight_decay: float = 0.01
    ema: float | None = 0.98
    molecules: int | None = None


QUICK: dict[str, Any] = {
    "seeds": (0,),
    "epochs": 2,
    "molecules": 1500,
    "width": 16,
    "ema": None,
    "methods": ("linear", "hard"),
}


@cache
def read(substructures: str, molecules: int | None) -> tuple[list[list[str]], np.ndarray, list[str]]:
    """Give every molecule's substructures, labels (n, 12) with NaN where missing, the assays."""
    data = load("tox21")
    texts = [row[0] for row in data.X][:molecules]
    found = [by_rdkit(text) if substructures == "rdkit" else circles(text) + pieces(text) for text in texts]
    return [words(some) for some in found], data.y[:molecules], list(data.targets)


@cache
def coded(seed: int, s: Settings) -> tuple[list[np.ndarray], int]:
    """Give the numbers of every molecule's substructures, and how many there are; rare ones are left out."""
    texts = read(s.substructures, s.molecules)[0]
    train = parts(len(texts), seed)["train"]
    coder = HashedNgrams(s.buckets, (1, 1), min_count=s.min_count, idf=False).fit(texts[i] for i in train)
    return [row[row > 0] for row in coder.transform(texts)], coder.numbers


def parts(n: int, seed: int) -> dict[str, np.ndarray]:
    """Deal rows at random: 80, 10 and 10 percent."""
    train, valid, test = np.split(np.random.default_rng(seed).permutation(n), [int(0.8 * n), int(0.9 * n)])
    return {"train": train, "valid": valid, "test": test}


def linear(seed: int, s: Settings) -> Mapping[str, np.ndarray]:
    """A logistic regression for each assay, its strength chosen on the validation rows."""
    _, Y, names = read(s.substructures, s.molecules)
    rows, numbers = coded(seed, s)
    X = sparse.lil_matrix((len(rows), numbers))
    for i, row in enumerate(rows):
        X[i, row] = 1 / np.sqrt(max(1, len(row)))
    X, dealt = X.tocsr(), parts(len(rows), seed)
    found = {name: np.zeros((len(dealt[name]), len(names))) for name in ("valid", "test")}
    for k in range(len(names)):
        there = dealt["train"][~np.isnan(Y[dealt["train"], k])]
        best = -1.0
        for strength in STRENGTHS:
            model = LogisticRegression(C=10 * strength, solver="liblinear").fit(X[there], Y[there, k])
            told = {name: model.decision_function(X[dealt[name]]) for name in found}
            reached = auc(told["valid"][:, None], Y[dealt["valid"]][:, k : k + 1])[0]
            if reached > best:
                best = reached
                for name, values in told.items():
                    found[name][:, k] = values
    return found


def nets(method: str, seed: int, s: Settings) -> Mapping[str, np.ndarray]:
    """One net for all assays, or one for each."""
    _, Y, names = read(s.substructures, s.molecules)
    rows, numbers = coded(seed, s)
    dealt = parts(len(rows), seed)
    found = {name: np.zeros((len(dealt[name]), len(names))) for name in ("valid", "test")}
    for group in [names] if method == "hard" else [[name] for name in names]:
        sources = {
            part: Sequences(
                [rows[i] for i in place],
                {name: torch.from_numpy(Y[place, names.index(name)]).float() for name in group},
            )
            for part, place in dealt.items()
        }
        torch.manual_seed(seed)
        encoder = BagOfNgrams(numbers, s.width)
        nn.init.normal_(encoder.embedding.weight, std=0.1)
        head: dict[Hashable, nn.Module] = {name: nn.Linear(s.width, 1) for name in group}
        fitted = fit(
            HardSharing(nn.Sequential(encoder, nn.ReLU(), nn.Dropout(s.dropout)), head),
            [Task(name, kind="binary") for name in group],
            Loader(sources["train"], s.batch_size, seed=seed),
            Loader(sources["valid"], 1000),
            epochs=s.epochs,
            lr=s.lr,
            weight_decay=s.weight_decay,
            ema=s.ema,
            seed=seed,
            monitor=lambda v: float(np.mean([value for (_, metric), value in v.items() if metric == "auc"])),
        )
        for part, told in found.items():
            answers = fitted.predict(sources[part])
            for name in group:
                told[:, names.index(name)] = answers[name]
    return found


def auc(guess: np.ndarray, truth: np.ndarray) -> list[float]:
    """Area under the ROC curve of each assay, over its labels that are there."""
    there = ~np.isnan(truth)
    return [roc_auc_score(truth[m, k], guess[m, k]) for k, m in enumerate(there.T)]


def one(method: str, seed: int, s: Settings) -> Iterator[tuple[tuple[str, str], float]]:
    """Give a method's areas: the mean over assays, then each."""
    _, Y, names = read(s.substructures, s.molecules)
    dealt = parts(len(Y), seed)
    told = linear(seed, s) if method == "linear" else nets(method, seed, s)
    found = {part: auc(values, Y[dealt[part]]) for part, values in told.items()}
    yield ("mean", "ROC-AUC"), float(np.mean(found["test"]))
    yield ("mean", "validation ROC-AUC"), float(np.mean(found["valid"]))
    yield from (((name, "ROC-AUC"), value) for name, value in zip(names, found["test"], strict=True))


def main(argv: Sequence[str] | None = None) -> None:
    settings, results = start("tox21", Settings, quick=QUICK, argv=argv)
    torch.set_num_threads(1)
    for seed in settings.seeds:
        for method in settings.methods:
            results.run(method, seed, lambda method=method, seed=seed: dict(one(method, seed, settings)))
    results.show([("mean", "ROC-AUC"), ("mean", "validation ROC-AUC")], digits=3)


if __name__ == "__main__":
    main()
