"""Pictures on matplotlib axes: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from relatask import InputError
from relatask.report.axes import show_intervals, show_leave_task_out, show_transfer


def test_heat_maps_hold_the_numbers_off_the_diagonal() -> None:
    shares = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.05, 0.05, 0.9]])
    axes = show_transfer(shares, ["a", "b", "c"], ax=Figure().subplots())
    drawn = np.ma.filled(axes.images[0].get_array(), np.nan)
    np.testing.assert_allclose(drawn, 100 * np.where(np.eye(3, dtype=bool), np.nan, shares))
    assert axes.images[0].get_clim() == (0.0, 30.0)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b", "c"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("teaches", "learns")
    effects = np.where(np.eye(3, dtype=bool), np.nan, shares - 0.1)
    low, high = show_leave_task_out(effects, ax=Figure().subplots()).images[0].get_clim()
    assert (low, high) == pytest.approx((-0.2, 0.2))
    relative = show_leave_task_out(effects, error=[1.0, 2.0, 4.0], ax=Figure().subplots())
    np.testing.assert_allclose(relative.images[0].get_array()[1, 0], 10.0)


def test_intervals_are_ordered_dots_with_bars() -> None:
    axes = show_intervals([2.0, -1.0, 0.5], [0.1, 0.2, 0.3], ["x", "y", "z"], width=2.0, ax=Figure().subplots())
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["y", "z", "x"]
    dots, _, (bars,) = axes.containers[0]
    np.testing.assert_allclose(dots.get_xdata(), [-1.0, 0.5, 2.0])
    np.testing.assert_allclose([np.ptp(bar[:, 0]) for bar in bars.get_segments()], [0.8, 1.2, 0.4])


def test_the_current_axes_are_drawn_on_where_none_are_given() -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    figure, axes = plt.subplots()
    assert show_transfer(np.eye(60)) is axes
    assert len(axes.get_yticklabels()) == 0, "60 names cannot be read"
    plt.close(figure)


def test_bad_input_is_told() -> None:
    with pytest.raises(InputError, match=r"shape \(2, 3\); expected \(t, t\)"):
        show_transfer(np.ones((2, 3)))
    with pytest.raises(InputError, match="1 tasks are named, but the numbers are of 2"):
        show_transfer(np.ones((2, 2)), ["a"])
    with pytest.raises(InputError, match="expected one number a task"):
        show_leave_task_out(np.ones((2, 2)), error=[1.0])
    with pytest.raises(InputError, match="one a task"):
        show_intervals([1.0, 2.0], [0.1])
