"""Files that strangers hand back: read when they are whole, refused in one line when they are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dermedge import UsageError
from dermedge.bench import GENERATED, Measured, Spread, write_submission
from dermedge_export.peers.submissions import read, read_all

Document = dict[str, Any]


@pytest.fixture
def handed_back(tmp_path: Path) -> Path:
    measured = Measured(
        photo=GENERATED, photo_bytes=1, machine="aarch64", pack="compact 0.1.0", digest="0" * 64,
        provider="CPUExecutionProvider", threads=4, low_memory=False, scans=20, lesions=2,
        steps={"total": Spread(801.5, 830.0)}, decode=Spread(300.0, 310.0), ratio=2.7,
        cold_start=Spread(2100.0, 2200.0), cold_starts=5, peak_mb=160.0,
    )  # fmt: skip
    path = tmp_path / "pi.json"
    write_submission(measured, path)
    return path


def test_what_the_bench_writes_can_be_read_back(handed_back: Path) -> None:
    [found] = read_all(handed_back.parent)
    assert (found.pack, found.scan_p50, found.scan_p95, found.cold_start) == ("compact 0.1.0", 801.5, 830.0, 2100.0)
    assert found.comparable
    assert found.machine


def no_json(document: Document) -> Any:
    return "["


def other_schema(document: Document) -> Any:
    return document | {"schema": 7}


def no_peak(document: Document) -> Any:
    del document["measured"]["peak_mb"]
    return document


def negative_time(document: Document) -> Any:
    document["measured"]["steps"]["total"]["p50"] = -1
    return document


def not_a_number(document: Document) -> Any:
    document["measured"]["peak_mb"] = "NaN"
    return document


def a_list(document: Document) -> Any:
    return [document]


@pytest.mark.parametrize("spoil", [no_json, other_schema, no_peak, negative_time, not_a_number, a_list])
def test_another_file_is_refused_by_its_name(handed_back: Path, spoil: Callable[[Document], Any]) -> None:
    spoilt = spoil(json.loads(handed_back.read_text()))
    handed_back.write_text(spoilt if isinstance(spoilt, str) else json.dumps(spoilt))
    with pytest.raises(UsageError, match=r"pi\.json is no file of `dermedge bench --submit-file`") as caught:
        read(handed_back)
    assert "\n" not in str(caught.value)


def test_a_machines_name_cannot_break_the_table(handed_back: Path) -> None:
    document = json.loads(handed_back.read_text())
    document["machine"]["board"] = "a | b\n| c | <script> ![x](http://y)"
    handed_back.write_text(json.dumps(document))
    found = read(handed_back).machine
    assert not set("|<[\n") & set(found)
