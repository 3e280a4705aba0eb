"""Text classification and named entities on one LSTM, as an article on comprehensive multi-task learning has it.

The article's net is Embedding -> LSTM -> two decoders, and its loss the sum of two cross-entropies. Its entity decoder
reads the LSTM's last state only, and so gives one tag for a whole sentence; entities need a tag for every token. Here
the LSTM reads both ways, the sentence decoder reads a summary and the entity decoder every state. The eight steps of
the article are numbered. Sentences are made up, so that this runs in seconds; `examples/runs/atis.py` is the same on
real ones.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from relatask.data.features import Vocabulary
from relatask.data.tensors import Loader, Sequences
from relatask.entities import agreement, f1
from relatask.nets import HardSharing
from relatask.nets.encoders import BiLSTM, SentenceHead, TokenHead
from relatask.tasks import Task
from relatask.train import fit

PLACES = ("paris", "new york", "rio de janeiro", "oslo", "san jose", "cairo")
DAYS = ("monday", "next friday", "the first of may")
ASKED = {"flight": ("show flights", "i want to fly"), "fare": ("how much is it", "what does it cost")}
TAGS = ("O", "B-from", "I-from", "B-to", "I-to", "B-day", "I-day")


def sentence(rng: np.random.Generator) -> tuple[list[str], str, list[str]]:
    """Make a sentence, what it asks for, and a tag for each word; a place is told apart by what stands before it."""
    asks = str(rng.choice(list(ASKED)))
    words = str(rng.choice(ASKED[asks])).split()
    tags = ["O"] * len(words)
    for before, kind, choices in (("from", "from", PLACES), ("to", "to", PLACES), ("on", "day", DAYS)):
        if rng.random() < 0.7:
            name = str(rng.choice(choices)).split()
            words += [before, *name]
            tags += ["O", f"B-{kind}", *[f"I-{kind}"] * (len(name) - 1)]
    return words, asks, tags


def main() -> None:
    # 1. Define the tasks. A summed loss of 0.5 for one sentence and 0.5 a token are in one unit: means over labels.
    tasks = (
        Task("asks", kind="multiclass", class_names=tuple(ASKED)),
        Task("entities", kind="tagging", class_names=TAGS),
    )

    # 2. Collect the data: of some sentences nobody said what they ask for, of some nobody tagged the words.
    rng = np.random.default_rng(0)
    made = [sentence(rng) for _ in range(600)]
    asks = np.array([list(ASKED).index(one) for _, one, _ in made])
    tags: list[list[int] | None] = [[TAGS.index(tag) for tag in row] for _, _, row in made]
    for i in range(0, 400, 4):
        asks[i], tags[i + 1] = -100, None

    # 3. Features: words as numbers, learned on training sentences.
    vocabulary = Vocabulary().fit(words for words, _, _ in made[:400])
    numbers = [row[row > 0] for row in vocabulary.transform(words for words, _, _ in made)]
    train, new = (
        Sequences(numbers[part], {"asks": torch.from_numpy(asks[part]), "entities": tags[part]})
        for part in (slice(400), slice(400, 600))
    )

    # 4. The model: one LSTM, a decoder for the sentence, a decoder for each token.
    torch.manual_seed(0)
    encoder = BiLSTM(vocabulary.numbers, embedding=24, hidden=24, gives="both", pool="max")
    heads = {
        "asks": SentenceHead(nn.Linear(encoder.features, len(ASKED))),
        "entities": TokenHead(nn.Linear(encoder.features, len(TAGS))),
    }
    model = HardSharing(encoder, heads)
    assert model(train.part(np.arange(3)).x)["entities"].shape[0::2] == (3, len(TAGS))  # a tag a token, not a sentence

    # 5. and 6. Optimise together, then adjust the weights: null losses make the two alike before anything is tuned.
    fitted = fit(model, tasks, Loader(train, 32), epochs=12, lr=1e-2)
    print("losses of the best constant answers:", {str(task.name): round(task.null_loss, 2) for task in fitted.tasks})

    # 7. Evaluate each task in its own measure, entities as whole spans.
    told = fitted.predict(new)
    right = float((told["asks"].argmax(1) == new.target("asks")).double().mean())
    counts = np.zeros(3)
    for row, (_, _, truth) in zip(told["entities"], made[400:], strict=True):
        counts += agreement(truth, [TAGS[k] for k in row[: len(truth)]])
    print(f"asked for what: {right:.3f} right; entities: F1 {f1(*counts):.3f}")
    words, _, truth = made[400]
    print(" ".join(f"{word}/{TAGS[k]}" for word, k in zip(words, told["entities"][0], strict=False)))
    assert right > 0.95
    assert f1(*counts) > 0.9

    # What the article's decoder could do at best: one tag for all the words of a sentence.
    one = np.zeros(3)
    for _, _, truth in made[400:]:
        one += max((agreement(truth, [tag] * len(truth)) for tag in TAGS), key=lambda found: found[0])
    print(f"one tag a sentence, the best one: F1 {f1(*one):.3f}")
    assert f1(*one) < 0.25

    # 8. Iterate: examples/runs/atis.py goes on with real sentences, deeper sharing and a chain of tags.


if __name__ == "__main__":
    main()
