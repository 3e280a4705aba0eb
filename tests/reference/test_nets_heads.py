"""Heads as one product, and what ties them: against heads by themselves, finite differences and closed forms."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from relatask.balance import Equal, FromLosses, backward
from relatask.nets import AttentionRelation, HardSharing, Heads
from relatask.nets.joined import columns, shape_of
from relatask.notices import InputError
from relatask.relations import (
    Chain,
    FeatureQuadratic,
    Graph,
    LearnedCovariance,
    LearnedGraph,
    Pairwise,
    Relation,
    Ridge,
    parameters,
    registry,
)

TASKS = ("a", "b", "c", 4)
RELATIONS = registry()
ON_HEADS = [name for name, kind in RELATIONS.items() if not kind.alone and not issubclass(kind, FeatureQuadratic)]


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 6), nn.GELU(), nn.Linear(6, 2, bias=False))


SHAPES: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(5, 2),
    "without bias": lambda: nn.Linear(5, 2, bias=False),
    "two layers": _mlp,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [(7, 5), (2, 3, 5)])
@pytest.mark.parametrize("each", [False, True])
def test_joined_heads_give_what_each_gives_and_the_same_gradients(shape: str, size: tuple, each: bool) -> None:
    torch.manual_seed(0)
    heads = Heads({task: SHAPES[shape]() for task in TASKS}).double()
    z = torch.randn(*size, dtype=torch.double, requires_grad=True)
    own = {task: z * (k + 1) for k, task in enumerate(TASKS)}
    weight = torch.randn(*size[:-1], 2, dtype=torch.double)

    def outputs() -> dict:
        return heads.each(own) if each else heads(z, TASKS)

    apart = outputs()
    wanted = torch.autograd.grad(
        sum((o * weight).sum() for o in apart.values()), [z, *heads.parameters()], retain_graph=True
    )
    heads.joined = True
    together = outputs()
    assert list(together) == list(TASKS)
    for task in TASKS:
        torch.testing.assert_close(together[task], apart[task], rtol=0, atol=1e-14)
    found = torch.autograd.grad(sum((o * weight).sum() for o in together.values()), [z, *heads.parameters()])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13)


def _products(function: Callable[[], object]) -> int:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        function()
    return sum(
        e.count for e in seen.key_averages() if e.key in ("aten::addmm", "aten::mm", "aten::bmm", "aten::baddbmm")
    )


def test_a_hundred_heads_are_as_many_products_as_two_and_unlike_ones_a_group_each() -> None:
    def count(heads: dict[int, nn.Module]) -> int:
        held = Heads(heads)
        held.joined = True
        z = torch.randn(3, 5, requires_grad=True)
        return _products(lambda: sum(o.sum() for o in held(z, held.names).values()).backward())

    two, hundred = ({k: nn.Linear(5, 1) for k in range(n)} for n in (2, 100))
    assert count(two) == count(hundred) == 3  # forward, and backward to the input and to the weights
    assert count({**hundred, **{k: nn.Linear(5, 3) for k in range(100, 120)}}) == 6


def test_heads_are_joined_where_nothing_is_differentiated_and_apart_elsewhere() -> None:
    model = HardSharing(nn.Linear(5, 5), {task: nn.Linear(5, 1) for task in TASKS})
    x = torch.randn(3, 5)
    assert _products(lambda: model(x)) == 5
    with torch.no_grad():
        assert _products(lambda: model(x)) == 2
    reached = torch.autograd.grad(model(x)["a"].sum(), [*model.heads["b"].parameters()], allow_unused=True)
    assert reached == (None, None)
    model.join()
    assert _products(lambda: model(x)) == 2
    model.join(False)
    assert _products(lambda: model(x)) == 5


def test_a_step_of_one_scalar_is_the_same_joined_or_apart() -> None:
    torch.manual_seed(0)
    model = HardSharing(nn.Linear(5, 5), {task: nn.Linear(5, 1) for task in TASKS}).double()
    x, found = torch.randn(9, 5, dtype=torch.double), []
    assert isinstance(Equal(), FromLosses)
    for joined in (False, True):
        model.join(joined)
        model.zero_grad()
        losses = {str(task): output.square().mean() for task, output in model(x).items()}
        heads = {str(task): model.task_parameters(task) for task in TASKS}
        backward(losses, Equal(), shared=model.shared_parameters(), heads=heads)
        found.append([p.grad.clone() for p in model.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)


def test_what_cannot_be_joined_is_evaluated_by_itself() -> None:
    called: list[str] = []

    class Own(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            called.append("own")
            return super().forward(x)

    listened = nn.Linear(5, 1)
    listened.register_forward_hook(lambda *_: called.append("hook"))
    heads = {"own": Own(5, 1), "other": Own(5, 1), "hook": listened, "plain": nn.Linear(5, 1)}
    assert [shape_of(head) is None for head in heads.values()] == [True, True, True, False]
    held = Heads(heads)
    held.joined = True
    held(torch.zeros(2, 5), held.names)
    assert sorted(called) == ["hook", "own", "own"]
    assert shape_of(nn.Sequential(nn.Linear(5, 5), nn.Dropout(0.5), nn.Linear(5, 1))) is None
    assert shape_of(nn.Sequential(nn.Linear(5, 5), nn.LeakyReLU(0.1))) != shape_of(
        nn.Sequential(nn.Linear(5, 5), nn.LeakyReLU(0.2))
    )


def test_columns_need_no_bias_and_any_number() -> None:
    one = [nn.Linear(3, 2, bias=False)]
    x = torch.randn(4, 3)
    torch.testing.assert_close(columns(one, x)[0], one[0](x))


def _model(relation: Relation | AttentionRelation | None, tasks: Sequence[Hashable] = TASKS) -> HardSharing:
    torch.manual_seed(1)
    return HardSharing(nn.Linear(5, 6), {task: nn.Linear(6, 1) for task in tasks}, relation).double()


@pytest.mark.parametrize("name", ON_HEADS)
def test_every_relation_is_a_differentiable_penalty_on_heads(name: str) -> None:
    model = _model(RELATIONS[name].example(4), range(4))
    model.learn_relation()
    W = model.task_matrix().detach()
    penalty = model.penalties()["relation"]
    assert penalty.item() == pytest.approx(float(model.relation.value(W.numpy())), rel=1e-10)
    penalty.backward()
    gradient = torch.stack([model.heads[task].weight.grad.flatten() for task in range(4)])
    direction, h = torch.randn_like(W), 1e-6
    slope = (model.relation.value(W + h * direction) - model.relation.value(W - h * direction)) / (2 * h)
    assert (gradient * direction).sum().item() == pytest.approx(slope.item(), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", ON_HEADS)
def test_what_a_relation_learned_is_in_the_state(name: str) -> None:
    model = _model(RELATIONS[name].example(4) + Ridge(0.1), range(4))
    model.learn_relation()
    state = {key: value for key, value in model.state_dict().items() if not isinstance(value, Tensor)}
    assert all(isinstance(v, Tensor) for extra in state.values() for v in extra.values())
    fresh = _model(RELATIONS[name].example(4) + Ridge(0.1), range(4))
    fresh.load_state_dict(model.state_dict())
    learned, again = parameters(model.relation), parameters(fresh.relation)
    for part in model.relation.parts:
        for field in part.learned:
            key = f"{type(part).__name__}__{field}"
            np.testing.assert_array_equal(learned[key], again[key])
            assert learned[key] is not None
    assert torch.equal(fresh.penalties()["relation"], model.penalties()["relation"])


def test_the_alternation_descends_and_ends_at_the_relation_of_the_heads() -> None:
    model = _model(LearnedGraph(0.5, 0.05))
    optimizer, seen = torch.optim.SGD(model.heads.parameters(), 0.05), []
    target = torch.randn(4, 6, dtype=torch.double)
    for step in range(200):
        objective = (model.task_matrix() - target).square().sum() / 2 + model.penalties()["relation"]
        seen.append(objective.item())
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()
        if step % 20 == 19:
            before = model.penalties()["relation"].item()
            model.learn_relation()
            assert model.penalties()["relation"].item() <= before + 1e-9
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(seen))
    anew = LearnedGraph(0.5, 0.05).given(model.task_matrix().detach())
    np.testing.assert_allclose(model.relation.precision, anew.precision, rtol=1e-3, atol=1e-3)


def test_a_relation_is_bound_to_the_tasks_by_name() -> None:
    model = _model(Chain(0.5, order=("c", "a", 4, "b")))
    W = model.task_matrix()
    order = W[[2, 0, 3, 1]]
    torch.testing.assert_close(model.penalties()["relation"], 0.5 * (order[1:] - order[:-1]).square().sum())


def test_a_relation_of_no_strength_adds_nothing() -> None:
    assert _model(Pairwise(0.0)).penalties() == {}


def test_learned_covariance_tells_which_heads_are_alike() -> None:
    model = _model(LearnedCovariance(0.1))
    with torch.no_grad():
        model.heads["b"].weight.copy_(-model.heads["a"].weight)
    model.learn_relation()
    assert model.relation.correlation[0, 1] == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize(
    ("relation", "told"),
    [
        (Pairwise("auto"), "'auto', which only the linear estimators can choose; give a number"),
        (Ridge(1.0) + Graph(np.ones((4, 4)), "auto"), "Graph__strength is 'auto'"),
        (RELATIONS["HierarchicalPrior"].example(4), "HierarchicalPrior stands for a whole linear model"),
        (RELATIONS["TaskRelationNetwork"].example(4), "TaskRelationNetwork stands for a whole linear model"),
        (RELATIONS["Manifold"].example(4), "Manifold prices the columns of X"),
        (Graph(np.ones((3, 3))), "3 x 3"),
        ("Pairwise", "expected a relation such as"),
    ],
)
def test_relations_that_cannot_act_on_heads_are_refused(relation: Relation, told: str) -> None:
    with pytest.raises(InputError, match=told):
        _model(relation)


def test_heads_of_unlike_shapes_cannot_be_tied() -> None:
    with pytest.raises(InputError, match="'a' 6, 'b' 12"):
        HardSharing(nn.Linear(5, 6), {"a": nn.Linear(6, 1), "b": nn.Linear(6, 2)}, Pairwise(0.1))
    with pytest.raises(InputError, match="or none: 'a' 0"):
        HardSharing(nn.Linear(5, 6), {"a": nn.Identity()}, Ridge(0.1))


def test_state_of_another_relation_is_refused() -> None:
    model, other = _model(LearnedCovariance(0.1)), _model(Pairwise(0.1))
    model.learn_relation()
    with pytest.raises(InputError, match="covariance, which Pairwise does not learn"):
        other.load_state_dict(model.state_dict())


def test_attention_between_tasks_is_its_formula() -> None:
    model = _model(AttentionRelation(0.7, width=3, ridge=0.2))
    tie, W = model.relation, model.task_matrix().detach().numpy()
    E, Q, K = (p.detach().numpy() for p in (tie.embeddings, tie.query.weight, tie.key.weight))
    total = 0.0
    for k in range(4):
        others = [l for l in range(4) if l != k]
        scores = np.array([(Q @ E[k]) @ (K @ E[l]) / np.sqrt(3) for l in others])
        a = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(tie.attention().detach().numpy()[k, others], a, atol=1e-14)
        total += 0.7 * np.square(W[k] - a @ W[others]).sum()
    assert model.penalties()["relation"].item() == pytest.approx(total + 0.1 * np.square(E).sum(), rel=1e-12)
    assert tie.attention().diagonal().tolist() == [0.0] * 4


def test_attention_finds_which_tasks_are_alike_and_leaves_others_alone() -> None:
    torch.manual_seed(0)
    tie = AttentionRelation(1.0, ridge=1e-3).bind(range(4))
    W = torch.tensor([[3.0, 0.0], [3.0, 0.1], [0.0, -3.0], [0.1, -3.0]])
    optimizer = torch.optim.Adam(tie.parameters(), 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        tie(W).backward()
        optimizer.step()
    attention = tie.attention()
    assert min(attention[0, 1], attention[1, 0], attention[2, 3], attention[3, 2]) > 0.9


def test_attention_belongs_to_no_task_and_no_loss() -> None:
    model = _model(AttentionRelation(0.1))
    aside = {id(p) for p in model.relation.parameters()}
    assert aside.isdisjoint(map(id, model.shared_parameters()))
    assert aside <= set(map(id, model.parameters()))
    assert _model(AttentionRelation(0.1)).relation is not model.relation


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: AttentionRelation(-1.0), "strength=-1.0"),
        (lambda: AttentionRelation("auto"), "cannot be chosen"),  # type: ignore[arg-type]
        (lambda: AttentionRelation(width=0), "width=0"),
        (lambda: AttentionRelation().bind(["a"]), "two tasks or more"),
        (lambda: AttentionRelation().attention(), "has no tasks yet"),
        (lambda: AttentionRelation().bind("ab")(torch.zeros(3, 2)), "W has 3 rows and there are 2 tasks"),
        (lambda: Heads({"a": 3}), "expected a torch.nn.Module"),  # type: ignore[dict-item]
    ],
)
def test_bad_input_is_refused(make: Callable[[], object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        make()
