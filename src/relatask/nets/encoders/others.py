"""Encoders of other libraries, imported when they are asked for: Hugging Face's text models, timm's picture models."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from relatask.nets.encoders.bilstm import GIVES
from relatask.nets.encoders.resnet import GIVES as GIVES_OF_PICTURES
from relatask.nets.encoders.resnet import pictured
from relatask.nets.encoders.states import PictureStates, TextStates, one_of
from relatask.nets.encoders.tokens import mean_of, token_numbers
from relatask.notices import InputError


class HuggingFace(nn.Module):
    """A text model of Hugging Face's transformers: its last hidden states, and a sentence made of them.

    Parameters
    ----------
    model : Module or str
        A model that gives `last_hidden_state`, or the name or folder of one, which is loaded (and downloaded where it
        is not there).
    pool : {"mean", "first"}
        The sentence is the mean of its tokens' states, or the first token's.
    gives : {"sentence", "tokens", "both"}
        As of `BiLSTM`.

    Attributes
    ----------
    features : int
        The model's hidden size.

    Raises
    ------
    InputError
        Where transformers is not installed, for unknown names, and inputs that are no tokens.

    Notes
    -----
    Tokens are numbers (n, T), padded by the model's own padding number, or a mapping with "input_ids" and
    "attention_mask" as its tokenizer gives. Where the padding number is not 0, labels of tokens know it too.
    """

    def __init__(self, model: Any, pool: str = "mean", gives: str = "sentence") -> None:
        super().__init__()
        self.gives = one_of(gives, GIVES, "gives", "HuggingFace")
        self.pool = one_of(pool, ("mean", "first"), "pool", "HuggingFace")
        if isinstance(model, str):
            model = _module("transformers", "HuggingFace", "transformers").AutoModel.from_pretrained(model)
        self.model = model
        self.features = int(model.config.hidden_size)
        self.padding = int(getattr(model.config, "pad_token_id", None) or 0)

    def forward(self, x: Any) -> Tensor | TextStates:
        """Give states of tokens (n, T)."""
        given = isinstance(x, Mapping)
        ids = token_numbers(x["input_ids"] if given else x, "HuggingFace").long()
        mask = x["attention_mask"].bool() if given and "attention_mask" in x else ids != self.padding
        open_ = mask | ~mask.any(1, keepdim=True)
        states = self.model(input_ids=ids, attention_mask=open_.long()).last_hidden_state * mask[..., None]
        if self.gives == "tokens":
            return states
        sentence = mean_of(states, mask) if self.pool == "mean" else states[:, 0]
        return sentence if self.gives == "sentence" else TextStates(states, sentence)


class Timm(nn.Module):
    """A picture model of timm: its last map, and the map's mean.

    Parameters
    ----------
    model : Module or str
        A model of timm, or the name of one.
    pretrained : bool
        Whether a named one comes with its weights, downloaded where they are not there.
    gives : {"pooled", "map", "both"}
        As of `ResNet`.

    Attributes
    ----------
    features : int
        The model's `num_features`.

    Raises
    ------
    InputError
        Where timm is not installed, for unknown names, and for models whose `forward_features` gives no map (n,
        features, height, width).
    """

    def __init__(self, model: Any, pretrained: bool = False, gives: str = "pooled") -> None:
        super().__init__()
        self.gives = one_of(gives, GIVES_OF_PICTURES, "gives", "Timm")
        if isinstance(model, str):
            model = _module("timm", "Timm", "timm").create_model(model, pretrained=pretrained, num_classes=0)
        self.model = model
        self.features = int(model.num_features)

    def forward(self, x: Tensor) -> Tensor | PictureStates:
        """Give (n, features), a map, or both, of pictures (n, channels, height, width)."""
        found = self.model.forward_features(pictured(x, next(self.model.parameters())))
        if found.ndim != 4 or found.shape[1] != self.features:
            raise InputError(
                f"Timm: {type(self.model).__name__} gives {tuple(found.shape)}; a map (n, {self.features}, height, "
                "width) is needed: take a convolutional model."
            )
        if self.gives == "map":
            return found
        pooled = found.mean((2, 3))
        return pooled if self.gives == "pooled" else PictureStates(found, pooled)


def _module(name: str, owner: str, package: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"{owner} needs {name}, which cannot be imported ({error}): pip install {package}, or give a model."
        ) from None
