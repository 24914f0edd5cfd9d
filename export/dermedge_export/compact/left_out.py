"""What a tower does with cameras that it never saw: a checkpoint measured on sources left out of its training.

`dermedge-export compact-left-out --checkpoint RUN/last.pt --data DATA --out left_out.json`
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermedge import UsageError

from ..metrics import auc, balanced_accuracy, bootstrap
from ..photos import LabelledPhoto, find_collections
from .data import BCC, HAM_LABELS, MEL, SCC, SIZE, SOURCES, VIEWS, evaluation_crop, in_memory

LEFT_OUT = ("isic", "pad")
SHARED = {"MEL": "mel", "BCC": "bcc", "SCC": "akiec", "ACK": "akiec", "NEV": "nv", "SEK": "bkl"}
"""A phone's label as the dermatoscope's collection would name it."""
Statistic = Callable[[NDArray[np.intp]], float]


def figure(photos: Sequence[LabelledPhoto], statistic: Statistic) -> dict[str, Any]:
    """The statistic with its interval, whole lesions or patients resampled."""
    interval = bootstrap(statistic, [p.group for p in photos])
    return {
        "value": round(statistic(np.arange(len(photos))), 4),
        "low": round(interval.low, 4) if interval else None,
        "high": round(interval.high, 4) if interval else None,
        "lesions": len({p.lesion for p in photos}),
        "photographs": len(photos),
    }


def dermatoscope_section(photos: Sequence[LabelledPhoto], probabilities: NDArray[np.float64]) -> dict[str, Any]:
    melanoma = np.array([p.malignant for p in photos])
    return {
        "collection": "isic2017",
        "how": f"The centre of each frame stands for the lesion; {int(melanoma.sum())} melanomas.",
        "figures": {"melanoma_auc": figure(photos, lambda i: auc(melanoma[i], probabilities[i, MEL]))},
    }


def phone_section(photos: Sequence[LabelledPhoto], probabilities: NDArray[np.float64]) -> dict[str, Any]:
    """Asked for the dermatoscope's classes, among which carcinoma and keratosis are one."""
    names = list(HAM_LABELS)
    truth = np.array([names.index(SHARED[p.label]) for p in photos])
    grouped = np.stack([probabilities[:, list(group)].sum(1) for group in HAM_LABELS.values()], 1)
    malignant = np.array([p.malignant for p in photos])
    score = probabilities[:, [MEL, BCC, SCC]].sum(1)
    return {
        "collection": "pad_ufes",
        "how": "Judged as one of HAM10000's seven classes: squamous-cell carcinoma and actinic keratosis are one. "
        f"{int(malignant.sum())} of the photographs are malignant.",
        "figures": {
            "balanced_accuracy": figure(photos, lambda i: balanced_accuracy(truth[i], grouped[i].argmax(1))),
            "malignant_auc": figure(photos, lambda i: auc(malignant[i], score[i])),
        },
    }


def measure(checkpoint: Path, data: Path, trained_on: Sequence[str] | None = None) -> dict[str, Any]:
    """Figures on all photographs of the sources that the checkpoint's training left out."""
    # Not at the top: the command's options are listed where no training library is installed.
    import onnx
    import torch

    from .tower_graph import build, tower_of
    from .validate import softmax
    from .views import averaged, embed_views, session
    from .vocabulary import Vocabulary

    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    sources = state.get("sources", trained_on)
    if sources is None:
        raise UsageError(f"{checkpoint} does not say what it was trained on; say it with --trained-on")
    unseen = [source for source in LEFT_OUT if source not in sources]
    if not unseen:
        raise UsageError(f"{checkpoint} was trained on {', '.join(sources)}: nothing that is measured was left out")
    tower = tower_of(state)
    vocabulary, collections, sections = Vocabulary.of(tower), find_collections(data), []
    with tempfile.TemporaryDirectory() as room:
        graph = Path(room) / "tower.onnx"
        onnx.save(build(tower, SIZE), graph)
        run = session(graph)
        for source in unseen:
            if SOURCES[source] not in collections:
                raise UsageError(f"{data}: {SOURCES[source]} missing; it is what would be measured")
            photos = [p for p in collections[SOURCES[source]].photos if p.split in ("train", "val")]
            crops = np.stack([evaluation_crop(in_memory(source, photo), SIZE) for photo in photos])
            embedding = averaged(embed_views(run, crops, VIEWS), VIEWS)
            probabilities = softmax(vocabulary.outputs(embedding, world=0).conditions)
            sections.append((dermatoscope_section if source == "isic" else phone_section)(photos, probabilities))
    names = [SOURCES[source] for source in sorted(sources)]
    return {"network": state["network"]["variant"], "trained_on": names, "views": VIEWS, "sections": sections}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", type=Path, required=True, help="a run that left sources out (train --sources)")
    parser.add_argument("--data", type=Path, required=True, help="the labelled collections")
    parser.add_argument("--out", type=Path, required=True, help="for compact-assemble --left-out")
    parser.add_argument("--trained-on", nargs="+", metavar="SOURCE", help="where the checkpoint does not say it itself")


def run(options: argparse.Namespace) -> int:
    found = measure(options.checkpoint, options.data, options.trained_on)
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(options.out.read_text(), end="")
    return 0
