"""Laws of the loop: parts of a batch are the batch, the best epoch is the best, what is frozen rests, state packs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.train_cases import NAMES, TASKS, loader, near, net, same, source, table

from relatask.balance import MGDA, Equal, NashMTL, PCGrad, Uncertainty
from relatask.data.tensors import Columns, Loader
from relatask.nets import AITM
from relatask.notices import RelataskWarning
from relatask.tasks import Task
from relatask.train import Balanced, Freeze, Gramians, LearnRelation, fit, losses_of
from relatask.train.losses import LossesOf, Place
from relatask.train.packing import pack, unpack
from relatask.train.update import Updates
from relatask.train.watch import Watch


def end(step: Balanced, size: int, accumulate: int, **how: Any) -> Any:
    """The net after three epochs of 96 rows, plain gradient steps, double precision."""
    model = net().double()
    fit(
        model,
        TASKS,
        Loader(source(96), size, seed=1),
        step=step,
        accumulate=accumulate,
        optimizer=torch.optim.SGD,
        lr=0.05,
        epochs=3,
        device="cpu",
        **how,
    )
    return model


@pytest.mark.parametrize(
    "balancer", [Equal(), Equal("sum"), PCGrad(), MGDA(), Uncertainty(NAMES)], ids=lambda b: type(b).__name__
)
def test_a_batch_in_parts_is_the_batch(balancer: Any) -> None:
    """With missing labels, so that parts have other counts than the whole: means over the labels of all."""
    assert near(end(Balanced(balancer), 12, 8), end(Balanced(type(balancer)(*_again(balancer))), 96, 1), 1e-6)


def _again(balancer: Any) -> tuple[Any, ...]:
    if isinstance(balancer, Equal):
        return (balancer.reduction,)
    return () if balancer.tasks is None else (balancer.tasks,)


@pytest.mark.parametrize("balancer", [Equal(), PCGrad(), Uncertainty(NAMES)], ids=lambda b: type(b).__name__)
def test_a_batch_in_parts_is_the_batch_where_a_part_has_one_task(balancer: Any) -> None:
    """As where every task has rows of its own, and a sampler deals them batches in turn."""
    X, y = table(36, holes=False)
    for k, name in enumerate(NAMES):
        y[name][np.arange(36) // 12 != k] = np.nan
    rows = [Columns(X[i : i + 12], {name: y[name][i : i + 12]}) for i, name in zip((0, 12, 24), NAMES, strict=True)]
    ends = []
    for data, parts in ((Loader(rows, 12, sampler="round_robin"), 3), (Loader(Columns(X, y), 36), 1)):
        step = Balanced(type(balancer)(*_again(balancer)))
        ends.append(net().double())
        fit(ends[-1], TASKS, data, step=step, accumulate=parts, optimizer=torch.optim.SGD, lr=0.05, epochs=3)
    assert near(*ends, 1e-6)


def test_an_attention_funnel_is_trained_by_parts_that_have_one_task() -> None:
    """The penalty of such a part is a constant, and has no gradient."""
    names, rng = ("a", "b"), np.random.default_rng(0)
    rows = [Columns(rng.normal(size=(8, 6)).astype("float32"), {name: np.ones(8, "float32")}) for name in names]
    rows[0].target("a")[:4] = 0
    rows[1].target("b")[:4] = 0
    tasks, data = [Task(name, "binary") for name in names], Loader(rows, 4, sampler="round_robin")
    trained = fit(AITM.example(names, 6), tasks, data, step=Balanced(PCGrad()), accumulate=2, epochs=1)
    assert len(trained.history)


def test_losses_are_means_over_the_labels_of_the_whole_batch() -> None:
    model, (X, y) = net(), table(60)
    batch = next(iter(Loader(Columns(X, y), 60).epoch(0)))
    losses = losses_of(model, TASKS)(batch)
    (part,) = batch
    rows = part.index.numpy()
    output = model(part.x)["price"][:, 0].detach().numpy()
    assert losses.values["price"].item() == pytest.approx(np.nanmean((output - y["price"][rows]) ** 2), rel=1e-5)
    assert losses.labels == {name: float((~np.isnan(y[name])).sum()) for name in NAMES}


def test_where_counts_only_rows_that_hold() -> None:
    X, y = table(60, holes=False)
    model = net()
    tasks = [Task("price", where=("sold", 1.0)), TASKS[1], TASKS[2]]
    batch = next(iter(Loader(Columns(X, y), 60).epoch(0)))
    losses = losses_of(model, tasks)(batch)
    assert losses.labels["price"] == float((y["sold"] == 1).sum())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=12), st.integers(1, 4))
def test_the_best_epoch_is_the_first_of_the_largest(deltas: list[tuple[float, float]], patience: int) -> None:
    seen = np.array(deltas)
    for monitor, values in (("mean_delta", seen.sum(1) / 2), ("worst", seen.min(1)), ("task:b", seen[:, 1])):
        watch = Watch(("a", "b"), monitor, "all", patience)
        for epoch, (a, b) in enumerate(deltas):
            watch.see(epoch, {("a", "delta"): a, ("b", "delta"): b})
        assert watch.best_at == int(np.argmax(values))
        assert watch.best_epoch == {"a": int(np.argmax(seen[:, 0])), "b": int(np.argmax(seen[:, 1]))}
        late = max(watch.best_epoch.values())
        assert (watch.stopped is not None) == (len(deltas) - 1 - late >= patience)
        again = Watch(("a", "b"), monitor, "all", patience)
        again.load(watch.state())
        assert again.state() == watch.state()


def test_a_monitor_may_be_a_function() -> None:
    trained = fit(net(), TASKS, loader(), loader(40, 20, 1), epochs=3, monitor=lambda values: -values["price", "loss"])
    losses = [r["value"] for r in trained.history if (r["split"], r["metric"], r["task"]) == ("valid", "loss", "price")]
    assert trained.best_epoch == int(np.argmin(losses))


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.lists(st.floats(-1, 1), max_size=3).map(torch.tensor),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(
            st.one_of(st.text(max_size=4), st.integers(), st.tuples(st.text(max_size=2))), inner, max_size=3
        ),
    ),
    max_leaves=12,
)


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(alike(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(alike, one, other))
    return type(one) is type(other) and bool(one == other)


@settings(max_examples=100, deadline=None)
@given(TREES)
def test_what_is_packed_is_unpacked(tree: Any) -> None:
    import json

    held: dict[str, torch.Tensor] = {}
    text = json.dumps(pack(tree, held))
    assert alike(unpack(json.loads(text), held), tree)


def test_what_is_frozen_rests_and_is_free_again() -> None:
    model = net()
    before = [p.clone() for p in model.encoder.parameters()]
    fit(model, TASKS, loader(), epochs=2, freeze=["encoder", "sold"], lr=0.1)
    assert all(torch.equal(p, q) for p, q in zip(before, model.encoder.parameters(), strict=True))
    assert same(model.heads["sold"], net().heads["sold"])
    assert not same(model.heads["price"], net().heads["price"])
    assert all(p.requires_grad for p in model.parameters())


def test_freeze_lets_go_at_its_epoch() -> None:
    seen: list[bool] = []

    class Look:
        def on_epoch(self, run: Any) -> None:
            seen.append(same(run.model.encoder, net().encoder))

    fit(net(), TASKS, loader(), epochs=4, callbacks=[Freeze(["encoder"], until=2), Look()], step=Balanced(PCGrad()))
    assert seen == [True, True, False, False]


def test_a_tasks_own_rate_moves_its_own_parameters() -> None:
    model = net()
    fit(model, TASKS, loader(), epochs=1, optimizer=torch.optim.SGD, lr=1e-12, lr_of={"price": 0.1})
    assert not near(model.heads["price"], net().heads["price"], 1e-4)
    assert near(model.heads["sold"], net().heads["sold"], 1e-6)


def test_the_average_is_the_average() -> None:
    """a <- .8 a + .2 p after every update, and it is what is evaluated and comes back."""
    averaged = [p.detach().clone() for p in net().parameters()]

    class Follow:
        def on_step(self, run: Any) -> None:
            for a, p in zip(averaged, run.model.parameters(), strict=True):
                a.mul_(0.8).add_(p.detach(), alpha=0.2)

    model = fit(net(), TASKS, loader(), epochs=2, ema=0.8, callbacks=[Follow()]).model
    assert all(torch.allclose(a, p, atol=1e-6) for a, p in zip(averaged, model.parameters(), strict=True))


def test_gramians_that_are_looked_at_move_nothing() -> None:
    looker = Gramians(2)
    one = fit(net(dropout=0.3, norm=True), TASKS, loader(holes=False), epochs=2, callbacks=[looker]).model
    assert same(one, fit(net(dropout=0.3, norm=True), TASKS, loader(holes=False), epochs=2).model)
    step, tasks, G = looker.found[0]
    assert (step, tasks, G.shape) == (1, NAMES, (3, 3))
    assert torch.linalg.eigvalsh(G).min() > -1e-6 * G.trace()


def test_a_relation_learns_every_so_many_steps() -> None:
    from relatask.relations import LearnedCovariance

    model = net(relation=LearnedCovariance(0.1))
    learned: list[int] = []
    model.learn_more = lambda: learned.append(1)  # type: ignore[method-assign]
    fit(model, TASKS, loader(96, 16), epochs=2, callbacks=[LearnRelation(4)])
    assert len(learned) == 3


def test_the_seed_decides_and_the_generator_is_left_alone() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first = fit(net(dropout=0.5), TASKS, loader(), epochs=2, seed=1).model
    torch.manual_seed(11)
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    assert same(first, fit(net(dropout=0.5), TASKS, loader(), epochs=2, seed=1).model)
    assert not near(first, fit(net(dropout=0.5), TASKS, loader(), epochs=2, seed=2).model, 1e-3)


def test_one_task_that_owns_the_gradient_is_told() -> None:
    tasks = [Task("price", weight=1000.0), TASKS[1], TASKS[2]]
    with pytest.warns(RelataskWarning, match="RT002: task 'price' has 9.% of the gradient norm of what is shared"):
        fit(net(), tasks, loader(160, 8), step=Balanced(PCGrad()), epochs=1)


def test_parameters_that_no_gradient_reaches_are_told() -> None:
    model = net()
    model.encoder.idle = torch.nn.Parameter(torch.zeros(2))  # type: ignore[assignment]
    with pytest.warns(RelataskWarning, match="RT009: no gradient ever reached encoder.idle"):
        fit(model, TASKS, loader(), epochs=1)


def test_batches_without_labels_are_told() -> None:
    X, y = table(160, holes=False)
    y["sold"][8:] = np.nan
    y["sold"][:8] = [0, 1, 0, 1, 0, 1, 0, 1]
    with pytest.warns(
        RelataskWarning, match=r"RT007: \d+ of 20 batches that could have labels of task 'sold' have none"
    ):
        fit(net(), TASKS, Loader(Columns(X, y), 8), epochs=1)


def test_precisions_agree_about_as_well_as_they_can() -> None:
    exact = fit(net(), TASKS, loader(), epochs=2, precision="64-true", device="cpu").model.double()
    single = fit(net(), TASKS, loader(), epochs=2, precision="32-true", device="cpu").model.double()
    half = fit(net(), TASKS, loader(), epochs=2, precision="bf16-mixed", device="cpu").model.double()
    assert near(exact, single, 1e-4)
    assert near(exact, half, 3e-2)
    assert not near(single, half, 1e-6)


@pytest.mark.parametrize("balancer", [Equal, PCGrad, NashMTL])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_loss_scaler_changes_nothing_but_the_scale(balancer: Any, parts: int) -> None:
    """Gradients are unscaled before they are clipped and stepped along; a step that overflows is skipped."""
    if parts > 1 and balancer is not Equal:
        pytest.skip("tasks' gradients are accumulated in full precision only")
    ends = []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=2.0**12, growth_interval=1000)):
        model, step = net().double(), Balanced(balancer())
        step.prepare(model)
        update = Updates(torch.optim.SGD(model.parameters(), lr=0.05), clip=0.5, scaler=scaler)
        compute = LossesOf(model, TASKS, place=Place(dtype=torch.float64))
        batches = list(loader(96, 16).epoch(0))
        for k in range(0, len(batches), parts):
            step(compute, batches[k : k + parts], update)
        ends.append(model)
    assert near(ends[0], ends[1], 1e-6)
    assert not near(ends[0], net().double(), 1e-3)
