"""Accuracy beside speed: what counts as the same answer, and what a difference is called."""

from __future__ import annotations

from typing import Any

import pytest

from dermedge_export.peers.agreement import agreement


def found(
    *vectors: tuple[float, ...], moved: float = 0.0, malignant: float = 0.5, top: str = "nevus"
) -> list[dict[str, Any]]:
    box = [moved, 0.0, 10.0, 10.0]
    return [{"box": box, "vector": list(vector), "malignant": malignant, "top": top} for vector in vectors]


EXACT = [found((1.0, 0.0), (0.8, 0.6)), found((0.6, 0.8))]


def test_the_same_answers_agree_wholly() -> None:
    same = agreement(EXACT, EXACT)
    assert (same.cosine, same.centred_cosine, same.box_pixels, same.malignant_shift) == (1.0, 1.0, 0.0, 0.0)
    assert (same.same_top, same.embeddings, same.other_boxes) == (3, 3, 0)


def test_every_kind_of_difference_is_told() -> None:
    other = agreement(EXACT, [found((0.8, 0.6), (0.8, 0.6), moved=2.5, malignant=0.6, top="melanoma"), EXACT[1]])
    assert other.cosine == pytest.approx(0.8)
    assert other.centred_cosine < other.cosine
    assert (other.box_pixels, other.malignant_shift, other.same_top) == (2.5, 0.1, 1)


def test_another_number_of_boxes_is_counted_and_only_the_frame_compared() -> None:
    fewer = agreement(EXACT, [found((1.0, 0.0)), EXACT[1]])
    assert (fewer.other_boxes, fewer.embeddings) == (1, 2)
