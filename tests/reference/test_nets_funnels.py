"""Funnels: ESMM's chances and AITM's transfer against their equations in numpy."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from relatask.nets import AITM, ESMM
from relatask.nets.esmm import both
from relatask.notices import InputError

STEPS = ("seen", "clicked", "bought")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def _esmm(*more: str, chain: tuple[str, ...] | None = None) -> ESMM:
    heads = {task: nn.Linear(4, 1) for task in (*STEPS, *more)}
    return ESMM(nn.Linear(5, 4), heads, chain=chain).double()


def test_esmm_multiplies_the_chances_of_going_on() -> None:
    model, x = _esmm("spent", chain=STEPS), torch.randn(7, 5, dtype=torch.double)
    z = model.encoder(x)
    going_on = [torch.sigmoid(model.heads[task](z)) for task in STEPS]
    outputs = model(x)
    reached = torch.ones(7, 1, dtype=torch.double)
    for task, chance in zip(STEPS, going_on, strict=True):
        reached = reached * chance
        torch.testing.assert_close(outputs[task].sigmoid(), reached, rtol=1e-12, atol=0)
        torch.testing.assert_close(model.conditional(x)[task].sigmoid(), chance, rtol=1e-12, atol=0)
    torch.testing.assert_close(outputs["spent"], model.heads["spent"](z))
    assert list(outputs) == [*STEPS, "spent"]


def test_esmm_asked_for_the_last_step_alone_knows_the_others() -> None:
    model, x = _esmm("spent", chain=STEPS), torch.randn(7, 5, dtype=torch.double)
    assert list(model(x, ("bought",))) == ["bought"]
    torch.testing.assert_close(model(x, ("bought",))["bought"], model(x)["bought"])
    assert list(model.conditional(x, ("spent", "seen"))) == ["seen", "spent"]


def test_esmm_learns_from_rows_that_never_got_so_far() -> None:
    """A row without a click teaches the tower of buying too: the chance of the product has its gradient everywhere."""
    model, x = _esmm(), torch.randn(7, 5, dtype=torch.double)
    loss = nn.functional.softplus(model(x)["bought"]).sum()
    loss.backward()
    chance = {task: logit.sigmoid() for task, logit in model.conditional(x).items()}
    p = math.prod(chance.values())
    for task in STEPS:
        # d/d logit_j of -log(1 - p) is p (1 - p_j) / (1 - p)
        slope = (p * (1 - chance[task]) / (1 - p)).sum()
        torch.testing.assert_close(model.heads[task].bias.grad, slope[None], rtol=1e-10, atol=0)


@given(st.floats(-700, 700), st.floats(-700, 700))
def test_the_logit_of_a_product_is_exact_for_any_size(a: float, b: float) -> None:
    with np.errstate(over="ignore"):
        exact = -np.logaddexp(np.logaddexp(-a, -b), -a - b)
    logits = torch.tensor([a, b], dtype=torch.double, requires_grad=True)
    found = both(logits[0], logits[1])
    assert found.item() == pytest.approx(float(exact), rel=1e-12, abs=1e-12)
    found.backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad >= 0).all()


def test_the_logit_of_a_product_in_single_precision() -> None:
    chance = both(torch.tensor(-60.0), torch.tensor(-20.0))
    assert chance.item() == pytest.approx(-80.0, abs=1e-4)
    assert both(torch.tensor(90.0), torch.tensor(3.0)).item() == pytest.approx(3.0, abs=1e-6)


def test_esmm_shares_the_heads_of_earlier_steps() -> None:
    model = _esmm("spent", chain=STEPS)
    assert [len(model.task_parameters(task)) for task in model.tasks] == [0, 0, 2, 2]


@pytest.mark.parametrize(
    ("chain", "told"), [(("seen",), "two steps or more"), (("seen", "seen"), "each once"), (("sold",), "no head")]
)
def test_a_chain_that_is_none_is_refused(chain: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError, match=told):
        _esmm(chain=chain)


def _aitm(calibrator: float = 0.6, steps: tuple[str, ...] | None = None) -> AITM:
    heads = {task: nn.Linear(3, 1) for task in STEPS}
    return AITM(nn.Linear(5, 4), lambda: nn.Linear(4, 3), heads, 3, calibrator, steps).double()


def _affine(layer: nn.Linear, x: np.ndarray) -> np.ndarray:
    return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def _by_hand(model: AITM, x: np.ndarray) -> dict[str, np.ndarray]:
    encoded, z, outputs = _affine(model.encoder, x), None, {}
    for k, task in enumerate(STEPS):
        q = _affine(model.towers[task], encoded)
        if z is None:
            z = q
        else:
            unit = model.transfers[k - 1]
            p = np.maximum(_affine(unit.info[0], z), 0)
            scores = [(_affine(unit.query, u) * _affine(unit.key, u)).sum(1) / math.sqrt(3) for u in (p, q)]
            weights = np.exp(scores) / np.exp(scores).sum(0)
            z = sum(w[:, None] * _affine(unit.value, u) for w, u in zip(weights, (p, q), strict=True))
        outputs[task] = _affine(model.heads[task], z)
    return outputs


def test_aitm_is_its_equations() -> None:
    model, x = _aitm(), torch.randn(7, 5, dtype=torch.double)
    wanted = _by_hand(model, x.numpy())
    for task, output in model(x).items():
        np.testing.assert_allclose(output.detach().numpy(), wanted[task], atol=1e-13)
    torch.testing.assert_close(model(x, ("clicked",))["clicked"], model(x)["clicked"])
    assert all(model.gates()[task].sum().item() == pytest.approx(1) for task in STEPS[1:])


@pytest.mark.parametrize("steps", [None, STEPS[:2]])
def test_the_calibrator_is_what_later_steps_are_likelier(steps: tuple[str, ...] | None) -> None:
    model, x = _aitm(0.6, steps), torch.randn(50, 5, dtype=torch.double)
    model(x)
    chances = [1 / (1 + np.exp(-output)) for output in _by_hand(model, x.numpy()).values()][: len(steps or STEPS)]
    excess = sum(np.maximum(later - earlier, 0).mean() for earlier, later in pairwise(chances))
    assert excess > 0
    assert model.penalties()["calibrator"].item() == pytest.approx(0.6 * excess, rel=1e-12)
    model.eval()(x)
    assert model.penalties() == {}


def test_the_calibrator_puts_chances_in_order() -> None:
    model, x = _aitm(), torch.randn(50, 5, dtype=torch.double)
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(150):
        optimizer.zero_grad()
        model(x)
        model.penalties()["calibrator"].backward()
        optimizer.step()
    chances = [output.sigmoid() for output in model(x).values()]
    assert all((later <= earlier + 1e-3).all() for earlier, later in pairwise(chances))


def test_aitm_needs_a_chain() -> None:
    with pytest.raises(InputError, match="chain of two tasks or more"):
        AITM(nn.Linear(5, 4), lambda: nn.Linear(4, 3), {"a": nn.Linear(3, 1)}, 3)
    with pytest.raises(InputError, match="no head for task 'sold'"):
        _aitm(steps=("sold",))
