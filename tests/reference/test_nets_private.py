"""Shared and private encoders, and modalities: against gradients by hand and fusions in einsum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from relatask.balance import PCGrad, backward
from relatask.nets import Modalities, SharedPrivate, reverse_gradient
from relatask.nets.shared_private import repetition
from relatask.notices import InputError

TASKS = ("a", "b", "c")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def _private(adversary: float = 0.0, orthogonality: float = 0.0) -> SharedPrivate:
    private = {task: nn.Linear(5, 3) for task in TASKS}
    heads = {task: nn.Linear(7, 1) for task in TASKS}
    shared = nn.Sequential(nn.Linear(5, 4), nn.Tanh())
    return SharedPrivate(shared, private, heads, 4, adversary, orthogonality).double()


def test_reversal_turns_the_gradient_round() -> None:
    x = torch.randn(3, 4, dtype=torch.double, requires_grad=True)
    assert torch.equal(reverse_gradient(x, 0.3), x)
    weight = torch.randn(3, 4, dtype=torch.double)
    (gradient,) = torch.autograd.grad((reverse_gradient(x, 0.3).square() * weight).sum(), x)
    torch.testing.assert_close(gradient, -0.3 * 2 * x * weight)


def test_heads_read_what_is_shared_beside_what_is_their_own() -> None:
    model, x = _private(), torch.randn(7, 5, dtype=torch.double)
    for task, output in model(x).items():
        read = torch.cat([model.shared(x), model.private[task](x)], 1)
        torch.testing.assert_close(output, model.heads[task](read))


def test_the_discriminator_learns_what_the_encoder_unlearns() -> None:
    model, x = _private(adversary=0.3), torch.randn(7, 5, dtype=torch.double)
    parameters = [*model.shared.parameters(), *model.discriminator.parameters()]
    plain = cross_entropy(model.discriminator(model.shared(x)), torch.full((7,), 1))
    wanted = torch.autograd.grad(plain, parameters)
    model(x, ("b",))
    penalty = model.penalties()["adversary"]
    assert penalty.item() == pytest.approx(plain.item(), rel=1e-12)
    found = torch.autograd.grad(penalty, parameters)
    for k, (one, other) in enumerate(zip(found, wanted, strict=True)):
        torch.testing.assert_close(one, other * (-0.3 if k < 2 else 1.0))


def test_a_batch_of_every_task_has_the_mean_of_the_parts() -> None:
    model, parts = _private(adversary=0.3), [torch.randn(n, 5, dtype=torch.double) for n in (7, 3, 5)]
    alone = []
    for x, task in zip(parts, TASKS, strict=True):
        model(x, (task,))
        alone.append(model.penalties()["adversary"].item())
    for x, task in zip(parts, TASKS, strict=True):
        model(x, (task,))
    assert model.penalties()["adversary"].item() == pytest.approx(np.mean(alone))


def test_orthogonality_is_the_squared_norm_of_the_products() -> None:
    model, x = _private(orthogonality=0.2), torch.randn(7, 5, dtype=torch.double)
    model(x)
    S = model.shared(x).detach().numpy()
    P = [model.private[task](x).detach().numpy() for task in TASKS]
    wanted = 0.2 * sum(np.linalg.norm(S.T @ p / 7) ** 2 for p in P)
    assert model.penalties()["orthogonality"].item() == pytest.approx(wanted, rel=1e-12)
    assert repetition(x, x).item() == pytest.approx(repetition(torch.cat([x, x]), torch.cat([x, x])).item())


def test_gradients_of_tasks_are_balanced_beside_the_adversary() -> None:
    """The discriminator is in no task's gradient, and gets its own all the same; nothing warns."""
    model = _private(adversary=0.3, orthogonality=0.1)
    losses = {task: model(torch.randn(7, 5, dtype=torch.double), (task,))[task].square().mean() for task in TASKS}
    heads = {task: model.task_parameters(task) for task in TASKS}
    extra = sum(model.penalties().values())
    backward(losses, PCGrad(), shared=model.shared_parameters(), heads=heads, extra=extra)
    assert all(p.grad is not None for p in model.parameters())


def test_an_adversary_wants_rows_of_one_task() -> None:
    model = _private(adversary=0.3)
    with pytest.raises(InputError, match="these rows belong to 3 tasks; give each task its own data"):
        model(torch.zeros(2, 5, dtype=torch.double))
    assert len(model.eval()(torch.zeros(2, 5, dtype=torch.double))) == 3


def test_unlike_tasks_are_refused() -> None:
    encoder = {"a": nn.Linear(5, 3)}
    with pytest.raises(InputError, match="task 'b' has not both"):
        SharedPrivate(nn.Linear(5, 4), encoder, {"a": nn.Linear(7, 1), "b": nn.Linear(7, 1)}, 4)
    with pytest.raises(InputError, match="both must be >= 0"):
        SharedPrivate(nn.Linear(5, 4), encoder, {"a": nn.Linear(7, 1)}, 4, adversary=-1)


def _modal(fusion: str, dropout: float = 0.0) -> Modalities:
    encoders = {"sound": nn.Linear(4, 3), "picture": nn.Sequential(nn.Flatten(), nn.Linear(6, 3))}
    width = 6 if fusion == "concat" else 3
    return Modalities(encoders, {"digit": nn.Linear(width, 2)}, 3, fusion, dropout).double()  # type: ignore[arg-type]


def _rows(n: int = 5) -> dict[str, Tensor]:
    return {"sound": torch.randn(n, 4, dtype=torch.double), "picture": torch.randn(n, 2, 3, dtype=torch.double)}


FUSED: dict[str, Callable[[Modalities, Tensor], Tensor]] = {
    "concat": lambda model, h: torch.einsum("mnw->nmw", h).reshape(h.shape[1], -1),
    "mean": lambda model, h: torch.einsum("mnw->nw", h) / len(h),
    "attention": lambda model, h: torch.einsum("mn,mnw->nw", model.score(h)[..., 0].softmax(0), h),
    "gated": lambda model, h: torch.einsum(
        "nmw,mnw->nw", model.score(torch.cat([*h], 1)).sigmoid().reshape(h.shape[1], 2, 3), h
    ),
}


@pytest.mark.parametrize("fusion", FUSED)
def test_fusions_are_their_formulas(fusion: str) -> None:
    model, x = _modal(fusion), _rows()
    h = torch.stack([model.encoders["sound"](x["sound"]), model.encoders["picture"](x["picture"])])
    torch.testing.assert_close(model(x)["digit"], model.heads["digit"](FUSED[fusion](model, h)))


@pytest.mark.parametrize("fusion", FUSED)
def test_what_is_missing_is_its_placeholder(fusion: str) -> None:
    model, x = _modal(fusion), _rows()
    wanted = model({"sound": x["sound"]})["digit"]
    h = torch.stack([model.encoders["sound"](x["sound"]), model.placeholders[1].expand(5, 3)])
    torch.testing.assert_close(wanted, model.heads["digit"](FUSED[fusion](model, h)))
    gone = {**x, "picture": torch.full_like(x["picture"], torch.nan)}
    torch.testing.assert_close(model(gone)["digit"], wanted)
    some = {**x, "picture": torch.where(torch.arange(5)[:, None, None] < 2, torch.nan, x["picture"])}
    found = model(some)["digit"]
    torch.testing.assert_close(found[:2], wanted[:2])
    torch.testing.assert_close(found[2:], model(x)["digit"][2:])
    found.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    assert model.placeholders.grad[1].abs().sum() > 0


def test_rows_that_lack_a_modality_are_not_shown_to_its_encoder() -> None:
    seen: list[int] = []

    class Words(nn.Module):
        def forward(self, rows: list[str]) -> Tensor:
            seen.append(len(rows))
            return torch.tensor([[float(len(row))] * 3 for row in rows])

    model = Modalities({"text": Words(), "age": nn.Linear(1, 3)}, {"task": nn.Linear(3, 1)}, 3, "mean")
    model({"text": ["one", None, "three"], "age": torch.zeros(3, 1)})
    assert seen == [2]


def test_dropped_modalities_never_leave_a_row_with_nothing() -> None:
    model, x = _modal("concat", dropout=0.9), _rows(400)
    x["picture"][:100] = torch.nan
    model(x)
    parts = model.representation.unflatten(1, (2, 3))
    placed = (parts == model.placeholders).all(-1)
    assert not placed.all(1).any()
    assert not placed[:100, 0].any()
    share = placed[100:].double().mean()
    # a row keeps both where both were drawn to go: .9 * (1 - .9) of each alone
    assert share.item() == pytest.approx(0.09, abs=0.03)
    model.eval()(x)
    assert not (model.representation.unflatten(1, (2, 3))[100:] == model.placeholders).all(-1).any()


def test_where_all_are_there_a_placeholder_gets_a_gradient_of_zero() -> None:
    model = _modal("gated")
    model(_rows())["digit"].sum().backward()
    assert model.placeholders.grad.abs().sum() == 0


@pytest.mark.parametrize(
    ("x", "told"),
    [
        ({"smell": torch.zeros(2, 4)}, "x has 'smell'; expected some of 'sound', 'picture'"),
        ({}, "x has no modality"),
        ({"sound": torch.zeros(2, 4), "picture": torch.zeros(3, 2, 3)}, "'sound' 2, 'picture' 3"),
    ],
)
def test_bad_modalities_are_refused(x: dict[str, Tensor], told: str) -> None:
    with pytest.raises(InputError, match=told):
        _modal("mean")(x)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InputError, match="'concat', 'mean', 'attention', 'gated'"):
        _modal("sum")
    with pytest.raises(InputError, match="dropout=1"):
        _modal("mean", dropout=1)
