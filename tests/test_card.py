"""The committed pack's model card says what its manifest says."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermedge.pack import verify
from dermedge_export import card
from dermedge_export.compact.about import PROSE

COMPACT = Path(__file__).parents[1] / "artifacts" / "compact"


def test_the_committed_card_is_what_the_committed_manifest_renders_to() -> None:
    pack = verify(COMPACT)
    assert pack.read(pack.manifest.card).decode() == card.render(pack.manifest, PROSE)


@pytest.mark.parametrize("world", ["dermoscopy", "phone", "another_dermatoscope", "negatives"])
def test_the_committed_manifest_holds_figures_of_every_world_with_their_lesions(world: str) -> None:
    found = verify(COMPACT).manifest.metrics["evaluation"][world]["figures"]
    assert all(figure["photographs"] > 0 for figure in found.values() if figure is not None)
    assert sum(figure is not None for figure in found.values()) >= 2
