"""The bench runs every contestant on the same crops and says how far each is from torch."""

from __future__ import annotations

from pathlib import Path

from dermedge_export.siglip.bench import BASE, bench


def test_all_contestants_are_measured_in_one_table(tmp_path: Path) -> None:
    table = bench(tmp_path, 1, 1, None, small=True)
    assert (tmp_path / "medsiglip-table.md").read_text() == table + "\n"
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    lines = {line[0]: line for line in cells}
    wanted = {
        BASE, "torch bf16", "ONNX Runtime fp32", "ONNX Runtime int8, no saliency", "dermedge: int8 with saliency"
    }  # fmt: skip
    assert wanted <= lines.keys()
    assert lines[BASE][5] == "1.00"
    for name in wanted:
        cosine, centred = (float(part) for part in lines[name][6].split(" / "))
        assert cosine > 0.99, name
        assert centred > 0.9, name
