"""Laws of every way of sharing: what it gives, whose parameters are whose, and who gets which gradient."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call

from relatask.balance import MGDA, Balancer, Equal, GradDrop, PCGrad, UPGrad, backward
from relatask.nets import Model, registry
from relatask.notices import InputError

KINDS = sorted(registry())
TASKS: tuple[Hashable, ...] = ("PM2.5", ("b", 1), 3)
BALANCERS = (Equal, PCGrad, GradDrop, MGDA)
LATER = {"Modalities": ("placeholders",)}
"""What learns only from rows that the examples here do not have: those without a modality."""

many = pytest.mark.parametrize("kind", KINDS)


def made(kind: str, tasks: Sequence[Hashable] = TASKS, features: int = 4, seed: int = 0) -> Model:
    """An example at a point like any other: its parameters are moved off the zeros and ones of a start."""
    torch.manual_seed(seed)
    model = registry()[kind].example(tasks, features).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return model


def inputs(features: int = 4, n: int = 12, seed: int = 1) -> Tensor:
    return torch.randn(n, features, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def losses_of(model: Model, x: Tensor, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Tensor]:
    """Squared losses to targets of their own."""
    torch.manual_seed(5)  # what is random about a pass (noise of gates) is the same in every pass
    return {
        task: (output - (k + 1) * x[:, :1].sin()).square().mean()
        for k, (task, output) in enumerate(model(x, tasks).items())
    }


def rows_of(losses: dict[Hashable, Tensor], parameters: Sequence[Tensor]) -> dict[Hashable, list[Tensor | None]]:
    """Each loss's gradients, by plain autograd: None where it does not reach."""
    return {
        task: list(torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True))
        for task, loss in losses.items()
    }


def named(model: Model) -> dict[int, str]:
    return {id(parameter): name for name, parameter in model.named_parameters()}


@many
@given(
    tasks=st.lists(st.one_of(st.text(max_size=3), st.integers(0, 9)), min_size=2, max_size=4, unique=True),
    features=st.integers(1, 5),
    n=st.integers(2, 5),
)
def test_outputs_have_a_row_a_row_under_any_names(kind: str, tasks: list[Hashable], features: int, n: int) -> None:
    model = made(kind, tasks, features)
    for mode in (True, False):
        outputs = model.train(mode)(inputs(features, n))
        assert list(outputs) == tasks
        assert all(output.shape == (n, 1) and bool(output.isfinite().all()) for output in outputs.values())
    assert model.tasks == tuple(tasks)
    assert all(isinstance(name, str) and not gate.requires_grad for name, gate in model.gates().items())


@many
def test_some_tasks_are_given_what_they_are_given_among_all(kind: str) -> None:
    model, x = made(kind).eval(), inputs()
    whole = model(x)
    for asked in ([TASKS[2]], [TASKS[1], TASKS[0]], list(TASKS)):
        outputs = model(x, asked)
        assert list(outputs) == asked
        for task in asked:
            torch.testing.assert_close(outputs[task], whole[task], rtol=1e-12, atol=1e-12)
    with pytest.raises(InputError, match=r"no head for task 'nobody'; it has PM2\.5"):
        model(x, ["nobody"])


@many
def test_every_parameter_has_one_place(kind: str) -> None:
    model = made(kind)
    owned = [id(p) for task in TASKS for p in model.task_parameters(task)]
    aside = [id(p) for module in model.aside() for p in module.parameters()]
    placed = [*owned, *aside, *(id(p) for p in model.shared_parameters())]
    assert len(set(placed)) == len(placed)
    assert set(placed) == {id(p) for p in model.parameters()}
    assert all(set(map(id, model.heads[task].parameters())) & set(placed) for task in TASKS)


@many
def test_what_one_loss_alone_reaches_belongs_to_its_task(kind: str) -> None:
    """Else a gradient method would weigh it by what other tasks' gradients are (or leave it without one)."""
    model = made(kind)
    parameters = list(model.parameters())
    found = rows_of(losses_of(model, inputs()), parameters)
    names = named(model)
    for k, parameter in enumerate(parameters):
        reached = [task for task in TASKS if found[task][k] is not None]
        owners = [task for task in TASKS if any(p is parameter for p in model.task_parameters(task))]
        if owners:
            assert reached == owners, f"{names[id(parameter)]} of {owners} is reached by {reached}"
        elif len(reached) == 1:
            raise AssertionError(f"{names[id(parameter)]}: only {reached} reaches it, and it is not its own")


@many
@pytest.mark.parametrize("balancer", BALANCERS, ids=lambda kind: kind.__name__)
def test_each_parameter_that_should_learn_gets_a_gradient(kind: str, balancer: type[Balancer]) -> None:
    model, x = made(kind), inputs()
    losses = losses_of(model, x)
    names = named(model)
    rows = rows_of(losses, list(model.parameters()))
    done = balanced(model, losses, balancer.example(len(TASKS)))
    common = {id(p) for p in model.shared_parameters()}
    heard = [task for k, task in enumerate(TASKS) if done.weights is None or done.weights[k] > 0]
    assert heard
    for k, parameter in enumerate(model.parameters()):
        name = names[id(parameter)]
        if name in LATER.get(kind, ()):
            continue
        if id(parameter) in common and not any(rows[task][k] is not None for task in heard):
            continue  # MGDA has left out all tasks that it serves
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        assert bool(parameter.grad.any()), name


@many
def test_equal_weights_give_the_gradient_of_the_mean_and_the_penalties(kind: str) -> None:
    model, x = made(kind), inputs()
    whole = torch.stack(list(losses_of(model, x).values())).mean() + summed(model.penalties())
    plain = torch.autograd.grad(whole, list(model.parameters()), allow_unused=True)
    balanced(model, losses_of(model, x), Equal())
    for parameter, expected in zip(model.parameters(), plain, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-10, atol=1e-12)


@many
def test_shared_parameters_get_the_weighted_rows_and_own_ones_their_own(kind: str) -> None:
    model, x = made(kind), inputs()
    losses = losses_of(model, x)
    shared = model.shared_parameters()
    rows = rows_of(losses, list(model.parameters()))
    terms = summed(model.penalties())
    extra = torch.autograd.grad(terms, list(model.parameters()), allow_unused=True) if terms.requires_grad else None
    losses = losses_of(model, x)
    done = balanced(model, losses, UPGrad())
    common = {id(p) for p in shared}
    for k, parameter in enumerate(model.parameters()):
        weights = done.weights if id(parameter) in common and done.weights is not None else torch.ones(len(TASKS))
        expected = torch.zeros_like(parameter)
        for weight, task in zip(weights.tolist(), TASKS, strict=True):
            row = rows[task][k]
            expected = expected if row is None else expected + weight * row
        if extra is not None and extra[k] is not None:
            expected = expected + extra[k]
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-9, atol=1e-11)


@many
@pytest.mark.parametrize("balancer", BALANCERS, ids=lambda kind: kind.__name__)
def test_a_batch_of_one_task_moves_no_other_tasks_own(kind: str, balancer: type[Balancer]) -> None:
    model, x = made(kind), inputs()
    plain = rows_of(losses_of(model, x, [TASKS[0]]), list(model.parameters()))[TASKS[0]]
    terms = summed(model.penalties())
    extra = torch.autograd.grad(terms, list(model.parameters()), allow_unused=True) if terms.requires_grad else None
    balanced(model, losses_of(model, x, [TASKS[0]]), balancer.example(1))
    for k, parameter in enumerate(model.parameters()):
        parts = [g for g in (plain[k], None if extra is None else extra[k]) if g is not None]
        expected = sum(parts, torch.zeros_like(parameter))
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@many
def test_a_task_does_not_hear_of_what_is_anothers_own(kind: str) -> None:
    model, x = made(kind).eval(), inputs()
    before = model(x)
    for task in TASKS:
        own = model.task_parameters(task)
        for parameter in own:
            with torch.no_grad():
                parameter += 0.5
        after = model(x)
        for other in TASKS:
            same = torch.equal(after[other], before[other])
            assert same == (other != task or not own), (task, other)
        before = after


@many
def test_its_state_makes_another_the_same(kind: str) -> None:
    model, other = made(kind, seed=0), made(kind, seed=1)
    x = inputs()
    assert any(not torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    other.load_state_dict(model.state_dict())
    for task, output in model.eval()(x).items():
        torch.testing.assert_close(other.eval()(x)[task], output, rtol=0, atol=0)


@many
def test_parameters_that_stand_in_are_those_it_computes_with(kind: str) -> None:
    """Bilevel steps look at losses at other parameters, and differentiate by them."""
    model, other, x = made(kind, seed=0), made(kind, seed=1), inputs()
    given = {name: value.detach().requires_grad_() for name, value in other.named_parameters()}
    torch.manual_seed(5)
    found = functional_call(model, given, (x,))
    torch.manual_seed(5)
    expected = other(x)
    for task in TASKS:
        torch.testing.assert_close(found[task], expected[task], rtol=1e-12, atol=1e-12)
    whole = sum(output.square().sum() for output in found.values())
    reached = torch.autograd.grad(whole, list(given.values()), allow_unused=True)
    aside = {id(p) for module in model.aside() for p in module.parameters()}
    names = {name for name, p in model.named_parameters() if id(p) not in aside} - set(LATER.get(kind, ()))
    assert {name for name, g in zip(given, reached, strict=True) if g is not None} >= names


@many
def test_double_precision_goes_all_the_way(kind: str) -> None:
    model, x = made(kind).eval(), inputs()
    outputs = model(x)
    assert all(output.dtype == torch.float64 for output in outputs.values())
    assert all(parameter.dtype == torch.float64 for parameter in model.parameters())
    single = model.float()(x.float())
    for task, output in outputs.items():
        torch.testing.assert_close(single[task].double(), output, rtol=1e-4, atol=1e-4)


@many
def test_evaluation_is_the_same_twice_and_leaves_no_penalty(kind: str) -> None:
    model, x = made(kind).eval(), inputs()
    first, second = model(x), model(x)
    assert all(torch.equal(first[task], second[task]) for task in TASKS)
    assert not model.penalties()


@many
def test_penalties_speak_of_the_passes_since_they_were_asked_for(kind: str) -> None:
    model, x = made(kind), inputs()
    once = {name: value.item() for name, value in _penalties(model, x, 1).items()}
    twice = {name: value.item() for name, value in _penalties(model, x, 2).items()}
    assert once == pytest.approx(twice)
    assert not set(model.penalties()) - {"relation"}


@many
def test_the_task_matrix_has_a_row_a_task(kind: str) -> None:
    model = made(kind)
    sizes = {sum(p.numel() for p in model.heads[task].parameters() if p.ndim > 1) for task in TASKS}
    if len(sizes) > 1:
        with pytest.raises(InputError, match=r"different numbers of weights, or none: 'PM2\.5' 6, .* 3 7"):
            model.task_matrix()
        return
    W = model.task_matrix()
    for row, task in zip(W, TASKS, strict=True):
        weights = [p.flatten() for p in model.heads[task].parameters() if p.ndim > 1]
        torch.testing.assert_close(row, torch.cat(weights))


@many
def test_it_learns(kind: str) -> None:
    torch.manual_seed(0)
    model, x = registry()[kind].example(TASKS, 3), inputs(3, 64).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    history = []
    for _ in range(60):
        losses = torch.stack(list(losses_of(model, x).values()))
        optimizer.zero_grad()
        (losses.mean() + summed(model.penalties())).backward()
        optimizer.step()
        history.append(losses.mean().item())
    assert history[-1] < 0.7 * history[0]


def summed(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum() if terms else torch.zeros(())


def balanced(model: Model, losses: dict[Hashable, Tensor], balancer: Balancer):  # type: ignore[no-untyped-def]
    """Balance as `relatask.train.Balanced` does."""
    terms = model.penalties()
    return backward(
        {str(task): loss for task, loss in losses.items()},
        balancer,
        shared=model.shared_parameters(),
        heads={str(task): model.task_parameters(task) for task in losses},
        extra=summed(terms) if terms else None,
        on_idle="allow",
    )


def _penalties(model: Model, x: Tensor, passes: int) -> dict[str, Tensor]:
    for _ in range(passes):
        torch.manual_seed(5)
        model(x)
    return model.penalties()
