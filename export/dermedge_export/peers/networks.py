"""The pack's two networks in every contestant's own format, and the proof that they are the same networks."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from dermedge import Scanner, UsageError
from dermedge.crop import cut
from dermedge.detector import GREY, letterbox
from dermedge.photo import read_photo
from dermedge.result import Detection
from dermedge.tower import VIEWS as ALL_VIEWS
from dermedge.tower import turned

from . import openvino_make
from .contestant import onnxruntime_defaults
from .float_graph import float_graph
from .torch_network import TorchNetwork

NETWORKS = ("detector", "tower")
VIEWS = ALL_VIEWS[:4]
SAME = 1e-4
"""How far torch may be from the float graph, of the largest value: float arithmetic in another order, no more."""


@dataclass(frozen=True, slots=True)
class Sameness:
    """How far the rebuilt networks are from the pack's."""

    torch: float
    """Largest difference between torch and the float graph, relative to the largest value."""
    pack_cosine: float
    """Least cosine between the float tower and the pack's own, which rounds activations too."""


def prepare(pack: Path, photos: list[Path], room: Path, openvino: Path | None) -> Sameness:
    """Write the networks under `room`, check that they agree, and have OpenVINO's made."""
    pixels = calibration(pack, photos)
    with Scanner.open(pack, provider="cpu") as scanner:
        manifest = scanner.pack.manifest
        graphs = {"detector": manifest.detector.graph, "tower": manifest.tower.graph}
        apart, cosines = [], []
        for name in NETWORKS:
            folder = room / Path(graphs[name]).stem
            folder.mkdir(parents=True, exist_ok=True)
            graph = float_graph(onnx.load(str(pack / graphs[name])))
            (folder / "float.onnx").write_bytes(graph.SerializeToString())
            for dtype in (torch.float32, torch.bfloat16):
                torch.save(TorchNetwork(graph, dtype), folder / f"{str(dtype).removeprefix('torch.')}.pt")
            torch.save(TorchNetwork(graph, channels_last=True), folder / "channels_last.pt")
            np.save(folder / "calibration.npy", pixels[name])
            exact, network = onnxruntime_defaults(folder, 1), TorchNetwork(graph)
            for image in pixels[name][:: len(VIEWS)]:
                wanted, found = exact(graph.graph.input[0].name, image[None]), network.answer(image[None])
                apart += [float(np.abs(found[k] - v).max() / np.abs(v).max()) for k, v in wanted.items()]
                if name == "tower":
                    own = scanner.tower._graph.run({"crop": image[None]})["embedding"]
                    cosines.append(float((own * wanted["embedding"]).sum()))
    same = Sameness(max(apart), min(cosines))
    if not same.torch <= SAME:
        raise UsageError(f"torch gives other answers than the graph it was rebuilt from (off by {same.torch:.2g})")
    made = [room / Path(graphs[name]).stem / file for name in NETWORKS for file in ("weights.xml", "calibrated.xml")]
    if openvino is not None and not all(file.exists() for file in made):  # minutes of work
        folders = [str(room / Path(graphs[name]).stem) for name in NETWORKS]
        done = subprocess.run([str(openvino), openvino_make.__file__, *folders], capture_output=True, text=True)
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise UsageError(f"OpenVINO's networks cannot be made: {said[-1] if said else 'no reason given'}")
    return same


def calibration(pack: Path, photos: list[Path]) -> dict[str, NDArray[np.uint8]]:
    """Frames and crops of the photographs in four flips, as the networks see them."""
    frames, crops = [], []
    with Scanner.open(pack, provider="cpu") as scanner:
        size = scanner.pack.manifest.detector.size
        for path in photos:
            photo = read_photo(path)
            frames.append(cut(photo, letterbox(photo), size, "bilinear", GREY).pixels)
            found = [Detection(photo.frame, 1.0), *scanner.detector.find(photo)]
            crops += [scanner.crop(photo, detection.box).pixels for detection in found]
    return {
        name: np.stack([np.ascontiguousarray(turned(image, view)) for image in images for view in VIEWS])
        for name, images in (("detector", frames), ("tower", crops))
    }
