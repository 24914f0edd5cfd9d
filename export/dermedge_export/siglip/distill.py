"""`dermedge-export distill`: a small tower learns to see what a SigLIP tower sees, and answers to the same
words.

Needs photographs without labels. The teacher embeds several crops of each once; the compact tower's network
then learns to give the same vectors, with most weight on what the prompts can tell apart. Its last layer is
solved for, before and after the others learn: least squares finds at once what gradients would take epochs
for, and what they learn first is then no longer the mean vector. Its pack holds the teacher's prompt vectors.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from dermedge import UsageError
from dermedge.pack.manifest import Manifest, Source, TowerSpec

from ..compact.network import NetworkSettings, Tower, imagenet_weights, load_imagenet
from ..compact.tower_graph import build as student_graph
from ..packer import write_pack
from .crops import pictures, unlabelled
from .export import CONTEXT, GRAPH, PHONE, Order, lesion_parts_of, parts_of, score, spec_of
from .load import Checkpoint
from .measure import measure
from .parity import Judge, compare
from .progress import Steps, Tick
from .prompts import PromptVectors, embed, read
from .reference import refer

MIDDLE = 127
"""What the compact network subtracts: the colour that padding should have."""
HELD_OUT = 5
"""Every so many photographs are kept from training, to measure on."""
Crops = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Lessons:
    """How long and how the student learns."""

    variant: str = "lite0"
    size: int = 224
    crops: int = 8
    """Of each photograph."""
    epochs: int = 40
    batch: int = 32
    rate: float = 5e-4
    decay: float = 1e-2
    words: float = 1.0
    """Weight of what the prompts can tell apart, beside the whole vector."""
    ridge: float = 0.3
    """Pulls the last layer towards the mean vector, in parts of the mean power of its inputs."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Material:
    """Crops and what the teacher says about them; the last ones come from photographs that are not trained on."""

    crops: Crops
    """At the student's size."""
    vectors: NDArray[np.float32]
    held_out: int


def gather(teacher: Checkpoint, folder: Path, lessons: Lessons, tick: Tick) -> Material:
    found = pictures(folder)
    if len(found) < HELD_OUT:
        raise UsageError(f"{folder}: {len(found)} photographs; {HELD_OUT} are needed at least, and thousands wanted")
    kept, rest = found[::HELD_OUT], [p for i, p in enumerate(found) if i % HELD_OUT]
    spec = spec_of(teacher)
    shown = np.concatenate([unlabelled(part, spec, lessons.crops * len(part)) for part in (rest, kept)])
    vectors = refer(teacher, tick.over(shown)).embeddings
    side = (lessons.size, lessons.size)
    small = [np.asarray(Image.fromarray(crop).resize(side, Image.Resampling.BICUBIC)) for crop in shown]
    return Material(np.stack(small), vectors, lessons.crops * len(kept))


def teach(material: Material, words: PromptVectors, lessons: Lessons, weights: Path | None, tick: Tick) -> Tower:
    torch.manual_seed(lessons.seed)
    student = Tower(NetworkSettings(lessons.variant, material.vectors.shape[1], dropout=0.0, drop_path=0.0))
    load_imagenet(student.backbone, weights or imagenet_weights(lessons.variant))
    known = len(material.crops) - material.held_out
    crops, wanted = torch.from_numpy(material.crops[:known]), torch.from_numpy(material.vectors[:known])
    told_apart = _directions(words)
    rng = np.random.default_rng(lessons.seed)
    steps = lessons.epochs * -(-known // lessons.batch)
    optimizer = torch.optim.AdamW(student.parameters(), lr=lessons.rate, weight_decay=lessons.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lessons.rate, total_steps=steps, pct_start=0.2)
    spread = wanted.var(0).sum()
    # Batch norms keep the statistics that they came with: those of a few photographs are worse.
    student.eval()
    _solve(student, crops, wanted, lessons)
    for _ in range(lessons.epochs):
        for batch in np.array_split(rng.permutation(known), -(-known // lessons.batch)):
            seen = crops[batch].permute(0, 3, 1, 2).float()
            if rng.random() < 0.5:
                seen = seen + 8 * torch.randn(len(seen), 3, 1, 1)  # a camera's white balance is no sign
            off = student.embed(seen) - wanted[batch]
            loss = off.square().sum(1).mean() / spread + lessons.words * _apart(off, wanted, told_apart)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(student.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            tick.advance()
    _solve(student, crops, wanted, lessons)
    return student


def _directions(words: PromptVectors) -> Tensor:
    """What distinguishes the conditions, of both modalities, and lesions from what is none."""
    rows = [p - p.mean(0) for p in words.prompts] + [words.rejects - words.prompts.mean((0, 1))]
    return F.normalize(torch.from_numpy(np.concatenate(rows)), dim=1)


def _apart(off: Tensor, wanted: Tensor, directions: Tensor) -> Tensor:
    return (off @ directions.T).square().mean() / (wanted @ directions.T).var(0).mean()


@torch.no_grad()
def _solve(student: Tower, crops: Tensor, wanted: Tensor, lessons: Lessons) -> None:
    """The last layer by ridge regression on what the others make of the crops."""
    parts = crops.split(lessons.batch)
    seen = torch.cat([student.features(part.permute(0, 3, 1, 2).float()).mean((2, 3)) for part in parts]).double()
    middle, answer = seen.mean(0), wanted.double().mean(0)
    centred = seen - middle
    moments = centred.T @ centred
    moments.diagonal().add_(lessons.ridge * moments.diagonal().mean().clamp(min=1e-9))
    weight = torch.linalg.solve(moments, centred.T @ (wanted.double() - answer)).T
    student.projection.weight.copy_(weight.float())
    student.projection.bias.copy_((answer - weight @ middle).float())


def ranking(exact: NDArray[np.float32], found: NDArray[np.float32], prompts: NDArray[np.float32]) -> float:
    """How alike two towers rank the prompts: Spearman's correlation, over the crops; 0 is chance.

    Around each prompt's mean: some prompts are nearer than others to whatever picture.
    """
    orders = []
    for rows in (exact, found):
        cosines = rows @ prompts.T
        ranks = (cosines - cosines.mean(axis=0)).argsort(axis=1).argsort(axis=1).astype(np.float64)
        orders.append(ranks - ranks.mean(axis=1, keepdims=True))
    a, b = orders
    return round(float(((a * b).sum(axis=1) / np.square(a).sum(axis=1)).mean()), 4)


def distill(
    teacher: Checkpoint, folder: Path, order: Order, lessons: Lessons, weights: Path | None
) -> tuple[Manifest, dict[str, Any]]:
    """Teach, measure on photographs that were not trained on, write the pack."""
    if lessons.size % 32:
        raise UsageError(f"--size {lessons.size} is no multiple of 32")
    wording, samples = read(order.prompts).without(order.without), pictures(order.samples)
    parts = lesion_parts_of(order, samples)
    steps = Steps()
    with steps.step("texts"):
        words = embed(teacher, wording)
    with steps.step("teacher") as tick:
        material = gather(teacher, folder, lessons, tick)
    with steps.step("student") as tick:
        student = teach(material, words, lessons, weights, tick)
    order.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{order.out.name}-", dir=order.out.parent) as room, steps.step("pack"):
        path = Path(room) / GRAPH
        path.write_bytes(student_graph(student, lessons.size).SerializeToString(deterministic=True))
        crops, exact = material.crops[-material.held_out :], material.vectors[-material.held_out :]
        malignant = np.array([c.group == "malignant" for c in wording.conditions])
        found, prompts = measure(path, crops).embeddings, words.prompts[PHONE]
        parity = compare(exact, found, Judge(prompts, teacher.scale, malignant))
        known = {name: value for name, value in asdict(parity).items() if value is not None}
        known["ranking_of_prompts"] = ranking(exact, found, prompts)
        figures = {"weights": "float32", "against_the_teacher": known}
        spec = TowerSpec(GRAPH, lessons.size, "bicubic", CONTEXT, (MIDDLE, MIDDLE, MIDDLE), 1)
        scored = score(teacher, wording, words, (), spec, path, lambda: None)
        source = Source(f"EfficientNet-{lessons.variant}, distilled from {teacher.name}", teacher.revision)
        graphs = {GRAPH: path.read_bytes()}
        pack = parts_of(order, teacher, wording, words, spec, graphs, source, figures, scored, parts, samples)
        manifest = write_pack(pack, order.out)
    return manifest, figures
