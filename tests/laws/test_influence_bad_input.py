"""What is no fit, no relation or no row for who taught whom; what fit forgets and a saved model knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from influence_oracle import quiet
from linear_oracle import case
from relatask import InputError, MultiTaskClassifier, MultiTaskRegressor
from relatask.relations import (
    HierarchicalPrior,
    Pairwise,
    Ridge,
    TraceNorm,
)


def test_bad_input_is_told() -> None:
    data = case("groups", n=12)
    model = MultiTaskRegressor(Pairwise(0.05)).fit(**data.arguments)
    with pytest.raises(AttributeError, match="call leave_task_out"):
        _ = model.leave_task_out_
    with pytest.raises(InputError, match="task 0 has other rows than in fit"):
        model.leave_task_out(data.X, data.y + (data.tasks == 0), data.tasks)
    with pytest.raises(InputError, match="the model was fitted on 3"):
        model.leave_task_out(data.X, data.y, data.tasks > 0)
    with pytest.raises(InputError, match="method='jackknife' is unknown; expected one of 'auto', 'refit'"):
        model.leave_task_out(**data.arguments, method="jackknife")
    with pytest.raises(InputError, match="kind='robust' is unknown"):
        model.standard_errors("robust")
    for level in (0, 1, 1.5, "high", True):
        with pytest.raises(InputError, match="between 0 and 1"):
            model.predict_interval(data.X, data.tasks, level)
    assert not hasattr(MultiTaskRegressor(), "transfer_")
    trace = MultiTaskRegressor(TraceNorm(0.1)).fit(**data.arguments)
    for name in ("transfer_", "degrees_of_freedom_", "noise_", "standard_errors_"):
        assert not hasattr(trace, name)
        with pytest.raises(InputError, match=f"{name} is defined .* method='refit'"):
            getattr(trace, name)
    with pytest.raises(InputError, match="linear in the labels"):
        trace.predict_interval(data.X, data.tasks)
    with pytest.raises(InputError, match="linear in the labels"):
        trace.predict(data.X, data.tasks, return_std=True)
    huber = MultiTaskRegressor(Pairwise(0.05), loss="huber").fit(**data.arguments)
    with pytest.raises(InputError, match="not under loss='huber'; leave_task_out"):
        _ = huber.transfer_
    with pytest.raises(InputError, match=r"task 0 has .* labels here, and had .* in fit"):
        huber.leave_task_out(data.X[1:], data.y[1:], data.tasks[1:])
    with pytest.raises(InputError, match="RootSquared goes by method='refit'"):
        MultiTaskRegressor(Pairwise(0.05), loss="root_squared").fit(**data.arguments).leave_task_out(**data.arguments)
    labels = np.arange(len(data.y)) % 2
    classes = MultiTaskClassifier(Pairwise(0.05)).fit(data.X, labels, data.tasks)
    with pytest.raises(InputError, match="y holds the classes"):
        classes.leave_task_out(data.X, labels + 3, data.tasks)
    with pytest.raises(AttributeError, match="call leave_task_out"):
        _ = classes.transfer_
    saturated = quiet(lambda: MultiTaskRegressor(Ridge(0.0)).fit(np.eye(3), [1.0, 2.0, 3.0]))
    with pytest.raises(InputError, match="nothing is left to tell the noise by"):
        saturated.predict_interval(np.eye(3))


def test_what_fit_forgets_and_what_a_saved_model_knows(tmp_path: Any) -> None:
    data = case("groups", n=12)
    model = MultiTaskRegressor(HierarchicalPrior("isotropic")).fit(**data.arguments)
    effect = model.leave_task_out(**data.arguments)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(MultiTaskRegressor.load(tmp_path / "model").leave_task_out_, effect)
    model.set_params(relation=Pairwise(0.05)).fit(**data.arguments)
    assert not hasattr(model, "leave_task_out_")
    assert np.ptp(model.noise_) > 0, "the prior's common noise is gone"
    first = model.transfer_
    assert model.transfer_ is first
    model.set_params(relation=Pairwise(5.0)).fit(**data.arguments)
    assert np.abs(model.transfer_ - first).max() > 0.01
