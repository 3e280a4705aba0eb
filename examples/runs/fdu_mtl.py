"""FDU-MTL: is a review liked? Sixteen domains, books to vacuum cleaners, one question: what do they share?

    python -m examples.runs.fdu_mtl [--quick]

Linear, on TF-IDF of words and pairs of words: `linear single`, `linear pooled`, `linear shared+private` (a weight for
all domains plus one of each). Networks on a bag of the same n-grams: `single`, a net each; `pooled`, one net and one
head; `hard`, one encoder and a head each; `shared-private`, an encoder of all beside one of each, then with an
adversary that unlearns the domain, then with orthogonality besides. `cnn`: hard sharing on a text CNN without
pretrained vectors. Everything was chosen by `--held-out` (200 training rows of each domain); the test sets decide
nothing. Told in docs/runs/fdu-mtl.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from examples.runs.common import start
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import nn

from relatask.data import load
from relatask.data.features import HashedNgrams, Vocabulary
from relatask.data.tensors import Loader, Sequences
from relatask.nets import HardSharing, Model, SharedPrivate
from relatask.nets.encoders import BagOfNgrams, TextCNN
from relatask.tasks import Task
from relatask.train import fit

LINEAR = ("linear single", "linear pooled", "linear shared+private")
NETS = ("single", "pooled", "hard", "shared-private", "+ adversary", "+ orthogonality", "cnn")


@dataclass(frozen=True)
class Settings:
    """Configuration of the run."""

    methods: tuple[str, ...] = (*LINEAR, *NETS)
    seeds: tuple[int, ...] = (0, 1, 2)
    held_out: bool = False  # score 200 training rows of each domain, which are left out, in place of the test sets
    buckets: int = 2**20
    width: int = 32  # of the shared embedding
    private: int = 8  # of each private one
    start: float = 0.02  # standard deviation of fresh embeddings
    dropout: float = 0.5
    epochs: int = 5
    batch_size: int = 256
    lr: float = 3e-3
    weight_decay: float = 0.01
    adversary: float = 0.05
    orthogonality: float = 0.01
    inverse_strength: float = 30.0  # of the logistic regressions
    cnn_epochs: int = 4
    cnn_length: int = 120  # words that the CNN reads
    rows: int | None = None  # training rows of each domain; all by default


QUICK: dict[str, Any] = {
    "seeds": (0,),
    "epochs": 1,
    "cnn_epochs": 1,
    "rows": 40,
    "buckets": 2**16,
    "cnn_length": 20,
    "methods": (*LINEAR, "single", "pooled", "hard", "+ orthogonality", "cnn"),
}


@dataclass(frozen=True)
class Reviews:
    """Texts (lists of words) and labels of one domain."""

    texts: list[list[str]]
    liked: np.ndarray


Parts = Mapping[str, Mapping[str, Reviews]]
"""By domain: what is trained on, and what is scored."""


@cache
def read(held_out: bool, rows: int | None) -> Parts:
    """Read the reviews; a held-out part is drawn from each domain's training rows."""
    data = load("fdu_mtl")
    domains, texts = data.groups["domain"], data.inputs["text"]
    found: dict[str, dict[str, Reviews]] = {}
    for domain in dict.fromkeys(domains[data.splits["train"]].tolist()):
        of = {part: place[domains[place] == domain] for part, place in data.splits.items()}
        learn, score = of["train"], of["test"]
        if held_out:
            mixed = np.random.default_rng(0).permutation(learn)
            learn, score = mixed[200:], mixed[:200]
        if rows is not None:
            learn, score = (np.random.default_rng(1).permutation(some)[:rows] for some in (learn, score))
        found[domain] = {
            name: Reviews([texts[i].split() for i in some], np.asarray(data.targets["liked"])[some])
            for name, some in (("learn", learn), ("score", score))
        }
    return found


def linear(method: str, s: Settings) -> dict[Hashable, np.ndarray]:
    """Logistic regression on TF-IDF; shared + private: each row once for all domains and once for its own."""
    parts = read(s.held_out, s.rows)
    tfidf = TfidfVectorizer(analyzer=_grams, sublinear_tf=True, min_df=2, dtype=np.float32)
    tfidf.fit([text for domain in parts.values() for text in domain["learn"].texts])
    X = {name: {d: tfidf.transform(p[name].texts) for d, p in parts.items()} for name in ("learn", "score")}
    y = {d: p["learn"].liked for d, p in parts.items()}

    def fitted(rows: Any, labels: np.ndarray) -> LogisticRegression:
        return LogisticRegression(C=s.inverse_strength, solver="liblinear", dual=True).fit(rows, labels)

    if method == "linear single":
        return {d: fitted(X["learn"][d], y[d]).predict(X["score"][d]) for d in parts}
    labels, n = np.concatenate(list(y.values())), len(parts)

    def placed(rows: Any, k: int) -> Any:
        if method == "linear pooled":
            return rows
        empty = sparse.csr_matrix(rows.shape, dtype=rows.dtype)
        return sparse.hstack([rows, *(rows if j == k else empty for j in range(n))], format="csr")

    model = fitted(sparse.vstack([placed(X["learn"][d], k) for k, d in enumerate(parts)], format="csr"), labels)
    return {d: model.predict(placed(X["score"][d], k)) for k, d in enumerate(parts)}


def _grams(text: Sequence[str]) -> list[str]:
    return [*text, *(f"{a} {b}" for a, b in itertools.pairwise(text))]


@cache
def numbers(kind: str, buckets: int, length: int, held_out: bool, rows: int | None) -> tuple[Any, dict[str, Any]]:
    """Give what turns texts into numbers, learned on training texts, and every domain's numbers."""
    parts = read(held_out, rows)
    coder = Vocabulary(min_count=3, length=length) if kind == "words" else HashedNgrams(buckets, min_count=3)
    coder.fit(text for domain in parts.values() for text in domain["learn"].texts)
    found = {
        name: {d: [row[row > 0] for row in coder.transform(p[name].texts)] for d, p in parts.items()}
        for name in ("learn", "score")
    }
    return coder, found


def net(method: str, seed: int, s: Settings) -> dict[Hashable, np.ndarray]:
    """Train a network; give the guesses of every domain."""
    parts = read(s.held_out, s.rows)
    coder, coded = numbers("words" if method == "cnn" else "grams", s.buckets, s.cnn_length, s.held_out, s.rows)
    learn = {d: (coded["learn"][d], p["learn"].liked) for d, p in parts.items()}
    groups: list[list[str]] = [[d] for d in parts] if method == "single" else [list(parts)]
    found: dict[Hashable, np.ndarray] = {}
    for names in groups:
        torch.manual_seed(seed)
        model = build(method, names, coder, s)
        sources = [_source({d: learn[d]}, "all" if method == "pooled" else d) for d in names]
        if method == "pooled":
            sources = [_source(learn, "all")]
        fitted = fit(
            model,
            [Task(name, kind="binary") for name in model.tasks],
            Loader(sources, min(s.batch_size, 32) if method == "single" else s.batch_size, seed=seed),
            epochs=s.cnn_epochs if method == "cnn" else s.epochs,
            lr=s.lr,
            weight_decay=s.weight_decay,
            schedule="cosine",
            seed=seed,
        )
        for d in names:
            task = "all" if method == "pooled" else d
            chances = fitted.predict(Sequences(coded["score"][d], {}), [task])[task]
            found[d] = np.asarray(chances) > 0.5
    return found


def _source(reviews: Mapping[str, tuple[list[np.ndarray], np.ndarray]], task: str) -> Sequences:
    """Rows of one or more domains under one task."""
    rows = [row for some, _ in reviews.values() for row in some]
    liked = np.concatenate([labels for _, labels in reviews.values()])
    return Sequences(rows, {task: torch.from_numpy(liked).float()})


def build(method: str, names: Sequence[str], coder: Any, s: Settings) -> Model:
    """Make the net of a method."""

    def bag(width: int) -> nn.Module:
        made = BagOfNgrams(coder.numbers, width, weights=coder.weights_, dropout=s.dropout)
        nn.init.normal_(made.embedding.weight, std=s.start)
        return made

    if method == "cnn":
        encoder = TextCNN(coder.numbers, embedding=64, filters=64)
        return HardSharing(encoder, {d: nn.Linear(encoder.features, 1) for d in names})
    if method in ("single", "pooled", "hard"):
        heads = ["all"] if method == "pooled" else names
        return HardSharing(bag(s.width), {d: nn.Linear(s.width, 1) for d in heads})
    return SharedPrivate(
        bag(s.width),
        {d: bag(s.private) for d in names},
        {d: nn.Linear(s.width + s.private, 1) for d in names},
        s.width,
        adversary=0.0 if method == "shared-private" else s.adversary,
        orthogonality=s.orthogonality if method == "+ orthogonality" else 0.0,
    )


def one(method: str, seed: int, s: Settings) -> Iterator[tuple[tuple[str, str], float]]:
    """Give a method's errors in percent: their mean over domains, then each."""
    guesses = linear(method, s) if method in LINEAR else net(method, seed, s)
    parts = read(s.held_out, s.rows)
    errors = {d: 100 * float(np.mean(guesses[d] != p["score"].liked)) for d, p in parts.items()}
    yield ("mean", "error"), float(np.mean(list(errors.values())))
    yield from (((d, "error"), error) for d, error in errors.items())


def main(argv: Sequence[str] | None = None) -> None:
    settings, results = start("fdu_mtl", Settings, quick=QUICK, argv=argv)
    torch.set_num_threads(1)
    for seed in settings.seeds:
        for method in settings.methods:
            # What draws nothing at random has one seed, and the CNN takes long.
            if seed == settings.seeds[0] or method not in (*LINEAR, "cnn"):
                results.run(method, seed, lambda method=method, seed=seed: dict(one(method, seed, settings)))
    results.show([("mean", "error")])


if __name__ == "__main__":
    main()
