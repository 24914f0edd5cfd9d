"""The linear layers' weights on the int8 grid, rounded so that a layer's answer moves least rather than each weight.

Seven bits are what every processor multiplies without overflow: an instruction of x86 without VNNI adds two
products of an unsigned and a signed byte in sixteen bits, and 2 * 255 * 64 is below 32768. Rounding each
weight to the nearest of so few steps costs more than the int8 activations do. Here every weight's rounding
error is made good by the weights of its column that are still to come, as far as the layer's inputs allow
(Frantar et al.: GPTQ, 2022), and what an error adds on average goes into the bias.

The tower sees each layer's inputs as the quantized graph will, with the errors of all layers before it.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from .network import Block, ImageTower, Linear, PoolingHead, slope

PEAK = 64
"""The largest weight of a column, in steps; the quantizer finds the same grid again by it."""
DAMPING = 0.01
"""Added to the inputs' second moments, in parts of their mean: directions that no crop showed stay as they are."""
AT_ONCE = 128
"""Rows between two updates of the whole rest: only a matter of speed."""
LEVELS = 255
TINY = 1e-30


@torch.no_grad()
def round_weights(tower: ImageTower, crops: NDArray[np.uint8], in_float: Collection[str] = ()) -> None:
    """Change the tower in place; the layers named in `in_float` keep their weights."""
    exact = [tower.embedded(torch.from_numpy(crop.copy())[None])[0] for crop in crops]
    rough = list(exact)
    for index, block in enumerate(tower.blocks):
        assert isinstance(block, Block)
        exact, rough = _block(block, f"blocks.{index}", exact, rough, in_float)
    _head(tower.head, [tower.norm(x) for x in exact], [tower.norm(x) for x in rough])


Stream = list[Tensor]
"""One matrix a crop."""


def _block(block: Block, name: str, exact: Stream, rough: Stream, in_float: Collection[str]) -> tuple[Stream, Stream]:
    asked = block.attention
    given, seen = [block.norm1(x) for x in exact], [block.norm1(x) for x in rough]
    upper = _compensation(_moments([as_int8(x) for x in seen]))
    wanted: list[Stream] = []
    mixed: list[Stream] = []
    for layer, part in ((asked.query, "query"), (asked.key, "key"), (asked.value, "value")):
        wanted.append([layer(x) for x in given])
        mixed.append(_fit(layer, seen, wanted[-1], f"{name}.attention.{part}" in in_float, upper))
    given = [asked.mix(q, k, v) for q, k, v in zip(*wanted, strict=True)]
    seen = [asked.mix(q, k, v) for q, k, v in zip(*mixed, strict=True)]
    exact, rough = _residual(asked.out, exact, rough, given, seen, f"{name}.attention.out" in in_float)

    answers = [block.expand(block.norm2(x)) for x in exact]
    inner = _fit(block.expand, [block.norm2(x) for x in rough], answers, f"{name}.expand" in in_float)
    given, seen = ([F.gelu(x, approximate="tanh") for x in stream] for stream in (answers, inner))
    return _residual(block.reduce, exact, rough, given, seen, f"{name}.reduce" in in_float)


def _residual(
    layer: Linear, exact: Stream, rough: Stream, given: Stream, seen: Stream, in_float: bool
) -> tuple[Stream, Stream]:
    """What a layer adds to the stream; its bias also takes back what the stream is off on average."""
    after = [x + layer(y) for x, y in zip(exact, given, strict=True)]
    answers = _fit(layer, seen, [a - x for a, x in zip(after, rough, strict=True)], in_float)
    return after, [x + y for x, y in zip(rough, answers, strict=True)]


def _head(head: PoolingHead, exact: Stream, rough: Stream) -> None:
    """As the blocks; and the pooled vectors are moved to a mean of zero over the crops, which biases take back.

    Those of different crops are much alike, and only their differences are worth an int8 scale.
    """
    attended = [head.attend(x, x @ head.value) for x in exact]
    pooled = [head.out(x.sum(0, keepdim=True) + head.value_bias) for x in attended]
    inner = [head.expand(head.norm(x)) for x in pooled]
    wanted = [x + head.reduce(F.gelu(y, approximate="tanh")) for x, y in zip(pooled, inner, strict=True)]

    seen = [as_int8(x) for x in rough]
    head.value.copy_(rounded(head.value, _compensation(_moments(seen))))
    attended = [head.attend(x, y @ head.value) for x, y in zip(rough, seen, strict=True)]
    head.value_bias.copy_(-_mean([x.sum(0, keepdim=True) for x in attended]))
    seen, shares = [x.sum(0, keepdim=True) + head.value_bias for x in attended], [as_int8(x) for x in attended]
    pooled = _fit(head.out, seen, pooled, upper=_shared(seen, shares))

    head.norm.bias.sub_(_mean([head.norm(x) for x in pooled]))
    seen = [head.norm(x) for x in pooled]
    shares = [as_int8(head.normed(x @ head.out.weight, y)) for x, y in zip(shares, pooled, strict=True)]
    inner = _fit(head.expand, seen, inner, upper=_shared(seen, shares))

    seen = [F.gelu(x, approximate="tanh") for x in inner]
    shares = [as_int8(x @ head.expand.weight * slope(y)) for x, y in zip(shares, inner, strict=True)]
    wanted = [x - y for x, y in zip(wanted, pooled, strict=True)]
    _fit(head.reduce, seen, wanted, upper=_shared(seen, shares))


def _shared(seen: Stream, shares: Stream) -> Tensor:
    """For weights that serve one vector a crop, and its patches' shares: so many times smaller, and so many more."""
    return _compensation(_moments(seen) + len(shares[0]) * _moments(shares))


def _fit(layer: Linear, seen: Stream, wanted: Stream, in_float: bool = False, upper: Tensor | None = None) -> Stream:
    """Round the layer for what it sees and set its bias so that it answers what is wanted on average."""
    if not in_float:
        seen = [as_int8(x) for x in seen]
        layer.weight.copy_(rounded(layer.weight, _compensation(_moments(seen)) if upper is None else upper))
    answers = [x @ layer.weight for x in seen]
    layer.bias.copy_(_mean(wanted) - _mean(answers))
    return [x + layer.bias for x in answers]


def _mean(stream: Stream) -> Tensor:
    return torch.stack([x.double().mean(0) for x in stream]).mean(0).float()


def _moments(stream: Stream) -> Tensor:
    total = stream[0].T @ stream[0]
    for x in stream[1:]:
        total.addmm_(x.T, x)
    return total


def as_int8(x: Tensor) -> Tensor:
    """What DynamicQuantizeLinear leaves of it."""
    low, high = x.amin().clamp(max=0), x.amax().clamp(min=0)
    step = ((high - low) / LEVELS).clamp(min=TINY)
    zero = (-low / step).round()
    return (((x / step).round() + zero).clamp(0, LEVELS) - zero) * step


def rounded(weight: Tensor, upper: Tensor) -> Tensor:
    """`weight` [inputs, outputs] on each column's grid of -PEAK to PEAK steps, its largest weight at an end.

    `upper` is what _compensation makes of the inputs' second moments.
    """
    step = weight.abs().amax(0) / PEAK
    step = torch.where(step > 0, step, torch.ones_like(step))
    ends = weight.abs().argmax(0)
    rest = weight.clone()
    for start in range(0, len(rest), AT_ONCE):
        stop = min(start + AT_ONCE, len(rest))
        errors = torch.empty_like(rest[start:stop])
        for i in range(start, stop):
            kept = (rest[i] / step).round().clamp(-PEAK, PEAK)
            kept = torch.where(ends == i, PEAK * weight[i].sign(), kept) * step
            errors[i - start] = (rest[i] - kept) / upper[i, i]
            rest[i + 1 : stop] -= torch.outer(upper[i, i + 1 : stop], errors[i - start])
            rest[i] = kept
        rest[stop:] -= upper[start:stop, stop:].T @ errors
    return rest


def _compensation(moments: Tensor) -> Tensor:
    """How the error in one weight is spread over those after it: U, upper triangular, of the inverse moments U'U."""
    damped = moments.double()
    damped.diagonal().add_(DAMPING * damped.diagonal().mean().clamp(min=TINY))
    # Factored from the last input to the first, the moments are RR' with R upper triangular, and U is R's inverse.
    factor = torch.linalg.cholesky(damped.flip(0, 1)).flip(0, 1)
    return torch.linalg.solve_triangular(factor, torch.eye(len(factor), dtype=factor.dtype), upper=True).float()
