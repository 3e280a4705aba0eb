"""Detection: formulas of boxes by counting pixels and by hand, what tells what, and that a picture can be learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from relatask.kinds import BoxHead, Detection, check_target, resolved
from relatask.kinds.detecting import assigned, focal_losses, overlaps, read
from relatask.kinds.meters import AveragePrecision
from relatask.notices import InputError
from relatask.tasks import Task

TASK = Task("cells", "detection", classes=3)


def test_generalized_overlap_by_counting_pixels():
    rng = np.random.default_rng(0)
    corner, side = rng.integers(0, 20, (2, 30, 2)), rng.integers(1, 20, (2, 30, 2))
    a, b = np.concatenate([corner, corner + side], 2)
    expected = []
    for one, other in zip(a, b, strict=True):
        y, x = np.mgrid[0:40, 0:40]
        first, second = ((x >= r[0]) & (x < r[2]) & (y >= r[1]) & (y < r[3]) for r in (one, other))
        low, high = np.minimum(one[:2], other[:2]), np.maximum(one[2:], other[2:])
        union, around = (first | second).sum(), (high - low).prod()
        expected.append(((first & second).sum() / union, (first & second).sum() / union - (around - union) / around))
    found = overlaps(torch.tensor(a).double(), torch.tensor(b).double())
    np.testing.assert_allclose(torch.stack(found, 1), expected, atol=1e-12)


def test_focal_loss_by_its_formula():
    p = np.array([0.9, 0.2, 0.9, 0.2])
    y = np.array([1.0, 1.0, 0.0, 0.0])
    at = np.where(y == 1, p, 1 - p)
    expected = -np.where(y == 1, 0.25, 0.75) * (1 - at) ** 2 * np.log(at)
    found = focal_losses(torch.tensor(np.log(p / (1 - p))), torch.tensor(y))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def grid(stride, height, width):
    """Locations of a map."""
    y, x = np.mgrid[0:height, 0:width]
    return torch.tensor(np.stack([x.ravel() + 0.5, y.ravel() + 0.5], 1) * stride)


def test_locations_near_the_middle_of_a_box_tell_it_and_the_smallest_of_several():
    places = grid(8, 8, 8)
    boxes = torch.tensor([[0.0, 0, 64, 64], [26, 26, 38, 38], [1, 1, 3, 3]])
    at, box = assigned(places, torch.full((64,), 8.0), boxes)
    told = {k: places[at[box == k]].tolist() for k in range(3)}
    assert sorted(map(tuple, told[1])) == [(28, 28), (28, 36), (36, 28), (36, 36)]
    assert told[2] == [[4, 4]]  # no location is inside: the nearest one has it
    near = [(x, y) for x, y in places.tolist() if abs(x - 32) < 12 and abs(y - 32) < 12]
    assert sorted(map(tuple, told[0])) == sorted(set(near) - set(map(tuple, told[1])))


def test_a_box_belongs_to_the_stride_of_its_size():
    places = torch.cat([grid(8, 8, 8), grid(16, 4, 4)])
    strides = torch.tensor([8.0] * 64 + [16.0] * 16)
    boxes = torch.tensor([[0.0, 0, 20, 30], [0, 0, 64, 20]])
    at, box = assigned(places, strides, boxes)
    assert set(strides[at[box == 0]].tolist()) == {8.0}
    assert set(strides[at[box == 1]].tolist()) == {16.0}


def perfect(target, classes=3, stride=8, height=8, width=8):
    """An output that tells just these boxes."""
    places, n = grid(stride, height, width), len(target)
    out = torch.full((n, len(places), classes + 8), -20.0, dtype=torch.double)
    out[..., -7:-3] = torch.cat([places - 4, places + 4], 1)
    out[..., -3:-1], out[..., -1] = places, stride
    for i, picture in enumerate(target):
        boxes = torch.tensor(picture["boxes"]).double().reshape(-1, 4)
        at, box = assigned(places, torch.full((len(places),), float(stride)), boxes)
        labels = torch.tensor(picture["labels"]).long()
        out[i, at, labels[box]] = 20.0
        out[i, at, classes] = 20.0
        out[i, at, -7:-3] = boxes[box]
    return out


TARGET = [
    {"boxes": [[4.0, 4, 24, 30], [30, 30, 60, 62]], "labels": [0, 2]},
    {"boxes": np.zeros((0, 4)), "labels": np.zeros(0, int)},
]


def test_a_perfect_output_has_no_loss_and_tells_the_boxes_once():
    output, kind = perfect(TARGET), Detection()
    assert kind.losses(output, TARGET, TASK).abs().max() < 1e-6
    first, second = kind.answer(output, TASK)
    order = first["labels"].argsort()
    np.testing.assert_allclose(first["boxes"][order], TARGET[0]["boxes"])
    assert first["labels"][order].tolist() == [0, 2]
    assert len(second["boxes"]) == 0
    meter = AveragePrecision()
    meter.update(*kind.watched(output, TARGET, TASK))
    assert float(meter.compute()) == 1


def test_the_loss_of_a_picture_by_hand():
    torch.manual_seed(0)
    output = BoxHead(4, 3)(torch.randn(2, 4, 8, 8)).double().detach()
    seen = read(output)
    expected = []
    for i, picture in enumerate(TARGET):
        boxes = torch.tensor(picture["boxes"]).double()
        at, box = assigned(seen.centres, seen.strides, boxes)
        real = torch.zeros(64, 3).double()
        loss, k = 0.0, max(len(at), 1)
        for place, j in zip(at.tolist(), box.tolist(), strict=True):
            real[place, picture["labels"][j]] = 1
            iou, generalized = overlaps(seen.boxes[i, place][None], boxes[j][None])
            chance = torch.sigmoid(seen.quality[i, place])
            loss += float(1 - generalized - iou * chance.log() - (1 - iou) * (1 - chance).log()) / k
        expected.append(loss + float(focal_losses(seen.logits[i], real).sum()) / k)
    np.testing.assert_allclose(Detection().losses(output, TARGET, TASK), expected, rtol=1e-9)


def test_coarse_numbers_do_not_move_boxes():
    head = BoxHead(4, 3).bfloat16()
    found = head(torch.zeros(1, 4, 30, 80, dtype=torch.bfloat16))
    assert found.dtype == torch.float32
    assert found[0, -1, -3:].tolist() == [636.0, 236.0, 8.0]


def test_a_small_net_finds_squares():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    pictures, target = torch.zeros(16, 1, 48, 48), []
    for picture in pictures:
        x, y, side = (*rng.integers(0, 24, 2), rng.integers(10, 24))
        picture[0, y : y + side, x : x + side] = 1
        target.append({"boxes": torch.tensor([[x, y, x + side, y + side]]).float(), "labels": torch.tensor([1])})
    net = nn.Sequential(
        nn.Conv2d(1, 16, 7, stride=4, padding=3), nn.ReLU(), nn.Conv2d(16, 32, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(), BoxHead(32, 3),
    )  # fmt: skip
    kind, optimizer = Detection(), torch.optim.Adam(net.parameters(), lr=3e-3)
    before = kind.losses(net(pictures), target, TASK).mean().item()
    for _ in range(120):
        optimizer.zero_grad()
        loss = kind.losses(net(pictures), target, TASK).mean()
        loss.backward()
        optimizer.step()
    meter = AveragePrecision((0.5,))
    meter.update(*kind.watched(net(pictures), target, TASK))
    assert loss.item() < before / 3
    assert float(meter.compute()) > 0.9


def test_classes_are_read_from_the_labels_and_pictures_may_be_unknown():
    assert resolved(Task("a", "detection"), [*TARGET, None]).classes == 3
    assert Detection().observed([*TARGET, None]).tolist() == [True, True, False]
    check_target(TASK, [*TARGET, None])


@pytest.mark.parametrize(
    ("target", "match"),
    [
        (torch.zeros(3, 4), r"task 'cells' \(detection\): labels are a Tensor; expected a list"),
        ([{"boxes": [[0.0, 0, 1, 1]]}], r"picture 0 has .*expected \{'boxes'"),
        ([None, {"boxes": [[0.0, 0, 1, 1]], "labels": [0, 1]}], r"picture 1 has 1 boxes and 2 labels"),
        ([{"boxes": [[0.0, 0, 1]], "labels": [0]}], r"boxes \(1, 3\); expected \(m, 4\)"),
        ([{"boxes": [[5.0, 0, 1, 1]], "labels": [0]}], r"without an area"),
        ([{"boxes": [[0.0, 0, float("inf"), 1]], "labels": [0]}], r"without an area"),
        ([{"boxes": [[0.0, 0, 1, 1]], "labels": [3]}], r"class 3; expected 0 to 2"),
        ([{"boxes": [[0.0, 0, 1, 1]], "labels": [-1]}], r"class -1; expected 0 to 2"),
    ],
)
def test_boxes_that_cannot_be_are_refused(target, match):
    with pytest.raises(InputError, match=match):
        check_target(TASK, target)


def test_a_head_refuses_maps_it_has_no_stride_for():
    with pytest.raises(InputError, match=r"strides \(8.0, 16.0\) takes 2 maps"):
        BoxHead(4, 3, strides=(8, 16))(torch.zeros(1, 4, 8, 8))
