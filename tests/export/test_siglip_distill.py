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
from dermedge_export.siglip.distill import Lessons, distill
from dermedge_export.siglip.export import Order
from dermedge_export.siglip.load import load

LESSONS = Lessons(size=64, crops=4, epochs=16, batch=12)


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
    folder = tmp_path_factory.mktemp("photographs")
    for i, picture in enumerate(tiny_siglip.crops(60, size=96, seed=5)):
        Image.fromarray(picture).save(folder / f"{i:03}.png")
    return folder


def test_the_student_answers_as_the_teacher_on_photographs_it_never_saw(photographs: Path, tmp_path: Path) -> None:
    teacher = load(str(tiny_siglip.checkpoint(tmp_path / "teacher", layers=1, patch=16)))
    tiny = tiny_pack.build(tmp_path / "tiny")
    order = Order(tmp_path / "student", "student", detector=str(tiny), samples=tiny / "golden")
    manifest, figures = distill(teacher, photographs, order, LESSONS, None)
    against = figures["against_the_teacher"]
    assert against["crops"] == 48
    # Around the mean an untrained student is at 0, whatever it always says.
    assert against["centred_cosine"] > 0.25, against
    assert against["top1"] > 0.4, against
    assert manifest.source.model == "EfficientNet-lite0, distilled from teacher"
    with Scanner.open(order.out, provider="cpu") as scanner:
        require_golden(scanner)
        embedding = scanner.tower.vectors(tiny_siglip.crops(2))
    assert embedding.shape == (2, 48)
    assert np.allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-4)


def test_too_few_photographs_are_refused(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "one.png").write_bytes((photographs / "000.png").read_bytes())
    tiny = tiny_pack.build(tmp_path / "tiny")
    order = Order(tmp_path / "student", "student", detector=str(tiny), samples=tiny / "golden")
    with pytest.raises(UsageError, match="1 photographs; 5 are needed"):
        distill(load(str(tiny_siglip.shared())), tmp_path / "few", order, LESSONS, None)
