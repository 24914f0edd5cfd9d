"""The wide race on a small network of the same architecture, without OpenVINO."""

from __future__ import annotations

from typing import Any

import pytest

from dermedge_export.peers.figures import BASE
from dermedge_export.peers.wide import FORERUNNER, OURS, OURS_LOW, run_wide


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_wide(tmp_path_factory.mktemp("wide"), 1, 1, None, lambda _: None, small=True)


def test_every_contestant_embeds_the_same_crops(wide: dict[str, Any]) -> None:
    rows = wide["contestants"]
    assert {BASE, "torch bf16", "ONNX Runtime fp32", FORERUNNER, OURS, OURS_LOW} <= rows.keys()
    for name, row in rows.items():
        assert row["cosine"] > 0.99, name
        assert row["seconds"] > 0 and row["megabytes"] > 0 and row["peak_mb"] > 0, name
    assert rows[FORERUNNER]["cosine"] > 0.9999


def test_a_pass_backwards_costs_time_and_memory(wide: dict[str, Any]) -> None:
    rows = wide["contestants"]
    assert rows[FORERUNNER]["seconds"] > rows[BASE]["seconds"]
    assert rows[FORERUNNER]["peak_mb"] > rows[BASE]["peak_mb"]


def test_our_own_are_timed_from_the_start_of_their_process_and_their_private_memory_told(wide: dict[str, Any]) -> None:
    for name in (OURS, OURS_LOW):
        row = wide["contestants"][name]
        assert row["cold_seconds"] > row["load_seconds"]
        assert 0 < row["private_mb"] <= row["peak_mb"]
    assert wide["operations"]["int8"] > 0 and wide["operations"]["floating"] > 0
