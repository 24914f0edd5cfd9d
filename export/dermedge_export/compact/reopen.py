"""A finished pack as the parts it was put together from: a checkpoint that training can go on from, and its detector.

A pack holds no float weights, so the int8 kernels are dequantized. Nor does it hold batch norms, which its graph has
folded into the kernels: they come back with the statistics of training crops, and with weights that undo just these.
The tower answers as its graph does, up to the rounding of activations.

`dermedge-export compact-reopen --pack artifacts/compact --data DATA --out FOLDER`
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from dermedge import UsageError
from dermedge.pack import VerifiedPack, verify
from dermedge.pack.manifest import Manifest
from dermedge.pack.reading import canonical, document_of

from .augment import AugmentSettings
from .batches import BatchSettings, TrainingBatches
from .data import SOURCES, read_photos
from .network import VARIANTS, NetworkSettings, SameConv, Tower
from .soup import SoupSettings
from .train import save


def settings_of(manifest: Manifest, prompts: NDArray[np.float32], rejects: NDArray[np.float32]) -> NetworkSettings:
    variant = manifest.source.model.removeprefix("EfficientNet-").lower()
    if variant not in VARIANTS:
        model = manifest.source.model
        raise UsageError(f"{manifest.id}: its tower is {model}, and only an EfficientNet-Lite can be reopened")
    modalities, conditions, dimension = prompts.shape
    return NetworkSettings(variant, dimension, conditions, modalities, len(rejects))


def weights_of(graph: onnx.ModelProto) -> dict[str, Tensor]:
    """Every constant of the graph by the name under which its nodes read it, in float."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    values = dict(constants)
    for node in graph.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            rounded, scale, zero = (constants[name].astype(np.float32) for name in node.input)
            # One scale for each output channel, which is a kernel's first axis.
            shape = (-1, *[1] * (rounded.ndim - 1)) if scale.size > 1 else ()
            values[node.output[0]] = (rounded - zero.reshape(shape)) * scale.reshape(shape)
    return {name: torch.from_numpy(np.array(v, np.float32)) for name, v in values.items() if v.dtype.kind in "fiu"}


def convolutions(tower: Tower) -> Iterator[tuple[str, SameConv, nn.BatchNorm2d]]:
    """Each convolution by its name in the graph, with the norm behind it."""
    modules = dict(tower.named_modules())
    for name, conv in modules.items():
        if isinstance(conv, SameConv):
            layers, index = name.rsplit(".", 1)
            norm = modules[f"{layers}.{int(index) + 1}"]
            assert isinstance(norm, nn.BatchNorm2d)
            yield name.replace(".layers", ""), conv, norm


@torch.no_grad()
def fill(tower: Tower, graph: onnx.ModelProto) -> None:
    """The graph's kernels, with norms that do nothing but add the graph's biases."""
    weights = weights_of(graph)
    inputs = {node.name: node.input for node in graph.graph.node if node.op_type == "Conv"}
    for name, conv, norm in convolutions(tower):
        _, kernel, bias = inputs[name]
        conv.weight.copy_(weights[kernel])
        norm.bias.copy_(weights[bias])
        norm.weight.fill_(1.0)
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
    tower.projection.weight.copy_(weights["projection.weight"].T)
    tower.projection.bias.copy_(weights["projection.bias"])


@torch.no_grad()
def restore_norms(tower: Tower, batches: Iterable[Tensor]) -> None:
    """Give the norms the statistics of what they see on these crops, and weights that undo them."""
    sums: dict[str, Tensor] = {}

    def count(name: str, _: nn.Module, __: tuple[Tensor, ...], seen: Tensor) -> None:
        values = seen.double().transpose(0, 1).flatten(1)
        found = torch.stack([torch.full((len(values),), values.shape[1]), values.sum(1), values.square().sum(1)])
        sums[name] = sums.get(name, torch.zeros_like(found)) + found

    listed = list(convolutions(tower))
    hooks = [conv.register_forward_hook(partial(count, name)) for name, conv, _ in listed]
    tower.eval()
    for crops in batches:
        tower.features(crops.float().contiguous(memory_format=torch.channels_last))
    for hook in hooks:
        hook.remove()
    for name, _, norm in listed:
        number, total, squares = sums[name]
        mean = total / number
        variance = (squares / number - mean.square()).clamp(min=0)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)


@torch.no_grad()
def take_vectors(tower: Tower, manifest: Manifest, vectors: Mapping[str, NDArray[np.float32]]) -> None:
    prompts, rejects, modalities = (torch.from_numpy(vectors[name]) for name in ("prompts", "rejects", "modalities"))
    tower.shared.copy_(prompts[0])
    tower.deltas.copy_(prompts - prompts[0])
    tower.reject_vectors.copy_(rejects)
    tower.modality_vectors.copy_(modalities)
    tower.log_scale.fill_(math.log(next(iter(manifest.scoring.values())).scale))
    tower.log_modality_scale.fill_(math.log(manifest.vectors.modality_scale))


def take_detector(pack: VerifiedPack, out: Path) -> None:
    """Detector and segmenter as `compact-assemble` reads them: graphs, settings and what was measured."""
    manifest = pack.manifest
    if manifest.segmenter is None:
        raise UsageError(f"{manifest.id}: it has no segmenter, and a compact pack is put together with one")
    out.mkdir(parents=True, exist_ok=True)
    found, outlines = document_of(manifest.detector), document_of(manifest.segmenter)
    graphs = {"detector": found.pop("graph"), "encoder": outlines.pop("encoder"), "decoder": outlines.pop("decoder")}
    for part, name in graphs.items():
        shutil.copyfile(pack.folder / name, out / f"{part}.onnx")
    for part, settings in (("detector", found), ("segmenter", outlines)):
        measured = document_of(manifest.metrics.get(part, {}))
        (out / f"{part}.json").write_bytes(canonical({**measured, **settings}))


def take_left_out(manifest: Manifest, out: Path) -> None:
    """What the recipe did on cameras that it never saw, for `compact-assemble --left-out`.

    It was measured on a tower of its own, so it stays true of whatever goes on from here by the same recipe.
    """
    if measured := manifest.metrics.get("left_out"):
        (out / "left-out.json").write_bytes(canonical(document_of(measured)))


def reopen(folder: Path, data: Path, out: Path, batches: int = SoupSettings.batches) -> None:
    """Write `tower.pt`, which `train --start-from`, `soup` and `export_tower` take, and what `compact-assemble` takes.

    That is `detector-pack` and, if the pack tells of cameras left out, `left-out.json`.
    """
    pack = verify(folder)
    manifest = pack.manifest
    files = manifest.vectors
    names = {"prompts": files.prompts, "rejects": files.rejects, "modalities": files.modalities}
    vectors = {kind: np.load(pack.folder / name, allow_pickle=False) for kind, name in names.items()}
    network = settings_of(manifest, vectors["prompts"], vectors["rejects"])
    tower = Tower(network).to(memory_format=torch.channels_last)
    fill(tower, onnx.load(pack.folder / manifest.tower.graph))
    take_vectors(tower, manifest, vectors)
    photos = read_photos(data, tuple(SOURCES), ("train",))
    stream = TrainingBatches(photos, manifest.tower.size, SoupSettings.seed, BatchSettings(), AugmentSettings())
    restore_norms(tower, (batch.crops for batch in islice(stream, batches)))
    take_detector(pack, out / "detector-pack")
    take_left_out(manifest, out)
    save(
        out / "tower.pt",
        {
            "network": asdict(network),
            "epoch": 0,
            "priors": torch.from_numpy(stream.priors()),
            "size": manifest.tower.size,
            "average": tower.state_dict(),
            "sources": list(SOURCES),
        },
    )
