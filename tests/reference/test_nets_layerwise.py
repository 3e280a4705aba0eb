"""Ways of sharing layer by layer, each against what it says computed by hand; and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from relatask.data.tensors import Columns, Loader
from relatask.nets import (
    MTAN,
    CrossStitch,
    FiLM,
    HardSharing,
    Hierarchical,
    LearningToBranch,
    Model,
    Sluice,
    SoftSharing,
    TaskAdapters,
)
from relatask.notices import InputError
from relatask.relations import Graph, LearnedCovariance, Pairwise, Ridge, SharedSparsity, TraceNorm
from relatask.tasks import Task
from relatask.train import Branch, Run, fit
from relatask.train.update import Average

TASKS = ("a", "b", "c")


@pytest.fixture(autouse=True)
def double() -> Any:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def dense(wide: int, narrow: int) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(wide, narrow), nn.Tanh())


def heads(width: int, tasks: tuple[str, ...] = TASKS) -> dict[str, nn.Module]:
    return {task: nn.Linear(width, 1) for task in tasks}


def moved(model: Model) -> Model:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return model


def linear(layer: nn.Module, h: Tensor) -> Tensor:
    """A layer of `dense`, by its numbers."""
    return torch.tanh(torch.einsum("ni,oi->no", h, layer[0].weight) + layer[0].bias)


class TestSoftSharing:
    @pytest.mark.parametrize(
        "relation",
        [Pairwise(0.3), Ridge(0.2), SharedSparsity(0.4), TraceNorm(0.1), Graph([("a", "b", 2.0)], 0.5)],
        ids=repr,
    )
    def test_the_penalty_is_the_relation_of_the_stacked_parameters(self, relation: Any) -> None:
        model = SoftSharing({task: dense(4, 3)() for task in TASKS}, heads(3), relation, Ridge(2.0))
        model(torch.randn(5, 4))
        found = model.penalties()
        bound = relation.bind(list(TASKS))
        expected = 0.0
        for read in (lambda e: e[0].weight, lambda e: e[0].bias):
            W = np.stack([read(model.encoders[task]).detach().numpy().ravel() for task in TASKS])
            expected += float(bound.value(W))
        assert found["encoders"].item() == pytest.approx(expected, rel=1e-12)
        W = torch.cat([model.heads[task].weight for task in TASKS])
        assert found["relation"].item() == pytest.approx(W.square().sum().item())

    def test_its_gradient_pulls_the_encoders_to_their_mean(self) -> None:
        """d/dw_k of sum_{i != j} s |w_i - w_j|^2 is 4 s t (w_k - mean)."""
        model = SoftSharing({task: nn.Linear(4, 3) for task in TASKS}, heads(3), Pairwise(0.3))
        model(torch.randn(5, 4))
        model.penalties()["encoders"].backward()
        W = torch.stack([model.encoders[task].weight for task in TASKS])
        expected = 4 * 0.3 * 3 * (W - W.mean(0))
        for k, task in enumerate(TASKS):
            torch.testing.assert_close(model.encoders[task].weight.grad, expected[k])

    def test_without_a_relation_tasks_are_alone(self) -> None:
        for relation in (None, Pairwise(0.0)):
            model = SoftSharing({task: dense(4, 3)() for task in TASKS}, heads(3), relation)
            x = torch.randn(5, 4)
            outputs = model(x)
            assert not model.penalties()
            model.learn_relation()
            for task in TASKS:
                expected = model.heads[task](model.encoders[task](x))
                torch.testing.assert_close(outputs[task], expected)
            assert model.shared_parameters() == []

    def test_many_passes_compute_the_penalty_once(self) -> None:
        model = SoftSharing({task: dense(4, 3)() for task in TASKS}, heads(3), Pairwise(0.3))
        x = torch.randn(5, 4)
        for task in TASKS:
            model(x, [task])
        assert len(model._terms) == 1
        once = model.penalties()["encoders"].item()
        model(x)
        assert model.penalties()["encoders"].item() == pytest.approx(once)

    def test_each_layer_learns_its_own_covariance(self) -> None:
        model = SoftSharing({task: dense(4, 3)() for task in TASKS}, heads(3), LearnedCovariance(0.5))
        model.learn_relation()
        state = model.state_dict()
        for tie, name in zip(model.ties, model.layers, strict=True):
            W = model.layer(name).detach().numpy()
            U, s, _ = np.linalg.svd(W, full_matrices=False)
            np.testing.assert_allclose(tie.relation.covariance, (U * s) @ U.T / s.sum(), atol=1e-8)
        other = SoftSharing({task: dense(4, 3)() for task in TASKS}, heads(3), LearnedCovariance(0.5))
        other.load_state_dict(state)
        np.testing.assert_allclose(other.ties[0].relation.covariance, model.ties[0].relation.covariance)

    def test_what_does_not_correspond_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"parameter 'weight' is \(3, 5\) in the encoder of task 'b' and \(3, 4\)"):
            SoftSharing({"a": nn.Linear(4, 3), "b": nn.Linear(5, 3)}, heads(3, ("a", "b")))
        with pytest.raises(InputError, match=r"'bias' is absent in the encoder of task 'b'"):
            SoftSharing({"a": nn.Linear(4, 3), "b": nn.Linear(4, 3, bias=False)}, heads(3, ("a", "b")))
        with pytest.raises(InputError, match=r"encoders are of a and heads of a, b; give both for b"):
            SoftSharing({"a": nn.Linear(4, 3)}, heads(3, ("a", "b")))
        one = nn.Linear(4, 3)
        with pytest.raises(InputError, match="one and the same encoder"):
            SoftSharing({"a": one, "b": one}, heads(3, ("a", "b")))


class TestHierarchical:
    def model(self, detach: bool = False) -> Hierarchical:
        given = {"a": nn.Linear(3, 2), "b": nn.Linear(5 + 2, 1), "c": nn.Linear(5 + 1, 1)}
        depth = {"a": 1, "b": 2, "c": 2}
        return Hierarchical([dense(4, 3), dense(3, 5)], given, depth, {"b": "a", "c": "b"}, detach)

    def test_outputs_feed_on(self) -> None:
        model, x = self.model(), torch.randn(6, 4)
        first = linear(model.stages[0], x)
        second = linear(model.stages[1], first)
        a = model.heads["a"](first)
        b = model.heads["b"](torch.cat([second, a], 1))
        c = model.heads["c"](torch.cat([second, b], 1))
        found = model(x)
        for task, expected in (("a", a), ("b", b), ("c", c)):
            torch.testing.assert_close(found[task], expected)
            torch.testing.assert_close(model(x, [task])[task], expected)

    def test_whose_is_what_follows_from_who_reaches_it(self) -> None:
        model = self.model()
        assert model.task_parameters("a") == []  # b and c train its head, too
        assert model.task_parameters("c") == list(model.heads["c"].parameters())
        cut = self.model(detach=True)
        assert cut.task_parameters("a") == list(cut.heads["a"].parameters())
        lone = Hierarchical([dense(4, 3), dense(3, 5)], {"a": nn.Linear(3, 1), "b": nn.Linear(5, 1)}, {"a": 1, "b": 2})
        assert set(lone.task_parameters("b")) == {*lone.stages[1].parameters(), *lone.heads["b"].parameters()}

    @pytest.mark.parametrize("detach", [False, True])
    def test_detach_cuts_the_gradient_and_nothing_else(self, detach: bool) -> None:
        model, x = self.model(detach), torch.randn(6, 4)
        model(x)["c"].sum().backward()
        assert (model.heads["a"].weight.grad is None) == detach
        assert (model.heads["b"].weight.grad is None) == detach

    def test_a_shallow_task_runs_no_deep_stage(self) -> None:
        model = self.model()
        ran = []
        model.stages[1].register_forward_hook(lambda *_: ran.append(1))
        model(torch.randn(6, 4), ["a"])
        assert not ran
        model(torch.randn(6, 4), ["b", "c"])
        assert len(ran) == 1

    def test_tokens_are_fed_token_by_token_and_rows_to_every_token(self) -> None:
        stages = [lambda: nn.Linear(4, 3), lambda: nn.Linear(3, 5)]
        x = torch.randn(6, 7, 4)
        model = Hierarchical(stages, {"a": nn.Linear(3, 2), "b": nn.Linear(7, 1)}, {"a": 1, "b": 2}, {"b": "a"})
        h = model.stages[0](x)
        expected = model.heads["b"](torch.cat([model.stages[1](h), model.heads["a"](h)], -1))
        torch.testing.assert_close(model(x)["b"], expected)
        pooled = nn.Sequential(nn.AdaptiveAvgPool2d((1, 3)), nn.Flatten(), nn.Linear(3, 2))
        model = Hierarchical(stages, {"a": pooled, "b": nn.Linear(7, 1)}, {"a": 1, "b": 2}, {"b": "a"})
        h = model.stages[0](x)
        intent = model.heads["a"](h)
        tokens = [model.heads["b"](torch.cat([model.stages[1](h)[:, i], intent], -1)) for i in range(7)]
        torch.testing.assert_close(model(x)["b"], torch.stack(tokens, 1))

    def test_what_cannot_stand_is_refused(self) -> None:
        stages, two = [dense(4, 3), dense(3, 3)], heads(3, ("a", "b"))
        with pytest.raises(InputError, match=r"depth of task 'b' is 3; how many of the 2 stages"):
            Hierarchical(stages, two, {"a": 1, "b": 3})
        with pytest.raises(InputError, match=r"depth of task 'b' is None"):
            Hierarchical(stages, two, {"a": 1})
        with pytest.raises(InputError, match=r"feeds names 'z', which has no head"):
            Hierarchical(stages, two, {"a": 1, "b": 2}, {"b": "z"})
        with pytest.raises(InputError, match=r"'b' \(depth 2\) cannot feed 'a' \(depth 1\)"):
            Hierarchical(stages, two, {"a": 1, "b": 2}, {"a": "b"})
        with pytest.raises(InputError, match="go round in a circle"):
            Hierarchical(stages, two, {"a": 1, "b": 1}, {"a": "b", "b": "a"})
        flat = {"a": nn.Sequential(nn.Linear(3, 2), nn.Unflatten(0, (2, 3))), "b": nn.Linear(5, 1)}
        with pytest.raises(InputError, match=r"takes \(6, 3\) and is fed \(2, 3, 2\) by 'a'"):
            Hierarchical(stages, flat, {"a": 1, "b": 2}, {"b": "a"})(torch.randn(6, 4))


class TestCrossStitch:
    def test_each_stage_mixes_all_columns(self) -> None:
        model, x = moved(CrossStitch([dense(4, 3), dense(3, 5)], heads(5))), torch.randn(6, 4)
        held = [x] * 3
        for number in range(2):
            made = torch.stack([linear(model.columns[k][number], held[k]) for k in range(3)])
            held = torch.einsum("kj,jnf->knf", model.stitches[number], made)
        for k, task in enumerate(TASKS):
            torch.testing.assert_close(model(x)[task], model.heads[task](held[k]))
        torch.testing.assert_close(model.gates()["stitch 1"], model.stitches[1].detach())

    def test_the_identity_leaves_tasks_alone(self) -> None:
        model, x = CrossStitch([dense(4, 3), dense(3, 5)], heads(5), same=1.0), torch.randn(6, 4)
        for k, task in enumerate(TASKS):
            torch.testing.assert_close(model(x)[task], model.heads[task](nn.Sequential(*model.columns[k])(x)))

    def test_it_starts_as_told(self) -> None:
        start = CrossStitch([dense(4, 3)], heads(3)).stitches[0].detach()
        np.testing.assert_allclose(start.sum(1), 1.0)
        np.testing.assert_allclose(start.diagonal(), 0.9)
        start = CrossStitch([dense(4, 3)], heads(3), same=0.6, other=0.1).stitches[0].detach()
        np.testing.assert_allclose(start, 0.1 + 0.5 * np.eye(3))

    def test_pictures_are_mixed_too(self) -> None:
        flat = {task: nn.Sequential(nn.Flatten(), nn.Linear(3 * 16, 1)) for task in TASKS}
        model, x = moved(CrossStitch([lambda: nn.Conv2d(1, 3, 3)], flat)), torch.randn(2, 1, 6, 6)
        made = torch.stack([model.columns[k][0](x) for k in range(3)])
        mixed = torch.einsum("kj,jnchw->knchw", model.stitches[0], made)
        torch.testing.assert_close(model(x)["b"], model.heads["b"](mixed[1]))

    def test_what_cannot_be_mixed_is_refused(self) -> None:
        widths = iter((3, 4, 3))
        with pytest.raises(InputError, match=r"stage 0 puts out \(6, 4\) for task 'b' and \(6, 3\) for 'a'"):
            CrossStitch([lambda: nn.Linear(4, next(widths))], heads(3))(torch.randn(6, 4))
        with pytest.raises(InputError, match=r"stage 0 is Linear.*a function that makes a fresh module"):
            CrossStitch([nn.Linear(4, 3)], heads(3))
        one = nn.Linear(4, 3)
        with pytest.raises(InputError, match="stage 0 makes the same module at every call"):
            CrossStitch([lambda: one], heads(3))
        with pytest.raises(InputError, match=r"stage 0 makes 3; a torch\.nn\.Module"):
            CrossStitch([lambda: 3], heads(3))
        with pytest.raises(InputError, match=r"stages is \[\]"):
            CrossStitch([], heads(3))
        with pytest.raises(InputError, match="stage 0 puts out a tuple"):
            CrossStitch([lambda: nn.LSTM(4, 3)], heads(3))(torch.randn(6, 2, 4))


class TestSluice:
    def test_subspaces_and_stages_are_mixed(self) -> None:
        model, x = moved(Sluice([dense(4, 6), dense(6, 6)], heads(6), subspaces=2)), torch.randn(5, 4)
        held, levels = [x] * 3, []
        for number in range(2):
            made = [linear(model.columns[k][number], held[k]) for k in range(3)]
            pieces = [made[k][:, 3 * s : 3 * s + 3] for k in range(3) for s in range(2)]
            alpha = model.alphas[number]
            mixed = [sum(alpha[i, j] * pieces[j] for j in range(6)) for i in range(6)]
            held = [torch.cat([mixed[2 * k], mixed[2 * k + 1]], 1) for k in range(3)]
            levels.append(held)
        found = model(x)
        for k, task in enumerate(TASKS):
            beta = model.betas[k]
            expected = model.heads[task](beta[0] * levels[0][k] + beta[1] * levels[1][k])
            torch.testing.assert_close(found[task], expected)
        assert model.gates()["beta"].shape == (3, 2)

    def test_the_penalty_is_that_of_overlapping_subspaces(self) -> None:
        model, x = moved(Sluice([dense(4, 6)], heads(6), subspaces=3, orthogonality=0.7)), torch.randn(5, 4)
        model(x)
        terms = []
        for k in range(3):
            h = linear(model.columns[k][0], x).detach().numpy()
            parts = [h[:, :2], h[:, 2:4], h[:, 4:]]
            pairs = [(0, 1), (0, 2), (1, 2)]
            terms.append(sum(np.linalg.norm(parts[i].T @ parts[j], "fro") ** 2 for i, j in pairs) / 5**2)
        assert model.penalties()["orthogonality"].item() == pytest.approx(0.7 * np.mean(terms))

    def test_with_whole_blocks_and_the_last_stage_it_is_a_cross_stitch(self) -> None:
        stitch = moved(CrossStitch([dense(4, 6), dense(6, 6)], heads(6)))
        model = Sluice([dense(4, 6), dense(6, 6)], heads(6), subspaces=2)
        model.columns.load_state_dict(stitch.columns.state_dict())
        model.heads.load_state_dict(stitch.heads.state_dict())
        with torch.no_grad():
            for alpha, whole in zip(model.alphas, stitch.stitches, strict=True):
                alpha.copy_(torch.kron(whole, torch.eye(2)))
            for beta in model.betas:
                beta.copy_(torch.tensor([0.0, 1.0]))
        x = torch.randn(5, 4)
        for task, output in stitch(x).items():
            torch.testing.assert_close(model(x)[task], output)

    def test_pictures_and_tokens_are_cut_along_their_features(self) -> None:
        flat = {task: nn.Flatten() for task in TASKS}
        for stage, x, axis in (
            (lambda: nn.Conv2d(1, 4, 3), torch.randn(2, 1, 5, 5), 1),
            (lambda: nn.Linear(3, 4), torch.randn(2, 6, 3), 2),
        ):
            model = moved(Sluice([stage], flat, subspaces=2, mix_stages=False))
            made = [model.columns[k][0](x) for k in range(3)]
            pieces = [half for h in made for half in h.chunk(2, axis)]
            expected = torch.cat(
                [sum(a * p for a, p in zip(row, pieces, strict=True)) for row in model.alphas[0][2:4]], axis
            )
            torch.testing.assert_close(model(x)["b"], expected.flatten(1))

    def test_what_cannot_be_mixed_is_refused(self) -> None:
        with pytest.raises(InputError, match="stage 0 puts out 5 features, which 2 subspaces do not divide"):
            Sluice([dense(4, 5)], heads(5))(torch.randn(3, 4))
        with pytest.raises(InputError, match=r"stage 0 puts out \(3, 6\) and the last \(3, 4\).*mix_stages=False"):
            Sluice([dense(4, 6), dense(6, 4)], heads(4))(torch.randn(3, 4))
        with pytest.raises(InputError, match="subspaces is 0"):
            Sluice([dense(4, 5)], heads(5), subspaces=0)
        with pytest.raises(InputError, match="orthogonality is -1"):
            Sluice([dense(4, 6)], heads(6), orthogonality=-1)


class TestMTAN:
    def test_masks_see_this_stage_and_what_was_let_through_before(self) -> None:
        model, x = moved(MTAN([dense(4, 3), dense(3, 5)], heads(5), widths=(3, 5), hidden=4)), torch.randn(6, 4)
        p1 = linear(model.stages[0], x)
        p2 = linear(model.stages[1], p1)
        for task in TASKS:
            (g1, _, h1), (g2, _, h2) = model.masks[task]

            def mask(g: Any, h: Any, seen: Tensor) -> Tensor:
                return 1 / (1 + torch.exp(-((seen @ g.weight.T + g.bias).clamp(min=0) @ h.weight.T + h.bias)))

            a1 = mask(g1, h1, p1) * p1
            a2 = mask(g2, h2, torch.cat([p2, a1], 1)) * p2
            torch.testing.assert_close(model(x)[task], model.heads[task](a2))
        assert model.gates()["mask b"].shape == (2,)

    def test_for_pictures_a_mask_is_a_convolution_of_one_by_one(self) -> None:
        stages = [lambda: nn.Conv2d(1, 3, 3), lambda: nn.Sequential(nn.Conv2d(3, 2, 3), nn.MaxPool2d(2))]
        flat = {task: nn.Flatten() for task in TASKS}
        model, x = moved(MTAN(stages, flat, widths=(3, 2))), torch.randn(2, 1, 8, 8)
        p1 = model.stages[0](x)
        p2 = model.stages[1](p1)
        (g1, _, h1), (g2, _, h2) = model.masks["a"]

        def conv(layer: Any, seen: Tensor) -> Tensor:
            return nn.functional.conv2d(seen, layer.weight[:, :, None, None], layer.bias)

        a1 = torch.sigmoid(conv(h1, conv(g1, p1).relu())) * p1
        seen = torch.cat([p2, adaptive_avg_pool2d(a1, p2.shape[2:])], 1)
        a2 = torch.sigmoid(conv(h2, conv(g2, seen).relu())) * p2
        torch.testing.assert_close(model(x)["a"], a2.flatten(1))

    def test_the_body_runs_once_for_all_tasks(self) -> None:
        model = MTAN([dense(4, 3)], heads(3), widths=[3])
        ran = []
        model.stages[0].register_forward_hook(lambda *_: ran.append(1))
        model(torch.randn(2, 4))
        assert len(ran) == 1

    def test_widths_that_do_not_fit_are_refused(self) -> None:
        with pytest.raises(InputError, match=r"widths is \[3\] for 2 stages"):
            MTAN([dense(4, 3), dense(3, 3)], heads(3), widths=[3])
        with pytest.raises(InputError, match=r"stage 0 puts out \(2, 3\), 3 features, but widths says 4"):
            MTAN([dense(4, 3)], heads(3), widths=[4])(torch.randn(2, 4))
        stages = [lambda: nn.Conv2d(1, 3, 3), lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 5))]
        with pytest.raises(InputError, match=r"from pictures to pictures\. Flatten in the heads"):
            MTAN(stages, heads(5), widths=(3, 5))(torch.randn(2, 1, 6, 6))


class TestFiLM:
    def test_features_are_scaled_and_shifted_for_each_task(self) -> None:
        model, x = moved(FiLM([dense(4, 3), dense(3, 5)], heads(5), widths=(3, 5))), torch.randn(6, 4)
        for k, task in enumerate(TASKS):
            numbers = model.conditions[k]
            scales, shifts = 1 + numbers[:8], numbers[8:]
            h = linear(model.stages[0], x) * scales[:3] + shifts[:3]
            h = linear(model.stages[1], h) * scales[3:] + shifts[3:]
            torch.testing.assert_close(model(x)[task], model.heads[task](h))

    @pytest.mark.parametrize("embedding", [None, 2])
    def test_at_the_start_it_is_hard_sharing(self, embedding: int | None) -> None:
        model, x = FiLM([dense(4, 3), dense(3, 5)], heads(5), widths=(3, 5), embedding=embedding), torch.randn(6, 4)
        hard = HardSharing(nn.Sequential(*model.stages), model.heads)
        for task, output in hard(x).items():
            torch.testing.assert_close(model(x)[task], output)

    def test_an_embedding_makes_scales_and_shifts_by_one_map(self) -> None:
        model = moved(FiLM([dense(4, 3)], heads(3), widths=[3], embedding=2))
        gamma, beta = model.modulation("b")[0]
        made = model.generator.weight @ model.conditions[1]
        torch.testing.assert_close(gamma, 1 + made[:3])
        torch.testing.assert_close(beta, made[3:])
        assert [tuple(p.shape) for p in model.task_parameters("b")] == [(1, 3), (1,), (2,)]

    def test_pictures_channel_by_channel_and_tokens_feature_by_feature(self) -> None:
        flat = {task: nn.Flatten() for task in TASKS}
        model, x = moved(FiLM([lambda: nn.Conv2d(1, 3, 3)], flat, widths=[3])), torch.randn(2, 1, 5, 5)
        gamma, beta = model.modulation("a")[0]
        expected = torch.einsum("c,nchw->nchw", gamma, model.stages[0](x)) + beta[:, None, None]
        torch.testing.assert_close(model(x)["a"], expected.flatten(1))
        model, x = moved(FiLM([lambda: nn.Linear(4, 3)], flat, widths=[3])), torch.randn(2, 5, 4)
        gamma, beta = model.modulation("a")[0]
        torch.testing.assert_close(model(x)["a"], (model.stages[0](x) * gamma + beta).flatten(1))

    def test_widths_that_do_not_fit_are_refused(self) -> None:
        with pytest.raises(InputError, match=r"stage 1 puts out \(2, 5\), 5 features, but widths says 4"):
            FiLM([dense(4, 3), dense(3, 5)], heads(5), widths=[3, 4])(torch.randn(2, 4))


class TestTaskAdapters:
    def encoder(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 4))

    def test_at_the_start_it_is_hard_sharing(self) -> None:
        model, x = TaskAdapters(self.encoder(), heads(4)), torch.randn(2, 1, 5, 5)
        for task, output in HardSharing(model.encoder, model.heads)(x).items():
            torch.testing.assert_close(model(x)[task], output)

    def test_every_weight_is_changed_by_a_product_of_low_rank(self) -> None:
        model, x = moved(TaskAdapters(self.encoder(), heads(4), rank=2, scale=0.5)), torch.randn(2, 1, 5, 5)
        conv, line = model.encoder[0], model.encoder[3]
        for task in TASKS:
            first, second = model.adapters[task]
            assert (first.B.shape, first.A.shape) == ((3, 2), (2, 9))
            kernel = conv.weight + 0.5 * torch.einsum("or,rk->ok", first.B, first.A).reshape(3, 1, 3, 3)
            h = nn.functional.conv2d(x, kernel, conv.bias).relu().flatten(1)
            h = h @ (line.weight + 0.5 * second.B @ second.A).T + line.bias
            torch.testing.assert_close(model(x)[task], model.heads[task](h))
        assert model.gates()["change a"].shape == (2,)

    def test_a_frozen_encoder_still_lets_tasks_learn(self) -> None:
        model, x = TaskAdapters(self.encoder().requires_grad_(False), heads(4)), torch.randn(2, 1, 5, 5)
        model(x)["a"].sum().backward()
        assert all(p.grad is None for p in model.encoder.parameters())
        assert all(p.grad is not None for p in model.task_parameters("a"))
        assert model.adapters["a"][0].B.grad.any()

    def test_it_works_with_recurrent_and_attending_layers_beside(self) -> None:
        class Reader(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
                self.rnn = nn.LSTM(4, 3, batch_first=True)
                self.out = nn.Linear(3, 4)

            def forward(self, x: Tensor) -> Tensor:
                return self.out(self.rnn(self.layer(x))[0][:, -1])

        model, x = moved(TaskAdapters(Reader(), heads(4))), torch.randn(2, 5, 4)
        assert model.adapted == (
            "layer.self_attn.out_proj.weight",
            "layer.linear1.weight",
            "layer.linear2.weight",
            "out.weight",
        )
        trained, evaluated = model(x), model.eval()(x)
        for task in TASKS:
            torch.testing.assert_close(trained[task], evaluated[task])
        with torch.no_grad():
            model.adapters["a"][3].B.zero_()
        assert not torch.allclose(model(x)["a"], evaluated["a"])
        torch.testing.assert_close(model(x)["b"], evaluated["b"])

    def test_what_cannot_be_adapted_is_refused(self) -> None:
        with pytest.raises(InputError, match="the encoder, a Identity, has no linear or convolutional layer"):
            TaskAdapters(nn.Identity(), heads(4))
        with pytest.raises(InputError, match="rank is 0"):
            TaskAdapters(nn.Linear(3, 4), heads(4), rank=0)


class TestLearningToBranch:
    def model(self, **given: Any) -> LearningToBranch:
        return moved(LearningToBranch([dense(4, 3), dense(3, 3)], heads(3), nodes=(2, 3), **given))

    def test_while_training_each_node_takes_a_drawn_mixture(self) -> None:
        model, x = self.model(temperature=0.7), torch.randn(6, 4)
        torch.manual_seed(3)
        found = model(x)
        torch.manual_seed(3)
        mixtures = []
        for odds in model.odds:
            noise = -torch.log(torch.empty_like(odds).exponential_())
            mixtures.append(torch.softmax((odds + noise) / 0.7, 1))
        first = torch.stack([linear(node, x) for node in model.levels[0]])
        taken = torch.einsum("ji,inf->jnf", mixtures[0], first)
        second = torch.stack([linear(node, h) for node, h in zip(model.levels[1], taken, strict=True)])
        last = torch.einsum("ki,inf->knf", mixtures[1], second)
        for k, task in enumerate(TASKS):
            torch.testing.assert_close(found[task], model.heads[task](last[k]))

    def test_in_evaluation_it_is_the_likeliest_tree(self) -> None:
        model, x = self.model().eval(), torch.randn(6, 4)
        with torch.no_grad():
            model.odds[0].copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]))
            model.odds[1].copy_(torch.tensor([[0.0, 0, 5], [0, 4, 0], [0, 0, 1]]))
        assert model.branches() == {"a": (0, 2), "b": (1, 1), "c": (0, 2)}
        found = model(x)
        shared = linear(model.levels[1][2], linear(model.levels[0][0], x))
        alone = linear(model.levels[1][1], linear(model.levels[0][1], x))
        torch.testing.assert_close(found["a"], model.heads["a"](shared))
        torch.testing.assert_close(found["c"], model.heads["c"](shared))
        torch.testing.assert_close(found["b"], model.heads["b"](alone))

    def test_frozen_it_runs_the_trees_nodes_once_and_they_alone_learn(self) -> None:
        model, x = self.model(), torch.randn(6, 4)
        with torch.no_grad():
            model.odds[0].copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]))
            model.odds[1].copy_(torch.tensor([[0.0, 0, 5], [0, 4, 0], [0, 0, 1]]))
        ran: list[tuple[int, int]] = []
        for level, nodes in enumerate(model.levels):
            for number, node in enumerate(nodes):
                node.register_forward_hook(lambda *_, place=(level, number): ran.append(place))
        evaluated = model.eval()(x)
        model.train().freeze()
        ran.clear()
        outputs = model(x)
        assert sorted(ran) == [(0, 0), (0, 1), (1, 1), (1, 2)]
        for task in TASKS:
            torch.testing.assert_close(outputs[task], evaluated[task])
        sum(output.sum() for output in outputs.values()).backward()
        learning = {name for name, p in model.named_parameters() if p.requires_grad}
        assert learning == {name for name, p in model.named_parameters() if p.grad is not None}
        assert not any(name.startswith(("odds", "levels.1.0")) for name in learning)
        nodes = {*model.levels[0][1].parameters(), *model.levels[1][1].parameters()}
        assert set(model.task_parameters("b")) == {*nodes, *model.heads["b"].parameters()}
        assert set(model.task_parameters("a")) == set(model.heads["a"].parameters())

    def test_the_state_remembers_that_it_is_frozen_and_how_cold(self) -> None:
        model = self.model(temperature=4.0, decay=0.5, coldest=1.5)
        for expected in (2.0, 1.5, 1.5):
            model.tick()
            assert model.temperature.item() == expected
        model.freeze()
        other = self.model(temperature=4.0, decay=0.5, coldest=1.5)
        other.load_state_dict(model.state_dict())
        x = torch.randn(6, 4)
        assert other.temperature.item() == 1.5
        for task, output in model(x).items():
            torch.testing.assert_close(other(x)[task], output)

    def test_cold_noise_draws_parents_as_often_as_the_odds_say(self) -> None:
        """The Gumbel-max trick: at temperature 0 the choice has the softmax's frequencies."""
        model = LearningToBranch(
            [lambda: nn.Linear(1, 1)], {"a": nn.Identity()}, nodes=3, temperature=1e-4, coldest=1e-4
        )
        with torch.no_grad():
            model.odds[0].copy_(torch.tensor([[0.0, 1.0, 2.0]]))
            for number, node in enumerate(model.levels[0]):
                node.weight.zero_()
                node.bias.fill_(float(number))
            drawn = torch.cat([model(torch.zeros(1, 1))["a"] for _ in range(4000)]).round().long().flatten()
        shares = torch.bincount(drawn, minlength=3) / 4000
        expected = torch.softmax(torch.tensor([0.0, 1.0, 2.0]), 0)
        assert (shares - expected).abs().max() < 4 * 0.5 / 4000**0.5

    def test_it_finds_which_tasks_go_together(self) -> None:
        """Two pairs of tasks with nothing in common between the pairs: one node cannot serve both."""
        torch.manual_seed(1)
        x = torch.randn(256, 6)
        signals = {"a": x[:, 0].sin(), "b": -x[:, 0].sin(), "c": (2 * x[:, 1]).cos(), "d": -(2 * x[:, 1]).cos()}
        model = LearningToBranch(
            [dense(6, 3)], {t: nn.Linear(3, 1) for t in signals}, nodes=2, temperature=2.0, decay=0.98
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
        for _ in range(250):
            optimizer.zero_grad()
            sum((out[:, 0] - signals[task]).square().mean() for task, out in model(x).items()).backward()
            optimizer.step()
            model.tick()
        paths = model.branches()
        assert paths["a"] == paths["b"] != paths["c"] == paths["d"]

    def test_a_callback_cools_it_and_keeps_the_tree(self) -> None:
        model = self.model(temperature=4.0, decay=0.5)
        source = Columns(torch.randn(12, 4), {task: torch.randn(12) for task in TASKS})
        kept: list[dict[str, tuple[int, ...]]] = []

        class Look:
            def on_epoch(self, run: Run) -> None:
                kept.append(run.model.branches())

        tasks = [Task(task) for task in TASKS]
        fit(model, tasks, Loader(source, 6), epochs=3, callbacks=[Branch(freeze=2), Look()], device="cpu")
        assert model.temperature.item() == 0.5
        assert bool(model.frozen)
        assert model.branches() == kept[1]
        assert not any(p.requires_grad for p in model.odds)
        hard = HardSharing(dense(4, 3)(), heads(3))
        with pytest.raises(InputError, match="Branch: the model is a HardSharing, which has no branches"):
            fit(hard, tasks, Loader(source, 6), epochs=1, callbacks=[Branch()], device="cpu")

    def test_what_cannot_stand_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"nodes is \[2\] for 2 stages"):
            LearningToBranch([dense(4, 3), dense(3, 3)], heads(3), nodes=[2])
        with pytest.raises(InputError, match="0 < coldest <= temperature"):
            LearningToBranch([dense(4, 3)], heads(3), temperature=0.01)


def test_the_kept_tree_stays_where_an_average_stands_in_for_the_odds() -> None:
    """The average lags behind, and would be evaluated along nodes that are no longer trained."""
    heads = {task: nn.Linear(6, 1) for task in "ab"}
    model = LearningToBranch([lambda: nn.Linear(5, 6), lambda: nn.Linear(6, 6)], heads)
    average = Average(model, 0.9)
    with torch.no_grad():
        model.odds[1][0, 1] = 1.0
    model.freeze()
    kept = model.branches()
    assert kept["a"][1] == 1
    with average.standing_in():
        assert model.odds[1][0, 1] == 0
        assert model.branches() == kept
        model.freeze()
    assert model.branches() == kept
    other = LearningToBranch([lambda: nn.Linear(5, 6), lambda: nn.Linear(6, 6)], heads)
    other.load_state_dict(model.state_dict())
    assert other.branches() == kept
