"""What the float32 model says in torch, with its own image processor: the truth that every graph is held to."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from .ladder import Reference
from .load import Checkpoint, CheckpointError
from .network import build

SAME = 1e-3
"""Largest difference between the transformers model and the tower that is exported, before any quantization."""


def refer(checkpoint: Checkpoint, crops: Iterable[NDArray[np.uint8]]) -> Reference:
    """Embed the crops with the transformers library; the model is gone from memory afterwards."""
    from transformers import SiglipImageProcessor, SiglipVisionModel

    processor = SiglipImageProcessor.from_pretrained(checkpoint.folder, local_files_only=True)
    model = SiglipVisionModel.from_pretrained(
        checkpoint.folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
    ).eval()
    rows, seen = [], []
    with torch.inference_mode():
        for crop in crops:
            pixels = processor(Image.fromarray(crop), return_tensors="pt")["pixel_values"]
            rows.append(torch.nn.functional.normalize(model(pixel_values=pixels).pooler_output[0], dim=0).numpy())
            seen.append(crop)
    del model
    pixels, embeddings = np.stack(seen), np.stack(rows)
    with torch.inference_mode():
        vector, patches = build(checkpoint)(torch.from_numpy(pixels[:1]))
    if (difference := float(np.abs(vector[0].numpy() - embeddings[0]).max())) > SAME:
        raise CheckpointError(
            f"{checkpoint.name}: the tower that would be exported differs from the transformers model by "
            f"{difference:.4f}; this checkpoint uses something that is not served"
        )
    return Reference(pixels, embeddings, patches[0].numpy())
