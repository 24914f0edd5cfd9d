"""Writes small SigLIP checkpoints with random weights in exactly the files that the hub serves."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@cache
def shared() -> Path:
    """One checkpoint for all tests of a process that do not change it."""
    return checkpoint(Path(tempfile.mkdtemp(prefix="tiny-siglip-")) / "tiny-medsiglip")


def crops(count: int, size: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    """Pictures of a few soft blobs of colour each."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 5, 5, 3)).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(c).resize((size, size), Image.Resampling.BICUBIC)) for c in coarse])


def checkpoint(
    folder: Path, *, size: int = 64, patch: int = 8, width: int = 48, layers: int = 3, heads: int = 4, tokens: int = 64,
    seed: int = 0, outliers: float = 0.0,
) -> Path:  # fmt: skip
    """A complete checkpoint; `outliers` makes a few channels that much louder, and what reads them that much deafer."""
    import torch
    from transformers import SiglipConfig, SiglipModel

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = tokenizer(folder, tokens)
    shape = {"hidden_size": width, "intermediate_size": 2 * width + 8, "num_hidden_layers": layers,
             "num_attention_heads": heads}  # fmt: skip
    config = SiglipConfig(
        text_config=shape | {"vocab_size": vocabulary, "max_position_embeddings": tokens, "projection_size": width},
        vision_config=shape | {"image_size": size, "patch_size": patch},
    )
    torch.manual_seed(seed)
    model = SiglipModel(config)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.dim() > 1:
                # Wide enough that different pictures and texts end up in clearly different places.
                value.normal_(0, 2.0 / value.shape[-1] ** 0.5 if "embedding" not in name else 1.0)
            elif "norm" in name and "weight" in name:
                value.normal_(1, 0.2)
            elif "logit" not in name:
                value.normal_(0, 0.1)
        for layer in model.vision_model.encoder.layers if outliers else ():
            attention, loud = layer.self_attn, slice(0, None, width // 3)
            for norm, readers in (
                (layer.layer_norm1, (attention.q_proj, attention.k_proj, attention.v_proj)),
                (layer.layer_norm2, (layer.mlp.fc1,)),
            ):
                norm.weight[loud] *= outliers
                norm.bias[loud] *= outliers
                for reader in readers:
                    reader.weight[:, loud] /= outliers
        model.logit_scale.fill_(3.0)
        model.logit_bias.fill_(-10.0)
    model.save_pretrained(folder, safe_serialization=True)
    preprocessor: dict[str, Any] = {
        "do_convert_rgb": None, "do_normalize": True, "do_rescale": True, "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "SiglipImageProcessor", "image_std": [0.5, 0.5, 0.5],
        "processor_class": "SiglipProcessor", "resample": 3, "rescale_factor": 1 / 255,
        "size": {"height": size, "width": size},
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")
    return folder


def tokenizer(folder: Path, tokens: int) -> int:
    """A sentencepiece model trained on the words of the prompts; returns the size of its vocabulary."""
    import sentencepiece
    from transformers import SiglipTokenizer

    import dermedge_export

    prompts = (Path(dermedge_export.__file__).parent / "prompts.toml").read_text().lower()
    text = folder / "corpus.txt"
    text.write_text(prompts)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "spiece"), vocab_size=600, model_type="unigram",
        pad_id=-1, bos_id=-1, eos_id=1, unk_id=2, minloglevel=2, num_threads=1,
        control_symbols=[], user_defined_symbols=[], hard_vocab_limit=False,
    )  # fmt: skip
    text.unlink()
    (folder / "spiece.vocab").unlink()
    made = SiglipTokenizer(
        vocab_file=str(folder / "spiece.model"), model_max_length=tokens, model_input_names=["input_ids"]
    )
    made.save_pretrained(folder)
    return len(made)
