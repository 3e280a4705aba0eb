"""Laws of losses: derivatives, convexity, conjugates, majorants, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, xlogy

from relatask.linear.losses import ByTask, Huber, Logistic, Multinomial, Poisson, SquaredError
from relatask.linear.newton import solve_loss
from relatask.notices import InputError
from relatask.relations import Ridge

LOSSES = [SquaredError(), Huber(0.7), Logistic(), Poisson()]


def labels(loss, number: float) -> np.ndarray:
    if isinstance(loss, Logistic):
        return np.array(float(number > 0))
    return np.array(np.floor(abs(number)) if isinstance(loss, Poisson) else number)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@given(eta=st.floats(-8, 8), number=st.floats(-5, 5))
@settings(deadline=None, max_examples=50)
def test_slopes_and_curvatures_are_derivatives(loss, eta: float, number: float) -> None:
    y, at, h = labels(loss, number), np.array(eta), 1e-4
    size = 1 + float(loss.value(at, y)) + float(loss.curvature(at, y))
    slope = (loss.value(at + h, y) - loss.value(at - h, y)) / (2 * h)
    assert float(loss.slope(at, y)) == pytest.approx(float(slope), abs=1e-6 * size)
    if not isinstance(loss, Huber) or abs(abs(eta - y) - loss.delta) > 2 * h:
        curvature = (loss.slope(at + h, y) - loss.slope(at - h, y)) / (2 * h)
        assert float(loss.curvature(at, y)) == pytest.approx(float(curvature), abs=1e-6 * size)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@given(eta=st.floats(-30, 30), other=st.floats(-30, 30), number=st.floats(-5, 5))
@settings(deadline=None, max_examples=50)
def test_fenchel_young_with_equality_at_the_slope(loss, eta: float, other: float, number: float) -> None:
    y, at = labels(loss, number), np.array(eta)
    u = loss.slope(np.array(other), y)
    least, conjugate = float(loss.value(at, y)), float(loss.conjugate(u, y))
    size = 1 + abs(least) + abs(conjugate) + abs(eta * float(u))
    assert least + conjugate >= eta * float(u) - 1e-9 * size
    own = loss.slope(at, y)
    value = least + float(loss.conjugate(own, y))
    assert value == pytest.approx(eta * float(own), abs=1e-9 * (1 + least + abs(eta * float(own))))


@pytest.mark.parametrize("loss", [SquaredError(), Huber(0.7), Logistic()], ids=str)
@given(eta=st.floats(-30, 30), other=st.floats(-30, 30), number=st.floats(-5, 5))
@settings(deadline=None, max_examples=50)
def test_majorants_lie_above(loss, eta: float, other: float, number: float) -> None:
    y, a, b = labels(loss, number), np.array(eta), np.array(other)
    above = loss.value(a, y) + loss.slope(a, y) * (b - a) + 0.5 * loss.majorant(a, y) * (b - a) ** 2
    assert float(loss.value(b, y)) <= float(above) + 1e-9 * (1 + float(above))
    assert float(loss.majorant(a, y)) >= float(loss.curvature(a, y)) - 1e-12


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@given(a=st.floats(-1e3, 1e3), b=st.floats(-1e3, 1e3), share=st.floats(0, 1), number=st.floats(-5, 5))
@settings(deadline=None, max_examples=50)
def test_losses_are_finite_not_negative_and_convex(loss, a: float, b: float, share: float, number: float) -> None:
    y = labels(loss, number)
    ends = [float(loss.value(np.array(x), y)) for x in (a, b, share * a + (1 - share) * b)]
    assert np.isfinite(ends).all()
    assert min(ends) >= -1e-9
    # Above 600 exp is cut off, and the Poisson loss with it.
    if not isinstance(loss, Poisson) or max(a, b) < 600:
        assert ends[2] <= share * ends[0] + (1 - share) * ends[1] + 1e-9 * (1 + ends[0] + ends[1])
    for one in (loss.slope, loss.curvature, loss.majorant):
        assert np.isfinite(one(np.array([a, 0.0, b]), np.full(3, y))).all()


def test_small_probabilities_keep_their_digits() -> None:
    slope = Logistic().slope(np.array([40.0, -40.0]), np.array([1.0, 0.0]))
    np.testing.assert_allclose(slope, [-np.exp(-40), np.exp(-40)], rtol=1e-12)


@given(seed=st.integers(0, 100), n_classes=st.integers(2, 4))
@settings(deadline=None, max_examples=20)
def test_the_entropy_is_the_conjugate_of_log_sum_exp(seed: int, n_classes: int) -> None:
    rng = np.random.default_rng(seed)
    eta, p = rng.normal(size=n_classes), rng.dirichlet(np.ones(n_classes))
    assert logsumexp(eta) + xlogy(p, p).sum() >= eta @ p - 1e-12


@pytest.mark.parametrize(
    ("loss", "y", "told"),
    [
        (Logistic(), [0.0, 2.0], "Logistic: y holds 2; expected labels 0 and 1"),
        (Poisson(), [1.0, -3.0], "Poisson: y holds -3; expected counts >= 0"),
        (Multinomial(2), [0.0, 2.0], "Multinomial: y holds 2; expected classes 0, ..., 1"),
        (ByTask(("binary", "count")), [1.0, 0.0], "ByTask: 2 kinds for 1 tasks"),
    ],
    ids=["logistic", "poisson", "classes", "kinds"],
)
def test_labels_that_a_loss_cannot_have(loss, y: list[float], told: str) -> None:
    with pytest.raises(InputError, match=told):
        solve_loss(np.eye(2), np.array(y), np.zeros(2, dtype=int), loss, Ridge(1.0), n_tasks=1)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Huber(0.0), "Huber: delta=0.0; expected a positive number"),
        (lambda: Huber("1"), "Huber: delta='1'"),
        (lambda: Multinomial(1), "n_classes=1; expected an integer >= 2"),
        (lambda: ByTask(("price",)), "'price' is no kind of label; expected regression, binary, count"),
    ],
    ids=["zero", "text", "classes", "kind"],
)
def test_losses_that_cannot_be_made(make, told: str) -> None:
    with pytest.raises(InputError, match=told):
        make()
