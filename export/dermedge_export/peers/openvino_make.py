"""Float graphs to OpenVINO models with int8 weights, and calibrated ones; its interpreter needs openvino and nncf.

`python openvino_make.py FOLDER...`: each with float.onnx and calibration.npy (pixels); writes weights.xml and
calibrated.xml beside them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def make(folder: Path) -> None:
    import nncf  # type: ignore[import-not-found]
    import openvino  # type: ignore[import-not-found]

    source, pixels = str(folder / "float.onnx"), np.load(folder / "calibration.npy")
    weights = nncf.compress_weights(openvino.convert_model(source), mode=nncf.CompressWeightsMode.INT8_ASYM)
    openvino.save_model(weights, folder / "weights.xml", compress_to_fp16=False)
    data = nncf.Dataset([image[None] for image in pixels])
    # As in the pack: rounded too, the tail gives embeddings that are not of length 1, and no scan gets past that.
    tail = nncf.IgnoredScope(patterns=["tail/.*", "patches", "embedding"], validate=False)
    calibrated = nncf.quantize(openvino.convert_model(source), data, subset_size=len(pixels), ignored_scope=tail)
    openvino.save_model(calibrated, folder / "calibrated.xml", compress_to_fp16=False)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        make(Path(name))
