"""A small tower learns a teacher's space from photographs alone, and answers to the teacher's words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny_pack
import tiny_siglip
from dermedge import Scanner, UsageError
from dermedge.golden import require_golden
from dermedge_export.siglip.crops import SAMPLES, pictures
from dermedge_export.siglip.distill import Lessons, distill, ranking
from dermedge_export.siglip.export import Order
from dermedge_export.siglip.load import load

LESSONS = Lessons(size=64, crops=4, epochs=4, batch=16)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Layers this small spend their time waiting for one another's threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cuts of the sample photographs, as if taken in different light: a small world, but of real skin."""
    folder, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(5)
    samples = [Image.open(path).convert("RGB") for path in pictures(SAMPLES)]
    for i in range(60):
        sample = samples[rng.integers(len(samples))]
        side = int(rng.uniform(0.4, 1) * min(sample.size))
        x, y = (int(rng.integers(0, length - side + 1)) for length in sample.size)
        cut = np.asarray(sample.crop((x, y, x + side, y + side)).resize((96, 96))) * rng.uniform(0.85, 1.15, 3)
        Image.fromarray(cut.clip(0, 255).astype(np.uint8)).save(folder / f"{i:03}.png")
    return folder


def test_on_cuts_that_it_never_saw_the_student_sees_and_ranks_the_prompts_as_the_teacher(
    photographs: Path, tmp_path: Path
) -> None:
    teacher = load(str(tiny_siglip.checkpoint(tmp_path / "teacher", layers=1, patch=16)))
    tiny = tiny_pack.build(tmp_path / "tiny")
    order = Order(tmp_path / "student", "student", detector=str(tiny), samples=tiny / "golden")
    manifest, figures = distill(teacher, photographs, order, LESSONS, None)
    against = figures["against_the_teacher"]
    assert against["crops"] == 48
    # Around the mean a student that always says the same is at 0 in both.
    assert against["centred_cosine"] > 0.8, against
    assert against["ranking_of_prompts"] > 0.8, against
    # Of sixteen conditions; whoever always names the most frequent one is right in less than a third.
    assert against["top1"] > 0.5, against
    assert manifest.source.model == "EfficientNet-lite0, distilled from teacher"
    with Scanner.open(order.out, provider="cpu") as scanner:
        require_golden(scanner)
        embedding = scanner.tower.vectors(tiny_siglip.crops(2))
    assert embedding.shape == (2, 48)
    assert np.allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-4)


def test_rankings_are_compared_around_each_prompts_mean() -> None:
    rng = np.random.default_rng(0)
    prompts = rng.standard_normal((6, 8)).astype(np.float32)
    exact = rng.standard_normal((50, 8)).astype(np.float32)
    assert ranking(exact, exact, prompts) == 1
    assert ranking(exact, -exact, prompts) == -1
    # A shift that is the same for every picture ranks nothing.
    assert ranking(exact, exact + 5 * prompts[0], prompts) == 1
    assert abs(ranking(exact, rng.standard_normal((50, 8)).astype(np.float32), prompts)) < 0.2


def test_too_few_photographs_are_refused(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "one.png").write_bytes((photographs / "000.png").read_bytes())
    tiny = tiny_pack.build(tmp_path / "tiny")
    order = Order(tmp_path / "student", "student", detector=str(tiny), samples=tiny / "golden")
    with pytest.raises(UsageError, match="1 photographs; 5 are needed"):
        distill(load(str(tiny_siglip.shared())), tmp_path / "few", order, LESSONS, None)
