"""What is shared, where inputs need gradients, and whose state is loaded."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from relatask.balance import FAMO, MGDA, Balancer, Equal, GradDrop, GradNorm, MoDo, Normalized, Uncertainty, backward
from relatask.notices import InputError, RelataskWarning


def physics(net: nn.Module, x: Tensor) -> list[Tensor]:
    """An equation's residual, which differentiates by the input, and a boundary's."""
    u = net(x)
    (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    return [(slope - x).square().mean(), net(x[:1] * 0).square().mean(), (u - 1).square().mean()]


def test_inputs_that_need_gradients_are_not_what_tasks_share() -> None:
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double(), torch.randn(20, 1).double()
    x.requires_grad_()
    parameters = list(net.parameters())
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters, materialize_grads=True)])
        for loss in (physics(net, x)[k] for k in range(3))
    ]
    J = torch.stack(rows)
    balance = backward(physics(net, x), MGDA(), shared=net)
    assert balance.gramian is not None
    torch.testing.assert_close(balance.gramian, J @ J.T)
    assert balance.weights is not None
    found = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    torch.testing.assert_close(found, balance.weights @ J)


def test_a_plain_leaf_beside_plain_leaves_is_still_missed() -> None:
    a, b = torch.tensor(1.0, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    with pytest.raises(InputError, match="RT009: the losses reach"):
        backward([(a * b).square(), (a + b).square()], MGDA(), shared=[a])


def test_shared_takes_modules_and_parameters_in_one_list() -> None:
    torch.manual_seed(0)
    x, first, second, shift = torch.randn(6, 3), nn.Linear(3, 4), nn.Linear(4, 2), nn.Parameter(torch.zeros(2))

    def losses() -> list[Tensor]:
        z = second(first(x).tanh()) + shift
        return [z[:, 0].square().mean(), (z[:, 1] - 1).square().mean(), z.prod(1).mean()]

    listed = backward(losses(), MGDA(), shared=[first, second, shift]).gramian
    alone = backward(losses(), MGDA(), shared=[*first.parameters(), *second.parameters(), shift]).gramian
    assert listed is not None
    assert alone is not None
    assert torch.equal(listed, alone)
    with pytest.raises(InputError, match="'weight' twice"):
        backward(losses(), MGDA(), shared=[first, first.weight, second, shift])


@pytest.mark.parametrize("kind", [Uncertainty, FAMO, GradNorm, MoDo, lambda tasks: Normalized(MGDA(), tasks)])
def test_state_of_other_tasks_is_not_loaded(kind: type[Balancer]) -> None:
    saved = kind(["depth", "normals"]).state_dict()
    kind(["depth", "normals"]).load_state_dict(saved)
    for tasks, words in ((["normals", "depth"], "the same tasks in another order"), (["depth", "sky"], "other tasks")):
        fresh = kind(tasks)
        before = copy.deepcopy(fresh.state_dict())
        with pytest.raises(InputError, match=f"state to load is of {words} than {', '.join(tasks)}; build"):
            fresh.load_state_dict(saved)
        assert all(torch.equal(value, before[key]) for key, value in fresh.state_dict().items())
    again = (
        pickle.loads(pickle.dumps(kind(["depth", "normals"]))) if isinstance(kind, type) else kind(["depth", "normals"])
    )
    again.load_state_dict(saved)


class TestNothingShared:
    """A net that ties its tasks by a penalty alone, or shares more or less from batch to batch."""

    def setup_method(self) -> None:
        torch.manual_seed(0)
        self.x = torch.randn(6, 3)
        self.nets = [nn.Linear(3, 1) for _ in range(2)]
        self.idle = nn.Linear(2, 2)

    def losses(self) -> dict[str, Tensor]:
        return {name: (net(self.x) - 1).square().mean() for name, net in zip("ab", self.nets, strict=True)}

    def tie(self) -> Tensor:
        return (self.nets[0].weight - self.nets[1].weight).square().sum()

    @pytest.mark.parametrize("kind", [MGDA, GradDrop, GradNorm, MoDo, Equal])
    def test_each_gets_its_own_gradient_and_the_penalty(self, kind: type[Balancer]) -> None:
        balancer = Equal("sum") if kind is Equal else kind.example(2)
        losses = dict(zip(balancer.tasks or ("a", "b"), self.losses().values(), strict=True))
        heads = dict(zip(losses, self.nets, strict=True))
        leaves = [p for net in self.nets for p in net.parameters()]
        expected = torch.autograd.grad(sum(self.losses().values()) + self.tie(), leaves)
        backward(losses, balancer, shared=[], heads=heads, extra=self.tie(), on_idle="allow")
        for leaf, gradient in zip(leaves, expected, strict=True):
            torch.testing.assert_close(leaf.grad, gradient)

    @pytest.mark.parametrize("kind", [MGDA, Equal])
    def test_what_no_loss_reaches_today_is_let_be(self, kind: type[Balancer]) -> None:
        shared = list(self.idle.parameters())
        given = {"shared": shared, "heads": dict(zip("ab", self.nets, strict=True))}
        with pytest.raises(InputError, match="RT009: no loss reaches a shared parameter"):
            backward(self.losses(), kind(), **given)
        backward(self.losses(), kind(), **given, on_idle="allow")
        assert all(p.grad is None for p in shared)
        assert all(p.grad is not None for net in self.nets for p in net.parameters())

    def test_whose_gradient_is_nan_is_told_and_left_out(self) -> None:
        losses = self.losses() | {"b": (self.nets[1](self.x) * 0).sqrt().mean()}
        given = {"shared": [], "heads": dict(zip("ab", self.nets, strict=True)), "on_idle": "allow"}
        with pytest.raises(InputError, match=r"task.* 'b' is NaN"):
            backward(losses, MGDA(), **given, retain_graph=True)
        with pytest.warns(RelataskWarning, match="RT013: the loss or gradient of task 'b'"):
            backward(losses, MGDA(), **given, on_nan="skip")
        assert bool(self.nets[0].weight.grad.isfinite().all())
        assert self.nets[1].weight.grad is None

    def test_its_values(self) -> None:
        with pytest.raises(InputError, match="on_idle"):
            backward(self.losses(), MGDA(), on_idle="maybe")
