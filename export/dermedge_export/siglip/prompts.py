"""The prompts as data, their lint, and the vectors that they become."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from dermedge.errors import UsageError
from dermedge.pack.manifest import Condition, Group
from dermedge.result import MODALITIES

from .load import Checkpoint, CheckpointError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROMPTS = Path(__file__).parents[1] / "prompts.toml"
FEWEST, MOST = 4, 8
BATCH = 32

Vectors = NDArray[np.float32]


class PromptsInvalid(UsageError):
    """The prompts' file cannot be used as it is."""


@dataclass(frozen=True, slots=True)
class Described:
    """A condition and its descriptions, by modality, already in their frames."""

    id: str
    name: str
    group: Group
    severity: int
    texts: Mapping[str, tuple[str, ...]]

    def condition(self) -> Condition:
        every = tuple(text for modality in MODALITIES for text in self.texts[modality])
        return Condition(self.id, self.name, self.group, self.severity, every)


@dataclass(frozen=True, slots=True)
class Prompts:
    conditions: tuple[Described, ...]
    rejects: Mapping[str, tuple[str, ...]]
    modalities: Mapping[str, tuple[str, ...]]

    def without(self, ids: Sequence[str]) -> Prompts:
        """Class selection: what a checkpoint is bad at can be left out."""
        known = {c.id for c in self.conditions}
        if unknown := sorted(set(ids) - known):
            raise PromptsInvalid(f"unknown condition {unknown[0]}; there are {', '.join(sorted(known))}")
        return replace(self, conditions=tuple(c for c in self.conditions if c.id not in ids))

    def lists(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Every list of texts that becomes one vector, under its place in the file."""
        for condition in self.conditions:
            for modality in MODALITIES:
                yield f"{condition.id}, {modality}", condition.texts[modality]
        for name, texts in self.rejects.items():
            yield f"rejects, {name}", texts
        for name, texts in self.modalities.items():
            yield f"modalities, {name}", texts


@dataclass(frozen=True, slots=True)
class PromptVectors:
    """One row of length 1 per text list."""

    prompts: Vectors
    """[modalities, conditions, D]"""
    rejects: Vectors
    modalities: Vectors
    single: Mapping[str, Vectors]
    """The vectors of the texts one by one, under the places that `Prompts.lists` gives."""


def read(path: Path = PROMPTS) -> Prompts:
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise PromptsInvalid(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PromptsInvalid(f"{path}: {error}") from None
    try:
        frames = document["frames"]
        conditions = tuple(_described(path, entry, frames) for entry in document["conditions"])
        rejects = {name: tuple(texts) for name, texts in document["rejects"].items()}
        modalities: dict[str, tuple[str, ...]] = {name: tuple(document["modalities"][name]) for name in MODALITIES}
    except (KeyError, TypeError, AttributeError) as error:
        raise PromptsInvalid(f"{path}: {error} is missing or of the wrong kind") from None
    return Prompts(conditions, rejects, modalities)


def _described(path: Path, entry: Mapping[str, Any], frames: Mapping[str, str]) -> Described:
    name = entry["id"]
    for modality in MODALITIES:
        if not entry.get(modality):
            raise PromptsInvalid(f"{path}: {name} has no descriptions for {modality}; add {FEWEST} to {MOST}")
        if "{}" not in frames[modality]:
            raise PromptsInvalid(f"{path}: the frame for {modality} has no {{}} for the description")
    if entry["group"] not in get_args(Group):
        raise PromptsInvalid(f"{path}: {name}: group {entry['group']} is none of {', '.join(get_args(Group))}")
    texts: dict[str, tuple[str, ...]] = {m: tuple(frames[m].format(text) for text in entry[m]) for m in MODALITIES}
    return Described(name, entry["name"], entry["group"], int(entry["severity"]), texts)


def problems(prompts: Prompts, tokenizer: PreTrainedTokenizerBase | None, limit: int) -> list[str]:
    """Everything that the lint finds; without a tokenizer the length in tokens stays unchecked."""
    found = []
    ids = Counter(c.id for c in prompts.conditions)
    found += [f"{name} is there {count} times" for name, count in ids.items() if count > 1]
    seen: dict[str, str] = {}
    for place, texts in prompts.lists():
        if not FEWEST <= len(texts) <= MOST:
            found.append(f"{place}: {len(texts)} descriptions; {FEWEST} to {MOST} are wanted")
        for text in texts:
            key = " ".join(text.lower().split())
            if key in seen:
                found.append(f"{place}: {text!r} is already in {seen[key]}")
            seen[key] = place
            if tokenizer is not None and (length := tokens(tokenizer, text)) > limit:
                found.append(f"{place}: {text!r} has {length} tokens; at most {limit} are read. Shorten it")
    return found


def require(prompts: Prompts, tokenizer: PreTrainedTokenizerBase, limit: int) -> None:
    if found := problems(prompts, tokenizer, limit):
        more = f" (and {len(found) - 1} more: dermedge-export prompts --check)" if len(found) > 1 else ""
        raise PromptsInvalid(f"prompts: {found[0]}{more}")


def tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> int:
    return len(tokenizer(text, truncation=False, verbose=False)["input_ids"])


def tokenizer_of(checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizer libraries raise whatever their parsers do
        what = " ".join(str(error).split())[:160]
        raise CheckpointError(f"{checkpoint.name}: its tokenizer cannot be read ({what}); download it again") from None


def limit_of(checkpoint: Checkpoint) -> int:
    return int(checkpoint.config.text_config.max_position_embeddings)


def embed(checkpoint: Checkpoint, prompts: Prompts) -> PromptVectors:
    """The text tower's vectors, averaged over each list; the tower is gone from memory afterwards."""
    tokenizer = tokenizer_of(checkpoint)
    require(prompts, tokenizer, limit_of(checkpoint))
    places = list(prompts.lists())
    rows = _texts(checkpoint, tokenizer, [text for _, texts in places for text in texts])
    single, start = {}, 0
    for place, texts in places:
        single[place] = rows[start : start + len(texts)]
        start += len(texts)
    mean = {place: unit(vectors.mean(0)) for place, vectors in single.items()}
    return PromptVectors(
        prompts=np.stack([np.stack([mean[f"{c.id}, {m}"] for c in prompts.conditions]) for m in MODALITIES]),
        rejects=np.stack([mean[f"rejects, {name}"] for name in prompts.rejects]),
        modalities=np.stack([mean[f"modalities, {name}"] for name in MODALITIES]),
        single=single,
    )


def _texts(checkpoint: Checkpoint, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Vectors:
    import torch
    from transformers import SiglipTextModel

    model = SiglipTextModel.from_pretrained(
        checkpoint.folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
    ).eval()
    rows = []
    with torch.inference_mode():
        for start in range(0, len(texts), BATCH):
            # Padding to the full length is a part of the model: without it the vectors are others.
            batch = tokenizer(
                list(texts[start : start + BATCH]), padding="max_length", max_length=limit_of(checkpoint),
                truncation=False, return_tensors="pt",
            )  # fmt: skip
            rows.append(model(**batch).pooler_output.numpy())
    return unit(np.concatenate(rows))


def unit(rows: NDArray[Any]) -> Vectors:
    wide = rows.astype(np.float64)
    return (wide / np.linalg.norm(wide, axis=-1, keepdims=True)).astype(np.float32)  # type: ignore[no-any-return]
