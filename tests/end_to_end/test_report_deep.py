"""The section on training: shown where there is something to show, safe, small, the same in JSON and in Markdown."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from report_demo import demo_record

from relatask.cli.network_files import cosines, read_training
from relatask.report import Best, Course, Gate, RunRecord, Seen, Training, render_html, render_markdown
from relatask.report.prose import asked

EPOCHS = tuple(float(k) for k in range(1, 41))


def course(of, task, split="", start=1.0, end=0.2):
    values = start + (end - start) * (1 - np.exp(-np.array(EPOCHS) / 8))
    return Course(of, task, split, EPOCHS, tuple(values.tolist()))


def training(tasks, **more):
    courses = [course("loss", task, split) for task in tasks for split in ("train", "valid")]
    courses += [course("delta", task, "valid", 0, 0.7) for task in tasks]
    return Training(
        "hard",
        40,
        31,
        "the mean has not improved for 9 epochs",
        1234,
        1000,
        tuple(courses),
        tuple(Best(task, 10 + 5 * k, 0.5) for k, task in enumerate(tasks)),
        tuple(Seen(task, 100 + k) for k, task in enumerate(tasks)),
        **more,
    )


def record(t=3, **more):
    made = demo_record(t)
    deep = replace(made, transfer=None, removal=None, certainty=(), coefficients=None, relation=None)
    return replace(deep, training=training(made.tasks, **more))


def with_courses(made, *courses):
    return replace(made, training=replace(made.training, courses=made.training.courses + courses))


def test_it_comes_back_from_json_and_the_page_is_the_same():
    made = record(gates=(Gate("reading", [[0.2, 0.8]]),))
    back = RunRecord.from_json(made.to_json())
    assert back == made
    assert render_html(back) == render_html(made)
    assert len(render_html(record(12)).encode()) < 300_000


def test_only_what_is_there_is_asked():
    assert "training" not in asked(demo_record(3))
    assert list(asked(record())) == ["help", "lost", "training", "data", "cost", "watch", "made"]
    with_gates = record(gates=(Gate("a", [[0.5, 0.5]]),))
    assert "shared" in asked(with_gates)
    page = render_html(record())
    for absent in ("Who taught whom?", "How sure is it?", "figure-weights", "figure-shares", "figure-pull"):
        assert absent not in page
    assert "How did training go?" not in render_html(demo_record(3))


def test_curves_weights_shares_conflict_and_gates_are_drawn_where_they_were_logged():
    made = record(gates=(Gate("mixture, task 1", [[0.25, 0.75], [0.5, 0.5]]),))
    tasks = made.tasks
    made = with_courses(
        made,
        *[course("weight", task, end=0.5 + k) for k, task in enumerate(tasks)],
        *[course("share", task, end=0.3) for task in tasks],
        course("cosine", "", end=-0.2),
        course("conflict", "", start=0, end=0.6),
    )
    page, twin = render_html(made), render_markdown(made)
    for name in ("figure-curves", "figure-weights", "figure-shares", "figure-pull"):
        assert f'id="{name}"' in page
    assert "mixture, task 1, row 2" in page
    assert "mixture, task 1, row 2" in twin
    assert "gradients that oppose each other" in " ".join(twin.split())
    assert "31 was kept" in twin
    assert "because the mean has not improved for 9 epochs" in twin
    assert "1,000 of them shared" in twin


def test_weights_that_do_not_move_are_told_in_words():
    made = with_courses(record(), *[course("weight", task, start=1, end=1) for task in record().tasks])
    assert "figure-weights" not in render_html(made)
    assert "The weights of the losses did not move" in render_markdown(made)


def test_best_epochs_far_apart_are_a_compromise():
    made = record(t=5)
    assert "One kept epoch is a compromise between them." in render_markdown(made)
    near = replace(made.training, best=tuple(Best(task, 30, 0.5) for task in made.tasks))
    assert "All tasks are at their best at epoch 30." in render_markdown(replace(made, training=near))


@pytest.mark.parametrize("t", [2, 12, 30])
def test_any_number_of_tasks(t):
    page = render_html(record(t))
    assert page.count('id="figure-curves"') == 1
    assert len(page.encode()) < 500_000


def test_names_may_hold_any_text():
    evil = "</script><script>alert(1)</script>"
    made = record()
    page = render_html(replace(made, training=training((evil, "a & b", "$x_1$"))))
    assert evil not in page


def test_curves_are_read_from_the_logs(tmp_path):
    torch = pytest.importorskip("torch")
    from types import SimpleNamespace

    history = [
        {"step": e, "epoch": e, "split": s, "metric": m, "task": k, "value": 1 / (e + 1), "n": 10.0}
        for e in range(300)
        for k in ("0", "1")
        for s, m in (("train", "loss"), ("valid", "loss"), ("valid", "delta"))
    ]
    model = torch.nn.Linear(2, 2)
    model.tasks = ("0", "1")
    model.task_parameters = lambda task: [model.bias] if task == "0" else []
    tasks = [SimpleNamespace(name="0"), SimpleNamespace(name="1")]
    net = SimpleNamespace(tasks=tasks, history=history, model=model, n_epochs=300, best_epoch=7)
    (tmp_path / "weights.jsonl").write_text(
        "".join(json.dumps({"step": s, "epoch": s // 2, "weights": {"0": 1.0, "1": s}}) + "\n" for s in range(6))
    )
    gramian = [[4.0, -3.0], [-3.0, 9.0]]
    (tmp_path / "grams.jsonl").write_text(
        json.dumps({"step": 1, "epoch": 0, "tasks": ["0", "1"], "gramian": gramian}) + "\n"
    )
    found = read_training(tmp_path, "hard", SimpleNamespace(nets_=[net]), ("price", "sold"))
    assert (found.kept, found.epochs, found.parameters, found.shared) == (8, 300, 6, 4)
    losses = found.of("loss", "train")
    assert [line.task for line in losses] == ["price", "sold"]
    assert len(losses[0].at) == 120  # long curves are thinned
    assert losses[0].values[0] == pytest.approx(np.mean([1, 1 / 2, 1 / 3]), rel=1e-4)
    assert found.of("weight")[1].at == (0.75, 1.25, 1.75, 2.25, 2.75, 3.25)
    assert [line.values[0] for line in found.of("share")] == [0.4, 0.6]
    assert found.of("cosine")[0].values == (-0.5,)
    assert found.of("conflict")[0].values == (1.0,)
    assert found.best[0] == Best("price", 1, 1.0)
    assert found.seen == (Seen("price", 10.0), Seen("sold", 10.0))
    np.testing.assert_allclose(cosines(tmp_path, ("0", "1")), [[1, -0.5], [-0.5, 1]])
