"""What activations look like, and evening them out before they are quantized, at no cost when the graph runs.

One int8 scale serves all channels of a layer's input. Where some channels are far louder than the others, or
sit far from zero, nothing is left of the rest. A layer norm before it can divide each channel and move it
towards zero, and the next kernel multiplies it and its bias adds what was taken: no answer changes. The same
goes from the values of an attention to its output layer, since attention weights add up to one; and what a
channel of the keys is divided by, the same channel of the queries can be multiplied with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .network import Block, ImageTower, Linear
from .scores import STEPS as KEY_STEPS

STRENGTHS = (0.25, 0.5, 0.75, 0.9)
"""0 leaves the activations as they are, 1 moves all of their unevenness into the weights."""
LEVELS = 255
STEPS = 64
"""Of a weight's seven bits, to either side of zero."""
TINY = 1e-5


@dataclass(frozen=True, slots=True)
class Range:
    """Of each channel, over all crops."""

    low: Tensor
    high: Tensor

    @property
    def middle(self) -> Tensor:
        return (self.low + self.high) / 2

    @property
    def reach(self) -> Tensor:
        return ((self.high - self.low) / 2).clamp(min=TINY)


@dataclass(frozen=True, slots=True)
class Activations(Range):
    """What went into one linear layer, by channel, over all crops."""

    mean: Tensor
    square: Tensor
    noise: float
    """What one int8 scale a picture for its input adds to its output, in parts of the output's power."""
    answered: Range
    """What came out of it."""

    @property
    def variance(self) -> Tensor:
        return (self.square - self.mean.square()).clamp(min=0)


@torch.inference_mode()
def observe(tower: ImageTower, crops: NDArray[np.uint8]) -> Mapping[str, Activations]:
    """Run the crops one by one, as the quantized graph will see them."""
    # All of it before the first pass: small results that stay behind among large passing ones would keep freed memory
    # in pieces, gigabytes of it at full size.
    seen = {name: _Seen(layer) for name, layer in tower.linears()}
    handles = [layer.register_forward_hook(seen[name].see) for name, layer in tower.linears()]
    try:
        for crop in crops:
            tower.features(torch.from_numpy(crop.copy())[None])
    finally:
        for handle in handles:
            handle.remove()
    return {name: each.activations(len(crops)) for name, each in seen.items()}


class _Seen:
    """Gathers what goes into one layer, crop by crop."""

    def __init__(self, layer: Linear) -> None:
        channels, answers = layer.weight.shape
        self._given, self._answered = _empty(channels), _empty(answers)
        self._sum, self._squares = torch.zeros(channels), torch.zeros(channels)
        self._power = float(layer.weight.square().sum())
        self._noise = 0.0

    def see(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, Linear)
        x = inputs[0].flatten(0, -2)
        low, high = x.amin(0), x.amax(0)
        _widen(self._given, low, high)
        _widen(self._answered, output.flatten(0, -2).amin(0), output.flatten(0, -2).amax(0))
        self._sum += x.mean(0)
        self._squares += x.square().mean(0)
        step = float(high.max().clamp(min=0) - low.min().clamp(max=0)) / LEVELS
        signal = float((output - layer.bias).square().sum(-1).mean())
        self._noise += step**2 / 12 * self._power / max(signal, 1e-20)

    def activations(self, crops: int) -> Activations:
        low, high = self._given.low, self._given.high
        mean, square, noise = self._sum / crops, self._squares / crops, self._noise / crops
        return Activations(low, high, mean, square, noise, self._answered)


def _empty(channels: int) -> Range:
    return Range(torch.full((channels,), torch.inf), torch.full((channels,), -torch.inf))


def _widen(reached: Range, low: Tensor, high: Tensor) -> None:
    """In place."""
    torch.minimum(reached.low, low, out=reached.low)
    torch.maximum(reached.high, high, out=reached.high)


@torch.no_grad()
def smooth(tower: ImageTower, seen: Mapping[str, Activations]) -> None:
    """Change the tower in place; its answers stay the same up to rounding."""
    for index, block in enumerate(tower.blocks):
        assert isinstance(block, Block)
        asked, name = block.attention, f"blocks.{index}.attention"
        _move(block.norm1, (asked.query, asked.key, asked.value), seen[f"{name}.query"])
        _move(asked.value, (asked.out,), seen[f"{name}.out"])
        _share(asked.query, seen[f"{name}.query"].answered, asked.key, seen[f"{name}.key"].answered)
        _move(block.norm2, (block.expand,), seen[f"blocks.{index}.expand"])


def _move(source: nn.LayerNorm | Linear, consumers: tuple[Linear, ...], seen: Activations) -> None:
    factor = quietest([layer.weight for layer in consumers], seen)
    for layer in consumers:
        layer.bias.add_(seen.middle @ layer.weight)
        layer.weight.mul_(factor[:, None])
    source.weight.requires_grad_(False).div_(factor)
    source.bias.requires_grad_(False).sub_(seen.middle).div_(factor)


def _share(query: Linear, queries: Range, key: Linear, keys: Range) -> None:
    """Between queries and keys, so that scores of int8 are off least.

    What is the same for all keys, the softmax does not see.
    """
    key.bias.sub_(keys.middle)
    loudest = torch.maximum(queries.high.abs(), queries.low.abs()).clamp(min=TINY)
    factor = fairest(loudest, keys.reach)
    for layer, by in ((query, factor), (key, 1 / factor)):
        layer.weight.mul_(by)
        layer.bias.mul_(by)


def fairest(queries: Tensor, keys: Tensor) -> Tensor:
    """What to multiply each channel of the queries with and divide that of the keys by, given how far they reach."""
    choices = [torch.ones_like(keys), *(keys**s / queries ** (1 - s) for s in (*STRENGTHS, 1.0))]
    return min(choices, key=lambda factor: _score_noise(queries * factor, keys / factor))


def _score_noise(queries: Tensor, keys: Tensor) -> float:
    """Of rounding errors in the one that meet the other."""
    of_queries, of_keys = queries.max() * 2 / LEVELS, keys.max() / KEY_STEPS
    return float(of_queries.square() * keys.square().sum() + of_keys.square() * queries.square().sum())


def quietest(weights: list[Tensor], seen: Activations) -> Tensor:
    """What to divide each channel by, so that int8 activations and weights together add the least noise."""
    heaviest = torch.stack([w.abs().amax(1) for w in weights]).amax(0).clamp(min=TINY)
    choices = [torch.ones_like(heaviest), *(seen.reach**s / heaviest ** (1 - s) for s in STRENGTHS)]
    return min(choices, key=lambda factor: _noise(factor.clamp(min=TINY), weights, seen)).clamp(min=TINY)


def _noise(factor: Tensor, weights: list[Tensor], seen: Activations) -> float:
    """Of evenly distributed rounding errors: those of the activations, and those of the weights."""
    activation = float((seen.reach / factor).max()) * 2 / LEVELS
    power = float((seen.variance / factor.square()).sum())
    return sum(
        activation**2 * float(w.square().sum()) + power * float((w.abs().amax(0) / STEPS).square().sum())
        for w in (factor[:, None] * w for w in weights)
    )


def noisiest(seen: Mapping[str, Activations], share: float) -> tuple[str, ...]:
    """The layers that int8 hurts most, `share` of all of them."""
    ranked = sorted(seen, key=lambda name: (-seen[name].noise, name))
    return tuple(sorted(ranked[: max(1, round(share * len(ranked)))])) if share else ()
