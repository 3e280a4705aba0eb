"""Modules of one shape, one a task, evaluated as one product: their weights are put together at the forward pass."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

ACTIVATIONS = (
    nn.Identity,
    nn.ReLU,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.Softplus,
)
"""Entry by entry and without state, so that they act on many tasks' values at once."""


def shape_of(module: nn.Module) -> Hashable | None:
    """Give what two modules must agree in to be one product; None for one that has to be evaluated by itself."""
    layers = [*module] if type(module) is nn.Sequential else [module]
    found = [_layer(layer) for layer in layers]
    if None in found or not isinstance(layers[0], nn.Linear) or _listened(module):
        return None
    return tuple(found)


def columns(modules: Sequence[nn.Module], inputs: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Give each module's output, of modules of one shape (k of them).

    ``y_k = W_k x + b_k`` is (n, k o), one product with W (k o, i) where all take one x (n, i), and
    ``(k, n, i) x (k, i, o)`` where each takes its own. Outputs are views of one tensor, taken apart at once: a view
    at a time would make the backward pass as long as the square of their number.

    Examples
    --------
    >>> two = [nn.Linear(3, 1), nn.Linear(3, 1)]
    >>> x = torch.randn(5, 3)
    >>> [torch.allclose(y, one(x), atol=1e-6) for y, one in zip(columns(two, x), two)]
    [True, True]
    """
    k = len(modules)
    stacks = [[*module] if type(module) is nn.Sequential else [module] for module in modules]
    h, at = (inputs, None) if isinstance(inputs, Tensor) else (torch.stack(list(inputs), -2), -2)
    for layers in zip(*stacks, strict=True):
        first = layers[0]
        if not isinstance(first, nn.Linear):
            h = first(h)
            continue
        bias = None if first.bias is None else torch.stack([layer.bias for layer in layers])
        if at is None:
            weight = torch.cat([layer.weight for layer in layers])
            h = linear(h, weight, None if bias is None else bias.flatten()).unflatten(-1, (k, -1))
        else:
            weight = torch.stack([layer.weight for layer in layers])
            rows = h.reshape(-1, k, h.shape[-1]).transpose(0, 1)
            product = rows @ weight.transpose(1, 2) if bias is None else torch.baddbmm(bias[:, None], rows, weight.mT)
            h = product.transpose(0, 1).reshape(*h.shape[:-1], weight.shape[1])
        at = -2
    return h.unbind(-2)


def _layer(layer: nn.Module) -> Hashable | None:
    if _listened(layer):
        return None
    if type(layer) is nn.Linear:
        weight = layer.weight
        return (layer.in_features, layer.out_features, layer.bias is None, weight.dtype, str(weight.device))
    return repr(layer) if type(layer) in ACTIVATIONS else None


def _listened(module: nn.Module) -> bool:
    """Whether somebody's hook waits for the module to be called."""
    return any(
        getattr(module, name)
        for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    )
