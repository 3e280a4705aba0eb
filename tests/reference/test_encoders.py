"""Encoders beside independent sources: torch's own layers by hand, scipy's spectra, a tiny model of transformers."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
from scipy.signal import get_window
from torch import Tensor, nn

from relatask.kinds import kind_of
from relatask.nets import HardSharing
from relatask.nets.encoders import (
    BagOfNgrams,
    BiLSTM,
    HuggingFace,
    LogMel,
    LogMelCNN,
    MapHead,
    PictureStates,
    PooledHead,
    ResNet,
    SentenceHead,
    SmallTransformer,
    TabularMLP,
    TextCNN,
    TextStates,
    Timm,
    TokenHead,
)
from relatask.notices import InputError
from relatask.tasks import Task

TEXT: dict[str, Callable[[], nn.Module]] = {
    **{
        f"bilstm {pool}": (lambda pool=pool: BiLSTM(30, 6, 5, layers=2, dropout=0.1, pool=pool))
        for pool in ("last", "max", "mean", "attention")
    },
    "cnn": lambda: TextCNN(30, 6, filters=4),
    "transformer": lambda: SmallTransformer(30, 8, heads=2),
    "bag": lambda: BagOfNgrams(30, 6, hidden=5, dropout=0.1),
}


def texts(n: int = 7, longest: int = 9, seed: int = 0) -> list[Tensor]:
    """Texts of 0 to `longest` tokens."""
    rng = np.random.default_rng(seed)
    lengths = [0, 1, longest, *rng.integers(1, longest, n - 3).tolist()]
    return [torch.from_numpy(rng.integers(1, 30, length)) for length in lengths]


def padded(rows: list[Tensor], width: int) -> Tensor:
    out = torch.zeros(len(rows), width, dtype=torch.long)
    for place, row in enumerate(rows):
        out[place, : len(row)] = row
    return out


def close(left: Any, right: Any) -> None:
    torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", TEXT)
def test_padding_never_changes_a_text(name: str) -> None:
    torch.manual_seed(0)
    encoder = TEXT[name]().double().eval()
    rows = texts()
    whole = encoder(padded(rows, 9))
    assert whole.shape == (7, encoder.features)
    assert whole.isfinite().all()
    close(encoder(padded(rows, 15)), whole)
    close(encoder(rows), whole)
    for place, row in enumerate(rows):
        close(encoder(row[None] if len(row) else torch.zeros(1, 1, dtype=torch.long))[0], whole[place])
    close(encoder(padded(rows, 9).int()), whole)


@pytest.mark.parametrize("make", [lambda g: BiLSTM(30, 6, 5, gives=g), lambda g: SmallTransformer(30, 8, 2, gives=g)])
def test_one_encoder_gives_sentences_and_tokens(make: Any) -> None:
    rows = texts()
    found = {}
    for gives in ("sentence", "tokens", "both"):
        torch.manual_seed(3)
        found[gives] = make(gives).double().eval()(padded(rows, 12))
    assert isinstance(found["both"], TextStates)
    close(found["both"].sentence, found["sentence"])
    close(found["both"].tokens, found["tokens"])
    assert found["tokens"].shape[:2] == (7, 12)
    for place, row in enumerate(rows):
        assert not found["tokens"][place, len(row) :].any()
        assert found["tokens"][place, : len(row)].abs().sum(-1).gt(0).all()


@pytest.mark.parametrize("name", TEXT)
def test_padding_teaches_nothing_and_all_else_learns(name: str) -> None:
    torch.manual_seed(0)
    encoder = TEXT[name]().double().eval()

    def gradients(width: int) -> dict[str, Tensor]:
        encoder.zero_grad()
        encoder(padded(texts(), width)).square().sum().backward()
        return {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}

    short, long = gradients(9), gradients(14)
    assert short.keys() == dict(encoder.named_parameters()).keys()
    for key, value in short.items():
        torch.testing.assert_close(long[key], value, rtol=1e-9, atol=1e-10)
        assert value.any()
    embedding = next(p for key, p in short.items() if "embedding" in key)
    assert not embedding[0].any()


def test_bilstm_is_torchs_lstm_run_over_each_text_alone() -> None:
    torch.manual_seed(0)
    encoder = BiLSTM(30, 6, 5, gives="both").double()
    rows = texts()
    states = encoder(padded(rows, 9))
    for place, row in enumerate(rows[1:], 1):
        found, (last, _) = encoder.lstm(encoder.embedding(row)[None])
        close(states.tokens[place, : len(row)], found[0])
        close(states.sentence[place], torch.cat([last[0, 0], last[1, 0]]))


def test_text_cnn_by_windows() -> None:
    torch.manual_seed(0)
    encoder = TextCNN(30, 6, widths=(2, 3), filters=4).double().eval()
    row = torch.tensor([4, 9, 2, 7])
    embedded = encoder.embedding(row)
    found = []
    for convolution, width in zip(encoder.convolutions, (2, 3), strict=True):
        around = torch.cat([torch.zeros((width - 1) // 2, 6), embedded, torch.zeros(width // 2, 6)])
        windows = torch.stack([around[i : i + width] for i in range(4)])  # (4, width, 6)
        response = torch.einsum("twe,few->tf", windows, convolution.weight) + convolution.bias
        found.append(response.relu().amax(0))
    close(encoder(row[None])[0], torch.cat(found))


def test_bag_of_ngrams_is_a_product_with_unit_tf_idf() -> None:
    torch.manual_seed(0)
    weights = torch.rand(30) + 0.5
    encoder = BagOfNgrams(30, 6, weights=weights).double()
    rows = [torch.tensor([3, 8, 11]), torch.tensor([5])]
    dense = torch.zeros(2, 30, dtype=torch.float64)
    for place, row in enumerate(rows):
        dense[place, row] = weights.double()[row]
    dense /= dense.norm(dim=1, keepdim=True)
    close(encoder(padded(rows, 4)), dense @ encoder.embedding.weight)


def test_tabular_is_a_product_of_numbers_and_embeddings() -> None:
    torch.manual_seed(0)
    encoder = TabularMLP(2, (5,), categories=(4, 3), embedding=2, others={"text": BagOfNgrams(9, 3)}).double()
    x = {
        "numeric": torch.randn(6, 2, dtype=torch.float64),
        "categorical": torch.tensor([[0, 1], [3, 2], [1, 0], [2, 2], [0, 0], [3, 1]]),
        "text": torch.randint(0, 9, (6, 4)),
    }
    first, second = (embedding.weight for embedding in encoder.stem.embeddings)
    codes = x["categorical"]
    h = torch.cat([x["numeric"], first[codes[:, 0]], second[codes[:, 1]], encoder.stem.others[0](x["text"])], 1)
    layer = encoder.layers[0].steps[0]
    close(encoder(x), (h @ layer.weight.T + layer.bias).relu())
    assert TabularMLP(3, ()).features == 3
    x = torch.randn(4, 3)
    close(TabularMLP(3, ())(x), x)
    for normalization in ("batch", "layer", None):
        assert TabularMLP(3, (8, 4), dropout=0.5, normalization=normalization)(x).shape == (4, 4)


def test_resnet_block_by_hand_and_shapes() -> None:
    torch.manual_seed(0)
    encoder = ResNet(2, width=4, blocks=(1, 1), gives="both").double().eval()
    x = torch.randn(3, 2, 11, 14, dtype=torch.float64)
    stem, norm, _, first, second = encoder.layers
    h = norm(nn.functional.conv2d(x, stem.weight, padding=1)).relu()
    for block, stride in ((first, 1), (second, 2)):
        one, norm_one, _, two, norm_two = block.body
        inner = norm_two(
            nn.functional.conv2d(
                norm_one(nn.functional.conv2d(h, one.weight, stride=stride, padding=1)).relu(), two.weight, padding=1
            )
        )
        skip = h if stride == 1 else block.skip[1](nn.functional.conv2d(h, block.skip[0].weight, stride=2))
        h = (inner + skip).relu()
    states = encoder(x)
    assert isinstance(states, PictureStates)
    close(states.map, h)
    close(states.pooled, h.mean((2, 3)))
    assert states.map.shape == (3, 8, 6, 7)
    for stem_stride, size in ((1, 32), (2, 16), (4, 8)):
        net = ResNet(3, 8, (1, 2, 1), stem=stem_stride, normalization="group", gives="map")
        assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 32, size // 4, size // 4)
        assert net.stride == stem_stride * 4
    whole = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    net = ResNet(3, 8, (1,)).eval()
    torch.testing.assert_close(net(whole), net(whole.float() / 255))


def test_group_norms_do_not_mix_pictures() -> None:
    torch.manual_seed(0)
    net = ResNet(1, 8, (1, 1), normalization="group").double()
    x = torch.randn(5, 1, 12, 12, dtype=torch.float64)
    close(torch.cat([net(one[None]) for one in x]), net(x))


def test_log_mel_beside_scipy() -> None:
    rng = np.random.default_rng(0)
    sound = rng.normal(size=3000)
    found, frames = LogMel(8000, mels=20).double()(torch.from_numpy(sound)[None])
    size, hop, points = 200, 80, 256
    assert frames.item() == 1 + (3000 - size) // hop == found.shape[1]
    window = get_window("hann", size, fftbins=False)
    pieces = np.stack([sound[i * hop : i * hop + size] * window for i in range(frames.item())])
    power = np.abs(scipy.fft.rfft(pieces, points)) ** 2
    pitch = np.arange(points // 2 + 1) * 8000 / points
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 22) / 2595) - 1)
    bands = np.stack([np.interp(pitch, corners[k : k + 3], [0, 1, 0]) for k in range(20)])
    np.testing.assert_allclose(found[0].numpy(), np.log(power @ bands.T + 1e-6), rtol=1e-4, atol=1e-4)


def test_the_end_of_a_sound_is_its_end() -> None:
    torch.manual_seed(0)
    encoder = LogMelCNN(widths=(4, 6)).double()  # in training mode too: norms are by place
    encoder.drop.p = 0.0
    lengths = [0, 1, 150, 200, 279, 281, 1234, 4000]
    rows = [torch.randn(length, dtype=torch.float64) for length in lengths]
    whole = encoder(rows)
    assert whole.shape == (8, 6)
    assert whole.isfinite().all()
    for place, row in enumerate(rows):
        alone = row[None] if len(row) else torch.full((1, 1), torch.nan, dtype=torch.float64)
        close(encoder(alone)[0], whole[place])
        longer = torch.full((1, 6000), torch.nan, dtype=torch.float64)
        longer[0, : len(row)] = row
        close(encoder(longer)[0], whole[place])
    whole.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())
    samples = [(row.clamp(-1, 1) * 32767).short() for row in rows[4:]]
    torch.testing.assert_close(encoder(samples), encoder([s.double() / 32768 for s in samples]))


def test_a_louder_sound_is_a_shift_of_its_loudness() -> None:
    torch.manual_seed(0)
    front = LogMel(8000, mels=20, floor=0.0).double()
    sound = torch.randn(1, 2000, dtype=torch.float64)
    close(front(3 * sound)[0], front(sound)[0] + 2 * np.log(3))


def tiny_bert(**options: Any) -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=30,
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        **options,
    )
    return transformers.BertModel(config)


def test_hugging_face_gives_its_own_states() -> None:
    model = tiny_bert().double().eval()
    rows = texts()
    ids = padded(rows, 9)
    encoder = HuggingFace(model, gives="both")
    assert encoder.features == 12
    states = encoder(ids)
    for place, row in enumerate(rows[1:], 1):
        alone = model(input_ids=row[None]).last_hidden_state[0]
        torch.testing.assert_close(states.tokens[place, : len(row)], alone, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(states.sentence[place], alone.mean(0), rtol=1e-9, atol=1e-9)
        assert not states.tokens[place, len(row) :].any()
    assert not states.sentence[0].any()
    given = {"input_ids": ids, "attention_mask": (ids != 0).long()}
    close(HuggingFace(model)(given), states.sentence)
    torch.testing.assert_close(HuggingFace(model, pool="first")(padded(rows, 14)), states.tokens[:, 0])
    other = HuggingFace(tiny_bert(pad_token_id=29).eval(), gives="tokens")
    assert not other(torch.tensor([[3, 4, 29]]))[0, 2].any()


def test_hugging_face_by_name_asks_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = tiny_bert(), []

    class Auto:
        @staticmethod
        def from_pretrained(name: str) -> Any:
            asked.append(name)
            return model

    monkeypatch.setitem(sys.modules, "transformers", types.SimpleNamespace(AutoModel=Auto))  # type: ignore[arg-type]
    assert HuggingFace("some/model").model is model
    assert asked == ["some/model"]
    monkeypatch.setitem(sys.modules, "transformers", None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="HuggingFace needs transformers, which cannot be imported"):
        HuggingFace("some/model")


class StandIn(nn.Module):
    """What a convolutional model of timm looks like from outside."""

    num_features = 5

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 5, 3, 2, 1)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.layer(x)


def test_timm_by_name_asks_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def create_model(name: str, pretrained: bool, num_classes: int) -> nn.Module:
        asked.append((name, pretrained, num_classes))
        return StandIn()

    monkeypatch.setitem(sys.modules, "timm", types.SimpleNamespace(create_model=create_model))  # type: ignore[arg-type]
    encoder = Timm("resnet18", gives="both")
    assert asked == [("resnet18", False, 0)]
    x = torch.rand(2, 3, 8, 8)
    states = encoder(x)
    close(states.map, encoder.model.layer(x))
    close(states.pooled, states.map.mean((2, 3)))
    assert Timm(StandIn())(x).shape == (2, 5)
    monkeypatch.setitem(sys.modules, "timm", None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Timm needs timm, which cannot be imported"):
        Timm("resnet18")


def test_heads_choose_the_whole_or_its_parts() -> None:
    torch.manual_seed(0)
    intent = Task("intent", "multiclass", classes=4)
    body = BiLSTM(30, 6, 5, gives="both")
    heads = {
        "intent": SentenceHead(kind_of(intent).head(body.features, intent)),
        "slots": TokenHead(nn.Linear(body.features, 6)),
    }
    model = HardSharing(body, heads)
    outputs = model(padded(texts(), 9))
    assert outputs["intent"].shape == (7, 4)
    assert outputs["slots"].shape == (7, 9, 6)
    net = HardSharing(
        ResNet(1, 8, (1,), gives="both"), {"class": PooledHead(nn.Linear(8, 2)), "map": MapHead(nn.Conv2d(8, 3, 1))}
    )
    found = net(torch.zeros(2, 1, 6, 6))
    assert found["class"].shape == (2, 2)
    assert found["map"].shape == (2, 3, 6, 6)


@pytest.mark.parametrize("name", [*TEXT, "resnet", "sound", "tabular"])
def test_the_seed_makes_the_net(name: str) -> None:
    others = {"resnet": lambda: ResNet(1, 4, (1,)), "sound": LogMelCNN, "tabular": lambda: TabularMLP(3, (4,), (5,))}
    make = {**TEXT, **others}[name]
    nets = []
    for _ in range(2):
        torch.manual_seed(7)
        nets.append(make().state_dict())
    for left, right in zip(nets[0].values(), nets[1].values(), strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: BiLSTM(9, gives="words"), "BiLSTM: gives='words' is unknown; expected one of 'sentence'"),
        (lambda: BiLSTM(9, pool="min"), "pool='min' is unknown"),
        (lambda: BiLSTM(9)(torch.zeros(2, 3)), r"BiLSTM takes whole numbers \(n, T\).*given torch.float32 \(2, 3\)"),
        (lambda: TextCNN(9)(["a", "b"]), "TextCNN takes whole numbers"),
        (lambda: BagOfNgrams(9, weights=[1.0]), r"weights has shape \(1,\); expected \(9,\)"),
        (lambda: TabularMLP(0, ()), "there is nothing to read"),
        (lambda: TabularMLP(2)(torch.zeros(3, 5)), r"array 'numeric' has shape \(3, 5\); expected \(n, 2\)"),
        (lambda: TabularMLP(2)({"text": torch.zeros(1)}), "x has no array 'numeric'; it has 'text'"),
        (lambda: TabularMLP(2, others={"t": nn.Linear(1, 1)}), "the encoder of 't', Linear, does not say its width"),
        (lambda: TabularMLP(2, normalization="unit"), "normalization='unit' is unknown"),
        (lambda: ResNet(stem=3), "ResNet: stem=3"),
        (lambda: ResNet(3)(torch.zeros(2, 1, 8, 8)), r"ResNet takes pictures \(n, 3, height, width\); given \(2, 1"),
        (lambda: LogMel(8000, mels=200), "200 bands are too many"),
        (lambda: LogMelCNN()(torch.zeros(2, 3, 4)), r"LogMelCNN takes sounds \(n, L\)"),
        (lambda: TokenHead(nn.Linear(4, 1))(torch.zeros(2, 4)), r"a head reads \.tokens .* which is \(2, 4\)"),
        (lambda: Timm(StandIn(), gives="all"), "Timm: gives='all' is unknown"),
    ],
)
def test_what_is_wrong_is_told(make: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        make()
