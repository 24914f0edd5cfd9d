"""What activations look like, and moving their loud channels into the weights before quantization.

A few channels of a layer norm's output are often far louder than the others. One int8 scale for all of them
leaves nothing for the rest. Dividing such a channel in the layer norm and multiplying it in the next kernel
changes no answer and evens them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .network import Block, ImageTower, Linear

STRENGTH = 0.5
"""0 leaves the activations as they are, 1 moves all of their unevenness into the weights."""
LEVELS = 255
TINY = 1e-5


@dataclass(frozen=True, slots=True)
class Activations:
    """What went into one linear layer."""

    loudest: Tensor
    """Of each channel."""
    noise: float
    """What one int8 scale a picture for its input adds to its output, in parts of the output's power."""


@torch.inference_mode()
def observe(tower: ImageTower, crops: NDArray[np.uint8]) -> Mapping[str, Activations]:
    """Run the crops one by one, as the quantized graph will see them."""
    loudest: dict[str, Tensor] = {}
    noise: dict[str, list[float]] = {}

    def watch(name: str, layer: Linear) -> torch.utils.hooks.RemovableHandle:
        weight = float(layer.weight.square().sum())

        def seen(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            x = inputs[0].flatten(0, -2)
            channels = x.abs().amax(0)
            loudest[name] = torch.maximum(loudest[name], channels) if name in loudest else channels
            step = float(x.max().clamp(min=0) - x.min().clamp(max=0)) / LEVELS
            signal = float((output - layer.bias).square().sum(-1).mean())
            noise.setdefault(name, []).append(step**2 / 12 * weight / max(signal, 1e-20))

        return layer.register_forward_hook(seen)

    handles = [watch(name, layer) for name, layer in tower.linears()]
    try:
        for crop in crops:
            tower.features(torch.from_numpy(crop.copy())[None])
    finally:
        for handle in handles:
            handle.remove()
    return {name: Activations(loudest[name], float(np.mean(noise[name]))) for name in loudest}


@torch.no_grad()
def smooth(tower: ImageTower, seen: Mapping[str, Activations]) -> None:
    """Change the tower in place; its answers stay the same up to rounding."""
    for index, block in enumerate(tower.blocks):
        assert isinstance(block, Block)
        asked = block.attention
        _move(block.norm1, (asked.query, asked.key, asked.value), seen[f"blocks.{index}.attention.query"].loudest)
        _move(block.norm2, (block.expand,), seen[f"blocks.{index}.expand"].loudest)


def _move(norm: nn.LayerNorm, consumers: tuple[Linear, ...], loudest: Tensor) -> None:
    heaviest = torch.stack([layer.weight.abs().amax(1) for layer in consumers]).amax(0).clamp(min=TINY)
    factor = (loudest.clamp(min=TINY) ** STRENGTH / heaviest ** (1 - STRENGTH)).clamp(min=TINY)
    norm.weight.requires_grad_(False).div_(factor)
    norm.bias.requires_grad_(False).div_(factor)
    for layer in consumers:
        layer.weight.mul_(factor[:, None])


def noisiest(seen: Mapping[str, Activations], share: float) -> tuple[str, ...]:
    """The layers that int8 hurts most, `share` of all of them."""
    ranked = sorted(seen, key=lambda name: (-seen[name].noise, name))
    return tuple(sorted(ranked[: max(1, round(share * len(ranked)))])) if share else ()
