"""The benchmarks of training: what is timed side by side is the same work."""

from __future__ import annotations

import torch
from benchmarks.train import experts, heads


def test_experts_and_dense_layers_multiply_as_much() -> None:
    steps = experts.works(torch.randn(16, 12), 4, (6, 5))
    found = {}
    for name in ("dense", "batched", "loop"):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], with_flops=True) as seen:
            steps[name]()
        products = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")
        found[name] = sum(event.flops for event in seen.key_averages() if event.key in products)
    assert found["batched"] > 0
    assert found["dense"] == found["batched"] == found["loop"]


def test_a_step_is_the_same_joined_or_head_by_head() -> None:
    found = []
    for joined in (False, True):
        step = heads.step(10, 16, 8, 0.2, joined)
        for _ in range(3):
            step()
        torch.manual_seed(0)
        found.append(step.model(torch.randn(4, 100)))  # type: ignore[attr-defined]
    for task, output in found[0].items():
        torch.testing.assert_close(found[1][task], output, rtol=1e-4, atol=1e-5)
