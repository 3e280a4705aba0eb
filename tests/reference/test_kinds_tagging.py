"""Tagging: the chain against all sequences counted one by one, tokens against cross-entropy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from relatask.kinds import Chain, LinearChain, Tagging
from relatask.kinds.crf import likeliest, log_partition, negative_log_likelihood
from relatask.notices import InputError
from relatask.tasks import Task

TAGS = 3
TASK = Task("slots", "tagging", class_names=("O", "B-a", "I-a"))


def chain(seed, lengths, scale=2.0):
    """Random scores of sentences of these lengths."""
    draw = np.random.default_rng(seed)
    sizes = ((len(lengths), max(lengths), TAGS), (TAGS, TAGS), (TAGS,), (TAGS,))
    return Chain(*(torch.tensor(draw.normal(0, scale, size)) for size in sizes), torch.tensor(lengths))


def all_scores(found, i):
    """The score of every sequence of tags of sentence i, one by one."""
    length = int(found.lengths[i])
    told = {}
    for tags in itertools.product(range(TAGS), repeat=length):
        value = found.first[tags[0]] + found.last[tags[-1]]
        value = value + sum(found.scores[i, t, tag] for t, tag in enumerate(tags))
        told[tags] = float(value + sum(found.steps[a, b] for a, b in itertools.pairwise(tags)))
    return told


CASES = st.tuples(st.integers(0, 10**6), st.lists(st.integers(1, 5), min_size=1, max_size=3), st.sampled_from([0.1, 5]))


@given(CASES)
def test_the_partition_is_the_sum_over_all_sequences(case):
    found = chain(*case)
    counted = [np.logaddexp.reduce(list(all_scores(found, i).values())) for i in range(len(found.lengths))]
    np.testing.assert_allclose(log_partition(found, found.lengths), counted, rtol=1e-10)


@given(CASES, st.data())
def test_the_chance_of_labels_is_the_sum_over_all_sequences_that_have_them(case, data):
    found = chain(*case)
    target = torch.full(found.scores.shape[:2], -100)
    for i, length in enumerate(found.lengths.tolist()):
        tags = data.draw(st.lists(st.sampled_from([-100, 0, 1, 2]), min_size=length - 1, max_size=length - 1))
        target[i, :length] = torch.tensor([*tags, data.draw(st.integers(0, 2))])  # the last label ends the sentence
    counted = []
    for i, length in enumerate(found.lengths.tolist()):
        told, labels = all_scores(found, i), target[i, :length].tolist()
        fits = [
            value
            for tags, value in told.items()
            if all(label in (-100, tag) for tag, label in zip(tags, labels, strict=True))
        ]
        counted.append(np.logaddexp.reduce(list(told.values())) - np.logaddexp.reduce(fits))
    np.testing.assert_allclose(negative_log_likelihood(found, target), counted, rtol=1e-9, atol=1e-10)


@given(CASES)
def test_the_tags_told_are_those_of_the_highest_score(case):
    found = chain(*case)
    for i, tags in enumerate(likeliest(found)):
        told, length = all_scores(found, i), int(found.lengths[i])
        assert tuple(tags[:length].tolist()) == max(told, key=told.__getitem__)
        assert not tags[length:].any()


def test_gradients_are_chances_counted_one_by_one():
    found = chain(3, [4])
    steps = found.steps.clone().requires_grad_()
    log_partition(found._replace(steps=steps), found.lengths).sum().backward()
    told = all_scores(found, 0)
    total = np.logaddexp.reduce(list(told.values()))
    expected = np.zeros((TAGS, TAGS))
    for tags, value in told.items():
        for a, b in itertools.pairwise(tags):
            expected[a, b] += np.exp(value - total)
    np.testing.assert_allclose(steps.grad, expected, atol=1e-12)


def test_a_chain_without_steps_is_cross_entropy_of_each_token():
    found = chain(0, [5, 3])
    plain = found._replace(
        steps=torch.zeros(3, 3).double(), first=torch.zeros(3).double(), last=torch.zeros(3).double()
    )
    target = torch.tensor([[0, 1, 2, 0, 1], [2, 2, 0, -100, -100]])
    kind = Tagging()
    torch.testing.assert_close(kind.losses(plain, target, TASK), kind.losses(found.scores, target, TASK))
    by_torch = cross_entropy(found.scores.flatten(0, 1), target.flatten(), ignore_index=-100, reduction="sum")
    torch.testing.assert_close(kind.losses(found.scores, target, TASK).sum(), by_torch)


def test_the_head_sees_padding_by_its_zeros_and_single_precision_is_near_double():
    torch.manual_seed(0)
    head, z = LinearChain(4, TAGS), torch.randn(2, 6, 4)
    for parameter in (head.steps, head.first, head.last):
        torch.nn.init.normal_(parameter)
    z[1, 4:] = 0
    assert head(z).lengths.tolist() == [6, 4]
    target = torch.randint(0, TAGS, (2, 6))
    target[1, 4:] = -100
    with torch.no_grad():
        near = negative_log_likelihood(head(z), target)
        exact = negative_log_likelihood(head.double()(z.double()), target)
    torch.testing.assert_close(near.double(), exact, rtol=1e-5, atol=1e-5)


def test_a_chain_is_not_summed_in_halves_under_autocast():
    found = Chain(*(part.float() if part.is_floating_point() else part for part in chain(1, [5, 4])))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = log_partition(found, found.lengths)
    torch.testing.assert_close(inside, log_partition(found, found.lengths), rtol=0, atol=0)


def test_a_chain_learns_what_follows_what():
    torch.manual_seed(0)
    head = LinearChain(2, 2)
    target = torch.tensor([[0, 1] * 4]).repeat(8, 1)  # the tokens tell nothing
    z = torch.ones(8, 8, 2)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        negative_log_likelihood(head(z), target).mean().backward()
        optimizer.step()
    assert Tagging().answer(head(z), TASK)[0] == [0, 1] * 4


def test_what_a_chain_has_no_use_for_is_refused():
    task = Task("slots", "tagging", classes=3, label_smoothing=0.1)
    with pytest.raises(InputError, match=r"task 'slots': a chain scores whole sentences"):
        Tagging().losses(chain(0, [3]), torch.tensor([[0, 1, 2]]), task)
