"""Every step of `fit` against a loop written by hand on the same batches, with the methods' own mathematics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from tests.train_cases import NAMES, TASKS, loader, losses_by_hand, near, nulls, table
from tests.train_cases import net as single
from torch import Tensor, nn
from torch.func import functional_call

from relatask.balance import Equal, PCGrad, backward
from relatask.balance.loops import auto_lambda, forum, modo, moml, sdmgrad
from relatask.data.tensors import Columns, Loader
from relatask.nets import HardSharing, SharedPrivate
from relatask.notices import InputError
from relatask.relations import Pairwise
from relatask.tasks import Task
from relatask.train import (
    FORUM,
    MOML,
    Adversarial,
    Alternating,
    AutoLambda,
    Balanced,
    MoDo,
    SDMGrad,
    Step,
    fit,
)
from relatask.train.update import Updates

LR, EPOCHS = 0.05, 2


def net(**how: Any) -> HardSharing:
    """The net in double precision, so that what is compared is the method and not the rounding."""
    return single(**how).double()


SGD = partial(torch.optim.SGD)


def trained(step: Step, model: HardSharing | None = None, holes: bool = False, **how: Any) -> HardSharing:
    """What fit makes of the net, by plain gradient steps."""
    model = net() if model is None else model
    fit(
        model,
        TASKS,
        loader(holes=holes),
        how.pop("valid", None),
        step=step,
        optimizer=SGD,
        lr=LR,
        epochs=EPOCHS,
        **how,
    )
    return model.train()


def batches(holes: bool = False) -> Iterator[Any]:
    """The batches that fit sees."""
    data = loader(holes=holes)
    for epoch in range(EPOCHS):
        yield from data.epoch(epoch)


def descend(model: nn.Module, gradients: Sequence[Tensor | None], parameters: Sequence[Tensor] | None = None) -> None:
    """A plain gradient step."""
    with torch.no_grad():
        for p, g in zip(model.parameters() if parameters is None else parameters, gradients, strict=True):
            if g is not None:
                p -= LR * g


@pytest.mark.parametrize("holes", [False, True])
def test_equal_weights_are_the_plain_loop(holes: bool) -> None:
    model, scales = net(), nulls(loader(holes=holes))
    for batch in batches(holes):
        total = torch.stack(list(losses_by_hand(model, batch, scales).values())).mean()
        descend(model, torch.autograd.grad(total, list(model.parameters())))
    assert near(trained(Balanced(), holes=holes), model)


def test_without_normalisation_losses_are_as_they_are() -> None:
    model = net()
    for batch in batches():
        total = torch.stack(list(losses_by_hand(model, batch, dict.fromkeys(NAMES, 1.0)).values())).mean()
        descend(model, torch.autograd.grad(total, list(model.parameters())))
    assert near(trained(Balanced(), normalize=False), model)


def test_a_balanced_step_is_backward() -> None:
    model, scales, balancer = net(), nulls(loader(holes=False)), PCGrad()
    for batch in batches():
        losses = {str(task): loss for task, loss in losses_by_hand(model, batch, scales).items()}
        model.zero_grad()
        backward(losses, balancer, shared=model.encoder, heads={str(t): model.heads[t] for t in NAMES})
        descend(model, [p.grad for p in model.parameters()])
    assert near(trained(Balanced(PCGrad())), model)


def by_loop(step: Callable[..., Any], draws: int) -> HardSharing:
    """Two or three batches a step: the shared gradient is the loop's, the heads' their own."""
    model, scales, w = net(), nulls(loader(holes=False)), np.full(3, 1 / 3)
    shared = list(model.encoder.parameters())
    held: list[Any] = []
    for epoch in range(EPOCHS):
        held = []
        for batch in loader(holes=False).epoch(epoch):
            held.append(batch)
            if len(held) < draws:
                continue
            losses = [torch.stack([losses_by_hand(model, b, scales)[task] for task in NAMES]) for b in held]
            done, held = step(losses, shared, w), []
            w = done.weights
            used = losses[2:] or losses
            heads = [p for task in NAMES for p in model.heads[task].parameters()]
            own = torch.autograd.grad(torch.stack([found.sum() for found in used]).mean(), heads)
            descend(model, [*done.gradients, *own], [*shared, *heads])
    return model


@pytest.mark.parametrize("draws", [2, 3])
def test_modo_and_sdmgrad_are_their_loops(draws: int) -> None:
    hand = by_loop(partial(modo, gamma=0.01, rho=0.2), draws)
    assert near(trained(MoDo(draws, gamma=0.01, rho=0.2)), hand)
    preference = [3.0, 1.0, 2.0]
    hand = by_loop(partial(sdmgrad, lambda_=0.5, steps=5, preference=preference), draws)
    assert near(trained(SDMGrad(draws, lambda_=0.5, steps=5, preference=preference)), hand)


def stream(data: Any) -> Iterator[Any]:
    """Validation batches, epoch after epoch."""
    epoch = 0
    while True:
        yield from data.epoch(epoch)
        epoch += 1


class ByHand:
    """Adam in numbers (Kingma and Ba 2015), and losses as functions of the parameters."""

    def __init__(self, lr: float) -> None:
        self.lr, self.m, self.v, self.n = lr, np.zeros(3), np.zeros(3), 0

    def adam(self, gradient: Tensor) -> np.ndarray:
        g = gradient.detach().double().numpy()
        self.n += 1
        self.m, self.v = 0.9 * self.m + 0.1 * g, 0.999 * self.v + 0.001 * g**2
        m, v = self.m / (1 - 0.9**self.n), self.v / (1 - 0.999**self.n)
        result: np.ndarray = self.lr * m / (np.sqrt(v) + 1e-8)
        return result

    def of(self, model: HardSharing, batch: Any, scales: Any) -> Callable[[Sequence[Tensor]], Tensor]:
        names = [name for name, _ in model.named_parameters()]

        def losses(parameters: Sequence[Tensor]) -> Tensor:
            def call(x: Tensor) -> Any:
                return functional_call(model, dict(zip(names, parameters, strict=True)), (x,))

            return torch.stack([losses_by_hand(call, batch, scales)[task] for task in NAMES])

        return losses


VALID = partial(loader, 60, 20, 5, False)


def test_auto_lambda_is_its_loop() -> None:
    model, scales, hand, w = net(), nulls(loader(holes=False)), ByHand(0.02), np.full(3, 0.3)
    for batch, held in zip(batches(), stream(VALID()), strict=False):
        p = list(model.parameters())
        training, judged = hand.of(model, batch, scales), hand.of(model, held, scales)
        primary = [0, 2]
        slope = auto_lambda(training, lambda q, f=judged, some=primary: f(q)[some].sum(), p, torch.tensor(w), lr=LR)
        w = np.maximum(w - hand.adam(slope), 0)
        descend(model, torch.autograd.grad(training(p) @ torch.tensor(w, dtype=torch.float64), p))
    step = AutoLambda(["price", "PM2.5"], meta_lr=0.02, start=0.3)
    assert near(trained(step, valid=VALID()), model)
    assert np.allclose(step.logits.numpy(), w, atol=1e-9)


def weights_of(alpha: Tensor) -> Tensor:
    return 3 * alpha.softmax(0)


def test_moml_is_its_loop() -> None:
    model, scales, hand, alpha = net(), nulls(loader(holes=False)), ByHand(0.05), np.zeros(3)
    for batch, held in zip(batches(), stream(VALID()), strict=False):
        p = list(model.parameters())
        f, F = hand.of(model, batch, scales), hand.of(model, held, scales)
        now = torch.tensor(alpha, dtype=torch.float64)
        done = moml(lambda q, v, f=f: f(q) @ weights_of(v[0]), lambda q, v, F=F: F(q), p, [now], lr=0.1, steps=2)
        alpha = alpha - hand.adam(done.variables[0])
        w = weights_of(torch.tensor(alpha))
        descend(model, torch.autograd.grad(f(p) @ w, p))
    step = MOML(steps=2, inner_lr=0.1, meta_lr=0.05)
    assert near(trained(step, valid=VALID()), model)
    assert np.allclose(step.logits.numpy(), alpha, atol=1e-9)


def test_forum_is_its_loop() -> None:
    model, scales, hand, alpha = net(), nulls(loader(holes=False)), ByHand(0.05), np.zeros(3)
    averaged = np.full(3, 1 / 3)
    for k, (batch, held) in enumerate(zip(batches(), stream(VALID()), strict=False)):
        p = list(model.parameters())
        f, F = hand.of(model, batch, scales), hand.of(model, held, scales)
        done = forum(
            lambda q, v, f=f: f(q) @ weights_of(v[0]),
            lambda q, v, F=F: F(q),
            p,
            [torch.tensor(alpha, dtype=torch.float64)],
            averaged,
            lr=0.1,
            steps=3,
            rho=0.3,
            beta=(k + 1) ** -0.75,
        )
        averaged = done.weights
        alpha = alpha - hand.adam(done.variables[0])
        descend(model, done.parameters)
    step = FORUM(steps=3, inner_lr=0.1, rho=0.3, meta_lr=0.05)
    assert near(trained(step, valid=VALID()), model)
    assert np.allclose(step.averaged.numpy(), averaged, atol=1e-9)


def test_tasks_in_turn_count_the_penalty_once_in_t_steps() -> None:
    """Article B: three tasks in turn, a pairwise penalty on the heads."""
    relation = Pairwise(0.1)
    model, scales = net(relation=relation), nulls(loader(holes=False))
    for turn, batch in enumerate(batches()):
        loss = losses_by_hand(model, batch, scales)[NAMES[turn % 3]]
        penalty = relation.value(torch.cat([model.heads[task].weight for task in NAMES]))
        found = torch.autograd.grad(loss + penalty / 3, list(model.parameters()), allow_unused=True)
        descend(model, found)
    assert near(trained(Alternating(), net(relation=relation)), model)


def test_a_task_without_labels_costs_nobody_a_turn() -> None:
    seen: list[Any] = []

    class Look:
        def on_step(self, run: Any) -> None:
            seen.append(run.losses.active)

    data = loader(96, 16)
    data.sources[0].y["price"][:] = torch.nan
    data.sources[0].y["price"][data.plan(0)[0][0][1]] = torch.arange(16.0)  # labels in the first batch only
    fit(net(), TASKS, data, step=Alternating(), epochs=2, callbacks=[Look()])
    assert [active[0] for active in seen[:6]] == ["price", "sold", "PM2.5", "sold", "PM2.5", "sold"]


def test_a_random_turn_visits_all_tasks() -> None:
    seen: list[Any] = []

    class Look:
        def on_step(self, run: Any) -> None:
            seen.append(run.losses.active[0])

    fit(net(), TASKS, loader(160, 8), step=Alternating("random", seed=1), epochs=2, callbacks=[Look()])
    shares = [seen.count(task) / len(seen) for task in NAMES]
    assert len(seen) == 40
    assert min(shares) > 0.15


def adversary() -> tuple[SharedPrivate, list[Any]]:
    from relatask.data.tensors import Columns
    from relatask.tasks import Task

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    tasks = ("books", "music")
    sources = [
        Columns((rng.normal(size=(24, 3)) + k).astype("float32"), {name: rng.normal(size=24).astype("float32")})
        for k, name in enumerate(tasks)
    ]
    private: dict[Any, nn.Module] = {name: nn.Linear(3, 2) for name in tasks}
    heads: dict[Any, nn.Module] = {name: nn.Linear(6, 1) for name in tasks}
    model = SharedPrivate(nn.Linear(3, 4), private, heads, 4, adversary=0.3)
    return model.double(), [[Task(name) for name in tasks], sources]


def test_a_discriminator_in_turn_takes_its_own_steps_first() -> None:
    from relatask.data.tensors import Loader

    model, (tasks, sources) = adversary()
    data = Loader(sources, 8)
    fit(model, tasks, data, step=Adversarial(turns=2, lr=0.01), optimizer=SGD, lr=LR, epochs=1, normalize=False)

    hand, _ = adversary()
    assert hand.discriminator is not None
    moves = torch.optim.Adam(hand.discriminator.parameters(), lr=0.01)
    own = {id(p) for p in hand.discriminator.parameters()}
    for batch in data.epoch(0):
        for turn in range(3):
            hand.zero_grad()
            losses = []
            for part in batch:
                ((name, y),) = part.y.items()
                losses.append((hand(part.x.double(), (name,))[name][:, 0] - y).square().mean())
            penalty = hand.penalties()["adversary"]
            if turn < 2:
                penalty.backward()
                moves.step()
                continue
            (torch.stack(losses).mean() + penalty).backward()
            rest = [p for p in hand.parameters() if id(p) not in own]
            descend(hand, [p.grad for p in rest], rest)
    assert near(model, hand)


@pytest.mark.parametrize("step", [MoDo(), AutoLambda(), MOML(), FORUM(steps=2), Alternating()])
def test_tasks_may_be_absent_from_batches(step: Step) -> None:
    """Batches of four rows, in which a task often has no label."""
    model = net(dropout=0.3)
    data = loader(40, 4)
    fit(model, TASKS, data, loader(20, 4, 1), step=step, epochs=2, lr=1e-3)
    assert all(p.isfinite().all() for p in model.parameters())
    assert not near(model, net())


def test_dropout_is_the_same_on_both_sides_of_a_difference() -> None:
    """AutoLambda's difference of losses would be the masks' noise, divided by a hundredth."""

    def weights(dropout: float) -> np.ndarray:
        step = AutoLambda(meta_lr=0.01)
        fit(net(dropout=dropout), TASKS, loader(holes=False), VALID(), step=step, epochs=1, lr=0.01)
        return np.asarray(step.moments.square.numpy())

    assert weights(0.5).max() < 100 * weights(0.0).max()


def test_steps_refuse_what_they_cannot_do() -> None:
    with pytest.raises(InputError, match="takes 2 batches a step, or 3"):
        MoDo(4)
    with pytest.raises(InputError, match="learns from validation batches, and valid is None"):
        fit(net(), TASKS, loader(), step=MOML())
    with pytest.raises(InputError, match="'rent' is no task; primary are some of 'price', 'sold'"):
        fit(net(), TASKS, loader(), step=AutoLambda(["rent"], held_out="train"))
    with pytest.raises(InputError, match="epoch 0 has 2 batches, and SDMGrad needs 3 for a step"):
        fit(net(), TASKS, loader(40, 20), step=SDMGrad())
    with pytest.raises(InputError, match="accumulate=2: MoDo takes 3 batches of its own"):
        fit(net(), TASKS, loader(), step=MoDo(), accumulate=2)
    with pytest.raises(InputError, match="HardSharing has no discriminator"):
        fit(net(), TASKS, loader(), step=Adversarial())
    with pytest.raises(InputError, match=r"step is PCGrad.*give a Step, for example Balanced\(PCGrad"):
        fit(net(), TASKS, loader(), step=PCGrad())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Alternating: order"):
        Alternating("backwards")  # type: ignore[arg-type]
    assert isinstance(Balanced().balancer, Equal)


@pytest.mark.parametrize("step", [MOML(), AutoLambda()])
def test_a_task_without_held_out_labels_is_trained(step: Step) -> None:
    """It says nothing about the weights, and has one as the others do."""
    X, y = table(60, 1)
    y["sold"] = np.full_like(y["sold"], np.nan)
    model = net()
    before = model.heads["sold"].weight.detach().clone()
    fit(model, TASKS, loader(holes=False), Loader(Columns(X, y), 20), step=step, optimizer=SGD, epochs=1, lr=LR)
    assert (model.heads["sold"].weight - before).abs().max() > 1e-3


def test_a_batch_without_gradients_does_not_trouble_the_scaler() -> None:
    parameter = nn.Parameter(torch.ones(2))
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    update = Updates(torch.optim.SGD([parameter], lr=1.0), scaler=scaler)
    update()
    scaler.scale(parameter.sum()).backward()
    update()
    update()
    assert parameter.tolist() == [0.0, 0.0]
    assert scaler.get_scale() == 4.0


@pytest.mark.parametrize("normalize", [True, False])
def test_what_has_no_null_loss_is_watched_by_its_first_epoch(normalize: bool) -> None:
    """Also where what is trained is not normalised: else its delta, in units of its own, would choose the epoch."""
    tasks = [Task("price", loss=lambda output, target: 1e6 * (output[:, 0] - target) ** 2), *TASKS[1:]]
    trained = fit(single(), tasks, loader(), loader(40, 20, 1), epochs=1, lr=1e-6, normalize=normalize)
    delta = next(r["value"] for r in trained.history if r["metric"] == "delta" and r["task"] == "price")
    assert abs(delta) < 1


def test_without_a_best_epoch_the_last_is_told() -> None:
    """What is watched is never a number: the weights are those of the last epoch."""
    trained = fit(single(), TASKS, loader(), loader(40, 20, 1), epochs=3, monitor=lambda values: float("nan"))
    assert trained.best_epoch == 2


@pytest.mark.parametrize("step", [MOML(), AutoLambda(), FORUM()])
def test_a_schedule_may_begin_at_nothing(step: Step) -> None:
    """A look ahead of no length tells nothing; the steps after it do."""
    model = net()
    warm = partial(torch.optim.lr_scheduler.LambdaLR, lr_lambda=lambda k: min(1.0, k / 3))
    fit(model, TASKS, loader(), loader(40, 20, 1), step=step, optimizer=SGD, epochs=2, lr=LR, schedule=warm)
    assert not near(model, net(), 1e-4)
    assert not bool((step.logits == step.logits[0]).all())
