"""A SigLIP checkpoint from a folder or from the Hugging Face hub: pinned, safetensors only, no code of its own."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dermedge.errors import UsageError

if TYPE_CHECKING:
    import torch
    from transformers import SiglipConfig

Resample = Literal["bilinear", "bicubic", "lanczos"]

PINNED: Mapping[str, str] = {
    "google/medsiglip-448": "9cea28a1a1195f665105faa6e8544c112fd960a4",
    "google/siglip-base-patch16-224": "7fd15f0689c79d79e38b1c2e2e2370a7bf2761ed",
    "google/siglip-so400m-patch14-384": "9fdffc58afc957d1a03a25b10dba0329ab15c2a3",
}
"""The commits that this project was written for; another one is taken only when it is named."""

CONFIG, PREPROCESSOR, WEIGHTS, INDEX = (
    "config.json", "preprocessor_config.json", "model.safetensors", "model.safetensors.index.json",
)  # fmt: skip
TOKENIZERS = ("tokenizer.json", "spiece.model")
WANTED = (CONFIG, PREPROCESSOR, "tokenizer_config.json", "special_tokens_map.json", *TOKENIZERS, "*.safetensors", INDEX)

RESAMPLING: Mapping[int, Resample] = {1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, which the preprocessor's configuration uses."""
PROCESSORS = ("SiglipImageProcessor", "SiglipImageProcessorFast")
ACTIVATION = "gelu_pytorch_tanh"

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class CheckpointError(UsageError):
    """A checkpoint cannot be had or used."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What the checkpoint's own image processor does to a picture."""

    size: int
    resample: Resample
    gain: tuple[float, float, float]
    offset: tuple[float, float, float]
    """A pixel value v of a channel enters the network as gain * v + offset."""

    @property
    def neutral(self) -> tuple[int, int, int]:
        """The pixel value nearest to zero after normalisation: what a crop is padded with."""
        red, green, blue = (
            min(255, max(0, round(-o / g))) for g, o in zip(self.gain, self.offset, strict=True)
        )  # fmt: skip
        return red, green, blue


@dataclass(frozen=True)
class Checkpoint:
    """A checked folder in the hub's format."""

    name: str
    revision: str
    folder: Path
    config: SiglipConfig
    preprocessing: Preprocessing
    shards: tuple[Path, ...]

    @cached_property
    def scale(self) -> float:
        """What the cosine is multiplied with."""
        import math

        return math.exp(float(self.tensor("logit_scale")))

    @cached_property
    def bias(self) -> float:
        return float(self.tensor("logit_bias"))

    def tensor(self, name: str) -> torch.Tensor:
        found = dict(self.tensors(name))
        if name not in found:
            raise CheckpointError(f"{self.name}: its weights lack {name}; it is no complete SigLIP checkpoint")
        return found[name]

    def tensors(self, prefix: str) -> Iterator[tuple[str, torch.Tensor]]:
        """The weights whose names begin so, one at a time as float32: a large checkpoint never lies twice in memory."""
        from safetensors import safe_open

        for shard in self.shards:
            with safe_open(str(shard), framework="pt") as weights:
                for name in sorted(weights.keys()):
                    if name.startswith(prefix):
                        yield name, weights.get_tensor(name).float()


def load(model: str, revision: str | None = None, *, download: bool = True) -> Checkpoint:
    """The checkpoint in a folder, or of a repository on the hub; everything that can be wrong is told in one line."""
    path = Path(model).expanduser()
    if path.is_dir():
        if revision is not None:
            raise CheckpointError(f"{model} is a folder; --revision is for a repository on the hub")
        return _read(path.resolve().name, None, path)
    if not _REPOSITORY.fullmatch(model):
        raise CheckpointError(f"{model} is neither a folder nor a repository such as google/medsiglip-448")
    commit = revision or PINNED.get(model)
    if commit is None or not _COMMIT.fullmatch(commit):
        raise CheckpointError(
            f"{model}: name the commit to take with --revision (40 hexadecimal digits); branches move"
        )
    return _read(model, commit, _fetch(model, commit, download))


def _fetch(model: str, commit: str, download: bool) -> Path:
    """The snapshot's folder; where the cache holds all of it, no network call is made."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    wanted = list(WANTED)
    try:
        cached = Path(snapshot_download(model, revision=commit, allow_patterns=wanted, local_files_only=True))
        if _complete(cached):
            return cached
    except LocalEntryNotFoundError:
        pass
    if not download:
        raise CheckpointError(f"{model} at {commit[:12]} is not in the cache: without --dry-run it would be downloaded")
    try:
        return Path(snapshot_download(model, revision=commit, allow_patterns=wanted))
    except GatedRepoError:
        raise CheckpointError(
            f"{model} is gated: read and accept its terms yourself at https://huggingface.co/{model} (for MedSigLIP "
            "the terms of Health AI Developer Foundations), make a read token at "
            "https://huggingface.co/settings/tokens, then run `hf auth login` or set HF_TOKEN, and try again"
        ) from None
    except RevisionNotFoundError:
        raise CheckpointError(f"{model} has no commit {commit}; name one with --revision") from None
    except RepositoryNotFoundError:
        raise CheckpointError(f"{model}: no such repository on the hub, or HF_TOKEN may not see it") from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError):
        raise CheckpointError(
            f"{model} at {commit[:12]} is not complete in the cache and the hub cannot be reached; "
            "go online once, or give a folder with MODEL=path"
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        raise CheckpointError(f"{model}: the hub refused the download ({status}); try again later") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise CheckpointError(f"{model}: the disk is full; free space or move the cache with HF_HOME") from None
        raise


def _complete(folder: Path) -> bool:
    named = all((folder / name).is_file() for name in (CONFIG, PREPROCESSOR))
    if not named or not any((folder / name).is_file() for name in TOKENIZERS):
        return False
    index = folder / INDEX
    shards = set(json.loads(index.read_text())["weight_map"].values()) if index.is_file() else {WEIGHTS}
    return all((folder / name).is_file() for name in shards)


def _read(name: str, revision: str | None, folder: Path) -> Checkpoint:
    described = _json(folder, CONFIG)
    if described.get("model_type") != "siglip":
        raise CheckpointError(
            f"{name}: its architecture is {described.get('model_type') or 'not named'}, not siglip; "
            "take MedSigLIP or a SigLIP checkpoint"
        )
    preprocessing = _preprocessing(name, _json(folder, PREPROCESSOR))
    if not any((folder / file).is_file() for file in TOKENIZERS):
        raise CheckpointError(
            f"{name}: no tokenizer ({' or '.join(TOKENIZERS)}) in {folder}; download it with the model"
        )
    from transformers import SiglipConfig

    try:
        config = SiglipConfig.from_dict(described)
        sides = config.vision_config.image_size, config.vision_config.patch_size
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{folder / CONFIG}: {_line(error)}; download it again") from None
    if config.vision_config.hidden_act != ACTIVATION:
        raise CheckpointError(f"{name}: activation {config.vision_config.hidden_act} is not served, only {ACTIVATION}")
    if preprocessing.size != sides[0]:
        raise CheckpointError(f"{name}: its tower takes {sides[0]} pixels, its preprocessor makes {preprocessing.size}")
    shards = _shards(name, folder)
    return Checkpoint(name, revision or _digest(folder, shards), folder, config, preprocessing, shards)


def _preprocessing(name: str, given: Mapping[str, Any]) -> Preprocessing:
    kind = given.get("image_processor_type")
    if kind not in PROCESSORS:
        raise CheckpointError(f"{name}: {PREPROCESSOR} is for {kind}, not for {PROCESSORS[0]}")
    try:
        size, resample = given["size"], RESAMPLING.get(given["resample"])
        factor = float(given["rescale_factor"]) if given["do_rescale"] else 1.0
        mean, spread = (given["image_mean"], given["image_std"]) if given["do_normalize"] else ([0] * 3, [1] * 3)
        height, width, resized = int(size["height"]), int(size["width"]), bool(given["do_resize"])
        gain = tuple(factor / float(s) for s in spread)
        offset = tuple(-float(m) / float(s) for m, s in zip(mean, spread, strict=True))
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise CheckpointError(f"{name}: {PREPROCESSOR} does not say {_line(error)}; download it again") from None
    if height != width or not resized or resample is None or len(gain) != 3:
        raise CheckpointError(f"{name}: {PREPROCESSOR} asks for something else than RGB resized to a square")
    return Preprocessing(height, resample, (gain[0], gain[1], gain[2]), (offset[0], offset[1], offset[2]))


def _shards(name: str, folder: Path) -> tuple[Path, ...]:
    from safetensors import SafetensorError, safe_open

    index = folder / INDEX
    names = sorted(set(_json(folder, INDEX)["weight_map"].values())) if index.is_file() else [WEIGHTS]
    for file in names:
        if Path(file).name != file:
            raise CheckpointError(f"{name}: {INDEX} points outside its folder; do not use this checkpoint")
        if not (folder / file).is_file():
            other = " (pickled weights are not opened)" if any(folder.glob("*.bin")) else ""
            raise CheckpointError(f"{name}: {file} is not in {folder}{other}; download the safetensors weights")
        try:
            with safe_open(str(folder / file), framework="numpy") as weights:
                weights.keys()
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{name}: {file} is cut off or damaged ({_line(error)}); download it again") from None
    return tuple(folder / file for file in names)


def _json(folder: Path, file: str) -> dict[str, Any]:
    try:
        found = json.loads((folder / file).read_text())
    except OSError:
        raise CheckpointError(
            f"{folder}: {file} is missing; this is no complete checkpoint in the hub's format"
        ) from None
    except ValueError:
        raise CheckpointError(f"{folder / file} is no JSON; download it again") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{folder / file} is no JSON object; download it again")
    return found


def _digest(folder: Path, shards: tuple[Path, ...]) -> str:
    """Stands in for the commit of a folder that has none."""
    digest = hashlib.sha256()
    for path in (folder / CONFIG, folder / PREPROCESSOR, *(folder / t for t in TOKENIZERS), *shards):
        if path.is_file():
            digest.update(path.name.encode())
            with path.open("rb") as file:
                while piece := file.read(1 << 24):
                    digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
