"""ATIS: what does a traveller want (intent), and which words say where and when (slots)? Two tasks, one BiLSTM.

    python -m examples.runs.atis [--quick]

Methods: `single`, a net for each task; `hard`, one BiLSTM for both; `hierarchical`, slots read the first BiLSTM, intent
a second one above it and what the slots' head says; `cross-stitch`, a column each whose activations are mixed; `hard,
chain`, as `hard`, with a linear chain (CRF) on the slots' head. The epoch, and everything in `Settings`, is chosen on
the development set; the published test set is looked at once a run. Told in docs/runs/atis.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from examples.runs.common import start
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.optim.lr_scheduler import LambdaLR

from relatask.data import load
from relatask.data.features import Vocabulary
from relatask.data.tensors import Loader, Sequences
from relatask.entities import agreement, f1
from relatask.kinds import LinearChain
from relatask.nets import CrossStitch, HardSharing, Hierarchical, Model
from relatask.tasks import Task
from relatask.train import fit


@dataclass(frozen=True)
class Settings:
    """Configuration of the run."""

    methods: tuple[str, ...] = ("hard", "single", "hierarchical", "cross-stitch", "hard, chain")
    seeds: tuple[int, ...] = (0, 1, 2)
    embedding: int = 100
    hidden: int = 128
    dropout: float = 0.5
    unknown: float = 0.3  # share of a training batch's rare words that are read as unknown
    epochs: int = 24
    batch_size: int = 32
    lr: float = 4e-3  # until half of the steps are done, from there on down to nothing
    weight_decay: float = 0.01
    slots: float = 2.0  # weight of the slots' loss
    clip: float = 5.0
    ema: float | None = 0.99
    sentences: int | None = None  # training sentences; all by default


QUICK: dict[str, Any] = {"seeds": (0,), "epochs": 1, "sentences": 300, "embedding": 16, "hidden": 16, "ema": None}
LETTERS = 12  # letters of a word that are read
FILTERS = 30  # over them
COLUMNS = (("intent", "accuracy"), ("slots", "entity F1"), ("slots", "dev entity F1"), ("intent", "dev accuracy"))


@dataclass(frozen=True)
class Data:
    """Sentences as numbers, in their published parts."""

    parts: Mapping[str, Sequences]
    tasks: tuple[Task, ...]
    letters: Tensor  # (words, 12): the beginning of every word, by letters
    rare: int  # numbers from here on: words that training sentences have once
    unseen: int  # numbers from here on: words that they do not have


@cache
def read(sentences: int | None, slots: float = 1.0) -> Data:
    """Read ATIS; a digit is written 0, and words that the training part does not have are known by their letters."""
    atis = load("atis")
    words = [[re.sub(r"\d", "0", word) for word in row] for row in atis.inputs["tokens"]]
    rows = {name: place[:sentences] if name == "train" else place for name, place in atis.splits.items()}
    vocabulary = Vocabulary().fit(words[i] for i in rows["train"])
    known = {word: k + 2 for k, word in enumerate(vocabulary.words_)}
    every = {**known, **{word: 0 for row in words for word in row if word not in known}}
    number = {word: k + 2 for k, word in enumerate(every)}  # known ones first, the most frequent ahead
    counts = Counter(word for i in rows["train"] for word in words[i])
    letters = torch.zeros(len(number) + 2, LETTERS, dtype=torch.long)
    for word, k in number.items():
        spelled = [1 + min(ord(letter), 127) for letter in word[:LETTERS]]
        letters[k, : len(spelled)] = torch.tensor(spelled)
    parts = {}
    for name, place in rows.items():
        numbers = [[number[word] for word in words[i]] for i in place]
        intents = torch.from_numpy(np.asarray(atis.targets["intent"])[place])
        parts[name] = Sequences(numbers, {"intent": intents, "slots": [atis.targets["slots"][i] for i in place]})
    tasks = (
        Task("intent", kind="multiclass", class_names=atis.classes["intent"]),
        Task("slots", kind="tagging", class_names=atis.classes["slots"], weight=slots),
    )
    return Data(parts, tasks, letters, 2 + sum(n > 1 for n in counts.values()), 2 + len(known))


class Embed(nn.Module):
    """Words to vectors (n, T, features): of the word, beside the greatest responses of filters over its letters.

    While training, some rare words become the unknown one, as all unseen words are. Padding is zero.
    """

    def __init__(self, data: Data, width: int, dropout: float, unknown: float) -> None:
        super().__init__()
        self.rare, self.unseen, self.unknown = data.rare, data.unseen, unknown
        self.register_buffer("spelled", data.letters)
        self.embedding = nn.Embedding(data.unseen, width, padding_idx=0)
        self.letters = nn.Embedding(129, FILTERS, padding_idx=0)
        self.filters = nn.Conv1d(FILTERS, FILTERS, 3, padding=1)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Give vectors of word numbers (n, T)."""
        forgotten = x >= self.unseen
        if self.training:
            forgotten = forgotten | ((x >= self.rare) & (torch.rand(x.shape, device=x.device) < self.unknown))
        found, where = x.unique(return_inverse=True)
        spelled = self.filters(self.letters(self.spelled[found]).transpose(1, 2)).amax(2)[where]
        told = torch.cat([self.embedding(torch.where(forgotten, 1, x)), spelled * (x != 0)[..., None]], -1)
        return self.drop(told)


class Read(nn.Module):
    """A BiLSTM over vectors (n, T, d); tokens at the end that are zero throughout are padding, and stay zero."""

    def __init__(self, features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        """Give states (n, T, 2 hidden)."""
        there = (h != 0).any(-1)
        lengths = (there * torch.arange(1, h.shape[1] + 1, device=h.device)).amax(1).clamp(min=1)
        packed = pack_padded_sequence(h, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return self.drop(pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=h.shape[1])[0])


class Sentence(nn.Module):
    """A head for the sentence: attention over its tokens (of `features`, then what is fed), then a linear layer."""

    def __init__(self, features: int, classes: int, fed: int = 0) -> None:
        super().__init__()
        self.features = features
        self.attention = nn.Linear(features, 1)
        self.linear = nn.Linear(features + fed, classes)

    def forward(self, h: Tensor) -> Tensor:
        """Give (n, classes)."""
        own = h[..., : self.features]
        there = (own != 0).any(-1)
        scores = self.attention(own)[..., 0].masked_fill(~there, -1e9)
        return self.linear((scores.softmax(1)[..., None] * h).sum(1))


def build(method: str, names: Sequence[Hashable], data: Data, s: Settings) -> Model:
    """Make the net of a method, with heads for these tasks."""
    states = 2 * s.hidden
    classes = {task.name: int(task.classes or 0) for task in data.tasks}
    every: dict[Hashable, nn.Module] = {
        "intent": Sentence(states, classes["intent"], classes["slots"] if method == "hierarchical" else 0),
        "slots": LinearChain(states, classes["slots"])
        if method == "hard, chain"
        else nn.Linear(states, classes["slots"]),
    }
    heads = {name: every[name] for name in names}

    width = s.embedding + FILTERS
    stages = [
        lambda: Embed(data, s.embedding, s.dropout, s.unknown),
        lambda: Read(width, s.hidden, s.dropout),
        lambda: Read(states, s.hidden, s.dropout),
    ]
    if method == "cross-stitch":
        return CrossStitch(stages[:2], heads)
    if method == "hierarchical":
        return Hierarchical(stages, heads, depth={"slots": 2, "intent": 3}, feeds={"intent": "slots"}, detach=True)
    return HardSharing(nn.Sequential(stages[0](), stages[1]()), heads)


def train(method: str, names: Sequence[Hashable], seed: int, s: Settings) -> Iterator[tuple[tuple[str, str], float]]:
    """Train a net on these tasks; give its metrics on the development and test sets."""
    data = read(s.sentences, s.slots)
    tasks = [task for task in data.tasks if task.name in names]
    loader = Loader(Only(data.parts["train"], names), s.batch_size, seed=seed)
    steps = s.epochs * sum(1 for _ in loader.epoch(0))
    torch.manual_seed(seed)
    fitted = fit(
        build(method, names, data, s),
        tasks,
        loader,
        Loader(Only(data.parts["dev"], names), 250),
        epochs=s.epochs,
        lr=s.lr,
        weight_decay=s.weight_decay,
        schedule=lambda optimizer: LambdaLR(optimizer, lambda step: max(0.0, min(1.0, 2 - 2 * step / steps))),
        clip=s.clip,
        ema=s.ema,
        seed=seed,
        monitor=lambda v: sum(v.get(key, 0.0) for key in (("intent", "accuracy"), ("slots", "entity_f1"))),
    )
    for part, told in (("test", ""), ("dev", "dev ")):
        answers = fitted.predict(data.parts[part], names)
        for task in tasks:
            truth = data.parts[part].target(task.name)
            if task.name == "intent":
                right = answers["intent"].argmax(1) == truth
                yield ("intent", f"{told}accuracy"), 100 * float(right.double().mean())
            else:
                yield ("slots", f"{told}entity F1"), 100 * entity_f1(truth, answers["slots"], task.class_names or ())


def entity_f1(truth: Tensor, guess: Sequence[Sequence[int]], tags: Sequence[str]) -> float:
    """F1 of the slots of a whole part, by the rules of CoNLL."""
    counts = np.zeros(3)
    for row, told in zip(truth.tolist(), guess, strict=True):
        there = [k for k in row if k >= 0]
        counts += agreement([tags[k] for k in there], [tags[k] for k in told[: len(there)]])
    return f1(*counts)


class Only(Sequences):
    """The same sentences with the labels of some tasks."""

    def __init__(self, source: Sequences, names: Sequence[Hashable]) -> None:
        self.__dict__.update(source.__dict__)
        self._order = tuple(name for name in source.tasks if name in names)


def one(method: str, seed: int, s: Settings) -> dict[tuple[str, str], float]:
    """Give a method's numbers; of `single`, a net for each task."""
    nets: Sequence[Sequence[Hashable]] = [["intent"], ["slots"]] if method == "single" else [["intent", "slots"]]
    return {key: value for names in nets for key, value in train(method, names, seed, s)}


def main(argv: Sequence[str] | None = None) -> None:
    settings, results = start("atis", Settings, quick=QUICK, argv=argv)
    torch.set_num_threads(1)
    for seed in settings.seeds:
        for method in settings.methods:
            results.run(method, seed, lambda method=method, seed=seed: one(method, seed, settings))
    results.show(COLUMNS)


if __name__ == "__main__":
    main()
