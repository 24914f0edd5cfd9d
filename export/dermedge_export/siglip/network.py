"""The image tower as it is exported: pixels in, an embedding and each patch's share in it out.

The pooling head's probe is a constant, so its query is folded into the key projection. What a patch brings to
the pooled vector (its attended value) is pushed through the rest of the head by that head's Jacobian at the
pooled vector. The head is not linear, so these shares do not add up to the embedding; what is missing is the
same for all patches and is spread evenly over them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .load import Checkpoint, CheckpointError, Preprocessing

VISION = "vision_model."


class Linear(nn.Module):
    """Kernel stored as [inputs, outputs], so that the graph holds no transposition."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(outputs), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.fused = True
        self.query, self.key, self.value, self.out = (Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.query(x), self.key(x), self.value(x)
        if self.fused and torch.onnx.is_in_onnx_export():
            # ONNX Runtime's own operator: it never holds the whole score matrix, and takes half the time.
            told = {"num_heads": self.heads, "scale": (q.shape[-1] // self.heads) ** -0.5}
            mixed = torch.onnx.ops.symbolic(
                "com.microsoft::MultiHeadAttention", (q, k, v), told, dtype=q.dtype, shape=q.shape, version=1
            )
        else:
            mixed = self.mix(q, k, v)
        return self.out(mixed)

    def mix(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Of tensors [..., patches, width]."""
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(-3, -2) for t in (query, key, value))
        return F.scaled_dot_product_attention(q, k, v).transpose(-3, -2).flatten(-2)


class Block(nn.Module):
    def __init__(self, width: int, inner: int, heads: int, epsilon: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, epsilon) for _ in range(2))
        self.attention = Attention(width, heads)
        self.expand, self.reduce = Linear(width, inner), Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.reduce(F.gelu(self.expand(self.norm2(x)), approximate="tanh"))


class PoolingHead(nn.Module):
    """Attention with one constant probe, then a residual MLP."""

    def __init__(self, width: int, inner: int, heads: int, epsilon: float) -> None:
        super().__init__()
        self.heads = heads
        self.key = nn.Parameter(torch.empty(width, heads), requires_grad=False)
        self.value = nn.Parameter(torch.empty(width, width), requires_grad=False)
        self.value_bias = nn.Parameter(torch.empty(width), requires_grad=False)
        self.out = Linear(width, width)
        self.norm = nn.LayerNorm(width, epsilon)
        self.expand, self.reduce = Linear(width, inner), Linear(inner, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        attended = self.attend(x, x @ self.value)
        pooled = self.out(attended.sum(1, keepdim=True) + self.value_bias)
        inner = self.expand(self.norm(pooled))
        answer = pooled + self.reduce(F.gelu(inner, approximate="tanh"))
        length = answer.square().sum(-1, keepdim=True).sqrt()

        brought = attended @ self.out.weight
        shares = brought + (self.normed(brought, pooled) @ self.expand.weight * slope(inner)) @ self.reduce.weight
        missing = (answer - shares.sum(1, keepdim=True)) / x.shape[1]
        return (answer / length).squeeze(1), (shares + missing) / length

    def attend(self, x: Tensor, values: Tensor) -> Tensor:
        """What each patch brings to the pooled vector: its values, weighed by head."""
        weights = (x @ self.key).softmax(-2)
        return (values.unflatten(-1, (self.heads, -1)) * weights[..., None]).flatten(-2)

    def normed(self, change: Tensor, at: Tensor) -> Tensor:
        """The layer norm's Jacobian at `at`, applied to each row of `change`."""
        centred = at - at.mean(-1, keepdim=True)
        spread = (centred.square().mean(-1, keepdim=True) + self.norm.eps).sqrt()
        unit = centred / spread
        along = (change * unit).mean(-1, keepdim=True)
        return (change - change.mean(-1, keepdim=True) - unit * along) / spread * self.norm.weight


def slope(x: Tensor) -> Tensor:
    """The derivative of the tanh form of GELU."""
    factor, cubic = math.sqrt(2 / math.pi), 0.044715
    bend = torch.tanh(factor * (x + cubic * x**3))
    return 0.5 * (1 + bend) + 0.5 * x * (1 - bend.square()) * factor * (1 + 3 * cubic * x.square())


class ImageTower(nn.Module):
    """`crop` uint8 [N, size, size, 3] to `embedding` [N, D] of length 1 and `patches` [N, P, D]."""

    def __init__(self, width: int, inner: int, layers: int, heads: int, size: int, patch: int, epsilon: float) -> None:
        super().__init__()
        self.patch, self.grid = patch, size // patch
        self.embed = Linear(patch * patch * 3, width)
        self.position = nn.Parameter(torch.empty(self.grid**2, width), requires_grad=False)
        self.blocks = nn.ModuleList(Block(width, inner, heads, epsilon) for _ in range(layers))
        self.norm = nn.LayerNorm(width, epsilon)
        self.head = PoolingHead(width, inner, heads, epsilon)

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor]:
        embedding, patches = self.head(self.features(crop))
        return embedding, patches

    def features(self, crop: Tensor) -> Tensor:
        x = self.embedded(crop)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def embedded(self, crop: Tensor) -> Tensor:
        """What the first block gets."""
        side = self.grid * self.patch
        # Where the patch does not divide the size, the rest at the right and at the bottom is not seen.
        cells = crop[:, :side, :side].unflatten(2, (self.grid, self.patch)).unflatten(1, (self.grid, self.patch))
        return self.embed(cells.permute(0, 1, 3, 2, 4, 5).flatten(3).flatten(1, 2).float()) + self.position

    def linears(self) -> Iterator[tuple[str, Linear]]:
        """The linear layers of the blocks, by the names that their kernels have in the graph."""
        for name, module in self.blocks.named_modules(prefix="blocks"):
            if isinstance(module, Linear):
                yield name, module


def build(checkpoint: Checkpoint) -> ImageTower:
    """The tower with the checkpoint's weights, moved over one tensor at a time."""
    given = checkpoint.config.vision_config
    with torch.device("meta"):
        tower = ImageTower(
            given.hidden_size, given.intermediate_size, given.num_hidden_layers, given.num_attention_heads,
            given.image_size, given.patch_size, given.layer_norm_eps,
        )  # fmt: skip
    own = dict(tower.named_parameters())
    filled = set()
    for name, value in _renamed(checkpoint, given.num_attention_heads):
        if name not in own or own[name].shape != value.shape:
            raise CheckpointError(f"{checkpoint.name}: {name} {list(value.shape)} does not fit its own configuration")
        place, _, leaf = name.rpartition(".")
        setattr(tower.get_submodule(place), leaf, nn.Parameter(value.contiguous(), requires_grad=False))
        filled.add(name)
    if lacking := sorted(own.keys() - filled):
        raise CheckpointError(
            f"{checkpoint.name}: its weights lack {lacking[0]} ({len(lacking)} in all); download it again"
        )
    tower.eval()
    return tower


LAYER = {
    "layer_norm1": "norm1", "layer_norm2": "norm2", "self_attn.q_proj": "attention.query",
    "self_attn.k_proj": "attention.key", "self_attn.v_proj": "attention.value", "self_attn.out_proj": "attention.out",
    "mlp.fc1": "expand", "mlp.fc2": "reduce",
}  # fmt: skip
HEAD = {"layernorm": "norm", "mlp.fc1": "expand", "mlp.fc2": "reduce", "attention.out_proj": "out"}


def _renamed(checkpoint: Checkpoint, heads: int) -> Iterator[tuple[str, Tensor]]:
    pooling: dict[str, Tensor] = {}
    patches: dict[str, Tensor] = {}
    for full, value in checkpoint.tensors(VISION):
        name = full.removeprefix(VISION)
        part, _, leaf = name.rpartition(".")
        if name.startswith("encoder.layers."):
            number, _, rest = part.removeprefix("encoder.layers.").partition(".")
            yield f"blocks.{number}.{LAYER.get(rest, rest)}.{leaf}", _kernel(value, "norm" not in rest)
        elif part == "post_layernorm":
            yield f"norm.{leaf}", value
        elif name == "embeddings.position_embedding.weight":
            yield "position", value
        elif part == "embeddings.patch_embedding":
            patches[leaf] = value
        elif name.startswith("head."):
            rest = part.removeprefix("head.")
            if rest in HEAD:
                yield f"head.{HEAD[rest]}.{leaf}", _kernel(value, "norm" not in rest)
            else:
                pooling[leaf] = value
    try:
        yield from _patch_kernel(patches["weight"], patches["bias"], checkpoint.preprocessing)
        yield from _probe_folded(pooling["probe"], pooling["in_proj_weight"], pooling["in_proj_bias"], heads)
    except KeyError as error:
        raise CheckpointError(
            f"{checkpoint.name}: its weights lack {error}; it is no complete SigLIP checkpoint"
        ) from None


def _kernel(value: Tensor, linear: bool) -> Tensor:
    return value.T if linear and value.dim() == 2 else value


def _patch_kernel(weight: Tensor, bias: Tensor, preprocessing: Preprocessing) -> Iterator[tuple[str, Tensor]]:
    """The patch embedding over raw pixel values: normalisation is a part of it."""
    gain, offset = (
        torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (preprocessing.gain, preprocessing.offset)
    )
    wide = weight.double()
    yield "embed.weight", (wide * gain).permute(2, 3, 1, 0).flatten(0, 2).float()
    yield "embed.bias", (bias.double() + (wide * offset).sum((1, 2, 3))).float()


def _probe_folded(probe: Tensor, weight: Tensor, bias: Tensor, heads: int) -> Iterator[tuple[str, Tensor]]:
    query, key, value = weight.double().chunk(3)
    asked = (query @ probe.double().flatten() + bias.double().chunk(3)[0]).unflatten(0, (heads, -1))
    # What the key's bias adds is the same for every patch of a head, and the softmax does not see it.
    folded = torch.einsum("hd,hdw->wh", asked, key.unflatten(0, (heads, -1))) / math.sqrt(asked.shape[1])
    yield "head.key", folded.float()
    yield "head.value", value.T.float()
    yield "head.value_bias", bias.chunk(3)[2]
