"""Experts and gates against loops over experts, the papers' equations, and finite differences."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from relatask.balance import Sum, backward
from relatask.nets import CGC, PLE, BatchedExperts, DSelectK, Experts, MMoE
from relatask.nets.dselect_k import selection, smooth_step, undecided
from relatask.nets.experts import mixed, uneven
from relatask.notices import InputError

TASKS = ("a", "b", "c")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def _heads(width: int) -> dict[str, nn.Module]:
    return {task: nn.Linear(width, 1) for task in TASKS}


def _by_hand(experts: BatchedExperts, e: int, x: Tensor) -> Tensor:
    for weight, bias in zip(experts.weights, experts.biases, strict=True):
        x = torch.relu(x @ weight[e].T + bias[e])
    return x


@pytest.mark.parametrize("widths", [(4,), (6, 4), (6, 5, 4)])
def test_batched_experts_are_a_loop_over_experts(widths: tuple[int, ...]) -> None:
    experts, x = BatchedExperts(3, 5, widths).double(), torch.randn(7, 5, dtype=torch.double, requires_grad=True)
    together, alone = experts(x), torch.stack([_by_hand(experts, e, x) for e in range(3)], 1)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-14)
    weight = torch.randn_like(together)
    wanted = torch.autograd.grad((alone * weight).sum(), [x, *experts.parameters()])
    for one, other in zip(
        torch.autograd.grad((together * weight).sum(), [x, *experts.parameters()]), wanted, strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13)


def test_batched_experts_take_tokens_too() -> None:
    experts, x = BatchedExperts(3, 5, (6, 4)), torch.randn(2, 7, 5)
    torch.testing.assert_close(experts(x), experts(x.reshape(14, 5)).reshape(2, 7, 3, 4))


def test_experts_begin_as_linear_layers_do() -> None:
    weight = BatchedExperts(50, 16, (40,)).weights[0]
    assert weight.abs().max() <= 0.25
    assert weight.std().item() == pytest.approx(0.25 / np.sqrt(3), rel=0.02)


def test_experts_of_any_kind_are_asked_one_by_one() -> None:
    modules = [nn.Linear(5, 4), nn.Sequential(nn.Linear(5, 4), nn.Tanh())]
    x = torch.randn(3, 5)
    torch.testing.assert_close(Experts(modules, 4)(x)[:, 1], modules[1](x))


def test_mmoe_is_its_equations() -> None:
    model = MMoE(BatchedExperts(4, 5, (6, 3)), _heads(3), 5, encoder=nn.Linear(9, 5)).double()
    x = torch.randn(7, 9, dtype=torch.double)
    z = model.encoder(x)
    for k, task in enumerate(TASKS):
        gate = torch.softmax(z @ model.selectors[task].weight.T, 1)
        mixture = sum(gate[:, [e]] * _by_hand(model.experts, e, z) for e in range(4))
        torch.testing.assert_close(model(x)[task], model.heads[task](mixture), rtol=0, atol=1e-14)
        torch.testing.assert_close(model.gates()[task], gate.mean(0), rtol=0, atol=1e-14)
        assert set(map(id, model.task_parameters(task))) == {
            id(p) for p in (*model.heads[task].parameters(), *model.selectors[task].parameters())
        }, k


def test_uneven_is_the_squared_coefficient_of_variation() -> None:
    gates = [torch.rand(6, 4, dtype=torch.double).softmax(1) for _ in range(3)]
    load = sum(gate.numpy().sum(0) for gate in gates)
    assert uneven(gates).item() == pytest.approx(load.var() / load.mean() ** 2, rel=1e-12)


def test_load_balance_is_a_penalty_that_evens_the_loads() -> None:
    model = MMoE(BatchedExperts(4, 5, (3,)), _heads(3), 5, load_balance=1.0)
    x, optimizer = torch.randn(64, 5) + 1, torch.optim.Adam(model.selectors.parameters(), 0.1)
    seen = []
    for _ in range(60):
        model(x)
        (term,) = model.penalties().values()
        seen.append(term.item())
        optimizer.zero_grad()
        term.backward()
        optimizer.step()
    assert seen[-1] < seen[0] / 100
    model.eval()(x)
    assert model.penalties() == {}


def test_cgc_is_its_equations() -> None:
    model = CGC(partial(BatchedExperts, features=5, widths=(3,)), _heads(3), 5, common=2, own=3).double()
    x = torch.randn(7, 5, dtype=torch.double)
    outputs = model(x)
    for task in TASKS:
        answers = [_by_hand(model.apart[task], e, x) for e in range(3)] + [
            _by_hand(model.common, e, x) for e in range(2)
        ]
        gate = torch.softmax(model.selectors[task](x), 1)
        mixture = torch.einsum("ne,end->nd", gate, torch.stack(answers))
        torch.testing.assert_close(outputs[task], model.heads[task](mixture), rtol=0, atol=1e-14)


def _ple(levels: int = 3) -> PLE:
    groups = [partial(BatchedExperts, features=width, widths=(4,)) for width in (5, *[4] * (levels - 1))]
    return PLE(groups, _heads(4), 5, common=2, own=1).double()


def test_ple_is_its_equations_with_the_common_gate() -> None:
    model, x = _ple(), torch.randn(7, 5, dtype=torch.double)
    own, common = dict.fromkeys(TASKS, x), x
    for level in range(3):
        of_common = [_by_hand(model.common[level], e, common) for e in range(2)]
        of_task = {task: _by_hand(model.apart[level][task], 0, own[task]) for task in TASKS}
        gates = {task: torch.softmax(model.selectors[level][task](own[task]), 1) for task in TASKS}
        own = {
            task: torch.einsum("ne,end->nd", gates[task], torch.stack([of_task[task], *of_common])) for task in TASKS
        }
        if level < 2:
            gate = torch.softmax(model.common_selectors[level](common), 1)
            common = torch.einsum("ne,end->nd", gate, torch.stack([*of_task.values(), *of_common]))
    for task, output in model(x).items():
        torch.testing.assert_close(output, model.heads[task](own[task]), rtol=0, atol=1e-14)
    assert len(model.common_selectors) == 2


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_what_ple_gives_to_one_task_no_other_reaches(levels: int) -> None:
    model, x = _ple(levels), torch.randn(7, 5, dtype=torch.double)
    reached = {}
    for task in TASKS:
        found = torch.autograd.grad(model(x)[task].sum(), [*model.parameters()], allow_unused=True)
        reached[task] = {id(p) for p, g in zip(model.parameters(), found, strict=True) if g is not None}
    for task in TASKS:
        alone = reached[task].difference(*(reached[other] for other in TASKS if other != task))
        assert {id(p) for p in model.task_parameters(task)} == alone


def test_ple_of_one_level_is_cgc() -> None:
    model, x = _ple(1), torch.randn(7, 5, dtype=torch.double)
    same = CGC(partial(BatchedExperts, features=5, widths=(4,)), _heads(4), 5, common=2, own=1).double()
    with torch.no_grad():
        for p, q in zip(same.common.parameters(), model.common[0].parameters(), strict=True):
            p.copy_(q)
        for task in TASKS:
            same.heads[task].load_state_dict(model.heads[task].state_dict())
            same.apart[task].load_state_dict(model.apart[0][task].state_dict())
            same.selectors[task].load_state_dict(model.selectors[0][task].state_dict())
    for task in TASKS:
        torch.testing.assert_close(model(x)[task], same(x)[task], rtol=0, atol=1e-14)


def test_smooth_step_is_the_cubic_that_meets_zero_and_one_flat() -> None:
    for width in (0.5, 1.0, 4.0):
        t = torch.linspace(-width, width, 81, dtype=torch.double, requires_grad=True)
        value, x = smooth_step(t, width), t.detach()
        cubic = -2 / width**3 * x**3 + 3 / (2 * width) * x + 0.5
        wanted = torch.where(x <= -width / 2, 0.0, torch.where(x >= width / 2, 1.0, cubic))
        torch.testing.assert_close(value.detach(), wanted, rtol=0, atol=1e-14)
        (slope,) = torch.autograd.grad(value.sum(), t)
        torch.testing.assert_close(slope[x.abs() >= width / 2], torch.zeros_like(slope[x.abs() >= width / 2]))


def test_a_code_selects_by_its_binary_digits() -> None:
    digits = torch.tensor([[bool(e >> j & 1) for j in range(3)] for e in range(8)])
    s = torch.rand(3, dtype=torch.double)
    codes = torch.tensor([_inverse(float(value)) for value in s], dtype=torch.double)
    wanted = [np.prod([s[j] if e >> j & 1 else 1 - s[j] for j in range(3)]) for e in range(8)]
    np.testing.assert_allclose(selection(codes, digits).numpy(), wanted, atol=1e-10)
    for e in range(8):
        corner = torch.where(digits[e], 0.5, -0.5)
        assert selection(corner, digits).tolist() == [float(i == e) for i in range(8)]


def _inverse(value: float) -> float:
    low, high = -0.5, 0.5
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if smooth_step(torch.tensor(middle, dtype=torch.double)) < value else (low, middle)
    return low


@pytest.mark.parametrize("features", [None, 5])
def test_dselect_k_mixes_what_its_selectors_choose(features: int | None) -> None:
    model = DSelectK(BatchedExperts(4, 5, (3,)), _heads(3), k=2, features=features).double()
    x = torch.randn(7, 5, dtype=torch.double)
    outputs = model(x)
    for task in TASKS:
        codes, weights = model.selectors[task](x)
        chosen = selection(codes, model.digits)
        gate = torch.einsum("...i,...ie->...e", weights.softmax(-1), chosen).expand(7, 4)
        mixture = sum(gate[:, [e]] * _by_hand(model.experts, e, x) for e in range(4))
        torch.testing.assert_close(outputs[task], model.heads[task](mixture), rtol=0, atol=1e-14)


@pytest.mark.parametrize("count", [4, 5])
def test_the_entropy_drives_every_selector_to_one_expert_that_exists(count: int) -> None:
    model = DSelectK(BatchedExperts(count, 5, (3,)), _heads(3), k=2, entropy=1.0)
    optimizer = torch.optim.Adam(model.selectors.parameters(), 0.02)
    for _ in range(150):
        model(torch.randn(4, 5))
        optimizer.zero_grad()
        model.penalties()["entropy"].backward()
        optimizer.step()
    for task in TASKS:
        chosen = selection(model.selectors[task](torch.randn(4, 5))[0], model.digits)
        assert sorted(chosen.flatten().unique().tolist()) == [0.0, 1.0]
        assert chosen.sum(-1).tolist() == [1.0, 1.0]


def test_undecided_is_the_entropy_and_the_reach() -> None:
    r = torch.tensor([[0.25, 0.25, 0.25], [0.5, 0.5, 0.0]], dtype=torch.double)
    entropy = -0.75 * np.log(0.25) - np.log(0.5)
    assert undecided(r, whole=True).item() == pytest.approx(entropy)
    assert undecided(r, whole=False).item() == pytest.approx(entropy + 1 / 0.75 + 1)


def test_experts_are_balanced_as_shared_parameters() -> None:
    model, x = MMoE(BatchedExperts(4, 5, (3,)), _heads(3), 5).double(), torch.randn(7, 5, dtype=torch.double)
    losses = {task: output.square().mean() for task, output in model(x).items()}
    wanted = torch.autograd.grad(sum(losses.values()), model.shared_parameters())
    losses = {task: output.square().mean() for task, output in model(x).items()}
    heads = {task: model.task_parameters(task) for task in TASKS}
    backward(losses, Sum(), shared=model.shared_parameters(), heads=heads)
    for parameter, gradient in zip(model.shared_parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: BatchedExperts(0, 5, (3,)), "count=0"),
        (lambda: BatchedExperts(2, 5, ()), "at least one expert, one feature and one layer"),
        (lambda: Experts([], 3), "expected at least one module"),
        (lambda: DSelectK(BatchedExperts(2, 5, (3,)), _heads(3), k=0), "k=0"),
        (lambda: MMoE(BatchedExperts(2, 5, (3,)), {}, 5), "there is no head"),
    ],
)
def test_bad_input_is_refused(make: object, told: str) -> None:
    with pytest.raises(InputError, match=told):
        make()  # type: ignore[operator]


def test_a_gate_for_all_rows_is_one_mixture() -> None:
    answers = torch.randn(5, 3, 2)
    torch.testing.assert_close(
        mixed(torch.tensor([0.2, 0.3, 0.5]), answers), torch.einsum("e,neo->no", torch.tensor([0.2, 0.3, 0.5]), answers)
    )
