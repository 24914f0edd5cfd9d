from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tiny_pack
from dermedge import __version__, cli
from dermedge.cli import BROKEN_PIPE, BUG, INTERRUPTED, main
from dermedge.report import DISCLAIMER

MELANOMA = tiny_pack.skin_with_spots(("melanoma", 128, 128, 50), modality="dermoscopy")
TWO = tiny_pack.skin_with_spots(("melanocytic-nevus", 70, 80, 30), ("basal-cell-carcinoma", 180, 170, 36))

SCAN_KEYS = {"photo", "pack", "modality", "quality", "provider", "seconds", "lesions"}
LESION_KEYS = {"box", "probabilities", "malignant", "referral", "level", "headline", "advice", "reasons"}

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pack.build(tmp_path_factory.mktemp("pack") / "tiny")


@pytest.fixture
def scan(pack: Path) -> Callable[..., int]:
    def run(*arguments: object) -> int:
        return main(["scan", "--pack", str(pack), *map(str, arguments)])

    return run


@pytest.fixture
def mole(tmp_path: Path) -> Path:
    path = tmp_path / "mole.png"
    MELANOMA.save(path)
    return path


def start(pack: Path, *arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    """A real process."""
    command = [sys.executable, "-m", "dermedge", "scan", "--pack", str(pack), *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, **pipes)


def first_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def lines(capsys: Capture) -> tuple[list[str], list[str]]:
    captured = capsys.readouterr()
    return captured.out.splitlines(), captured.err.splitlines()


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is this large and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


# -- what is answered -----------------------------------------------------------------------------------------------


def test_a_finding_is_printed_for_a_person(scan: Callable[..., int], mole: Path, capsys: Capture) -> None:
    assert scan(mole) == 0
    out, err = lines(capsys)
    text = "\n".join(out)
    assert "URGENT" in text and "Melanoma" in text and "See a doctor" in text
    assert out[-1] == DISCLAIMER and text.count(DISCLAIMER) == 1
    assert "\x1b" not in text and err == []


def test_json_has_the_promised_keys_in_one_line_a_photograph(
    scan: Callable[..., int], mole: Path, tmp_path: Path, capsys: Capture
) -> None:
    TWO.save(tmp_path / "two.jpg", quality=95)
    assert scan(mole, tmp_path / "two.jpg", "--json") == 0
    out, err = lines(capsys)
    assert len(out) == 2 and err == []
    for line, count in zip(out, (1, 2), strict=True):
        found = json.loads(line, parse_constant=pytest.fail)
        assert found.keys() >= SCAN_KEYS
        assert found["pack"]["id"] == "tiny"
        assert len(found["lesions"]) == count
        for lesion in found["lesions"]:
            assert lesion.keys() >= LESION_KEYS
            assert len(lesion["box"]) == 4
            assert lesion["probabilities"].keys() == {row[0] for row in tiny_pack.CONDITIONS}
            assert sum(lesion["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_a_folder_is_walked_and_answered_in_order(scan: Callable[..., int], tmp_path: Path, capsys: Capture) -> None:
    for name in ("b.png", "a.png", "sub/c.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        MELANOMA.save(tmp_path / "in" / name)
    assert scan(tmp_path / "in", "--json") == 0
    names = [Path(json.loads(line)["photo"]).name for line in lines(capsys)[0]]
    assert names == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize(
    ("options", "check"),
    [
        (["--top", "2"], lambda found: len(found["lesions"][0]["probabilities"]) == 2),
        (["--modality", "phone"], lambda found: found["modality"] == "phone"),
        (["--box", "78,78,100,100"], lambda found: found["lesions"][0]["box"] == [78, 78, 100, 100]),
        (["--whole"], lambda found: found["lesions"][0]["box"] == [0, 0, 256, 256]),
        (["--whole"], lambda found: found["lesions"][0]["by_hand"]),
        (["--age", "25", "--sex", "female", "--site", "face"], lambda found: len(found["lesions"][0]["shifts"]) == 3),
        (["--flag", "bleeding", "--flag", "growing"],
         lambda found: sum("red flag" in reason for reason in found["reasons"]) == 2),
        (["--mask"], lambda found: found["lesions"][0]["mask"]["area"] > 5000),
        (["--explain", "occlusion"], lambda found: found["lesions"][0]["explain"]["agreement"] > 0.5),
        (["--provider", "cpu", "--threads", "1", "--low-memory"],
         lambda found: found["provider"] == "CPUExecutionProvider"),
    ],
)  # fmt: skip
def test_each_option_does_what_it_says(
    scan: Callable[..., int],
    mole: Path,
    capsys: Capture,
    options: list[str],
    check: Callable[[dict[str, Any]], bool],
) -> None:
    assert scan(mole, "--json", *options) == 0
    assert check(json.loads(lines(capsys)[0][0]))


def test_what_was_asked_beyond_the_finding_is_printed_too(
    scan: Callable[..., int], mole: Path, capsys: Capture
) -> None:
    assert scan(mole, "--mask", "--explain", "occlusion", "--flag", "bleeding", "--age", "25") == 0
    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    for part in ("its outline covers", "the heat map agrees with", "red flag stated", "age 25"):
        assert part in text


# -- overlays -------------------------------------------------------------------------------------------------------


def test_overlays_decode_do_not_collide_and_never_replace_a_photograph(
    scan: Callable[..., int], tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    MELANOMA.save(folder / "a.png")
    TWO.save(folder / "a.jpg")
    TWO.save(folder / "b.overlay.png")
    MELANOMA.save(folder / "b.png")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert scan(folder, folder / "b.overlay.png", "--overlay", folder, "--json") == 0
    written = {Path(json.loads(line)["overlay"]).name for line in lines(capsys)[0]}
    assert written == {"a.overlay.png", "a-2.overlay.png", "b-2.overlay.png", "b.overlay.overlay.png"}
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert {path.name for path in folder.iterdir()} == written | before.keys()
    for name in written:
        with Image.open(folder / name) as picture:
            picture.load()
            assert picture.format == "PNG" and min(picture.size) > 200


def test_the_longest_name_and_names_that_differ_by_case_get_their_overlays(
    scan: Callable[..., int], tmp_path: Path, capsys: Capture
) -> None:
    for name in ("m" * 251 + ".png", "A.png", "a.jpg"):
        MELANOMA.save(tmp_path / name)
    assert scan(tmp_path, "--overlay", tmp_path / "out", "--json") == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["A.overlay.png", "a-2.overlay.png", "m" * 200 + ".overlay.png"]


def test_a_second_run_does_not_scan_the_first_ones_overlays(
    scan: Callable[..., int], tmp_path: Path, capsys: Capture
) -> None:
    MELANOMA.save(tmp_path / "a.png")
    assert [scan(tmp_path, "--overlay", tmp_path, "--json") for _ in range(2)] == [0, 0]
    assert len(lines(capsys)[0]) == 2


def test_a_folder_that_cannot_be_written_is_wrong_usage_before_anything_is_scanned(
    scan: Callable[..., int], mole: Path, capsys: Capture
) -> None:
    assert scan(mole, "--json", "--overlay", mole / "below-a-file") == 2
    out, err = lines(capsys)
    assert out == [] and len(err) == 1 and "overlays cannot be written" in err[0]


# -- bad input ------------------------------------------------------------------------------------------------------


def unreadable(folder: Path) -> dict[str, Path]:
    jpeg = io.BytesIO()
    TWO.resize((900, 900)).save(jpeg, "JPEG", quality=95)
    files = {
        "empty.jpg": b"",
        "text.jpg": b"this is no photograph\n" * 20,
        "truncated.jpg": jpeg.getvalue()[: len(jpeg.getvalue()) // 2],
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "huge.png": png_header(60_000, 60_000),
        "dot.png": png(Image.new("RGB", (1, 1))),
        "strip.png": png(Image.new("RGB", (1, 10_000))),
        "bomb.zip": b"PK\x03\x04" + bytes(500),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder").mkdir()
    (folder / "link.jpg").symlink_to(folder / "nowhere.jpg")
    return {path.name: path for path in [*folder.iterdir(), folder / "missing.jpg"]}


NAMES = (
    "empty.jpg", "text.jpg", "truncated.jpg", "drawing.svg", "huge.png", "dot.png", "strip.png", "bomb.zip",
    "pipe.jpg", "folder", "link.jpg", "missing.jpg",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_photograph_is_one_line_that_names_it_and_exit_3(
    scan: Callable[..., int], tmp_path: Path, capsys: Capture, name: str
) -> None:
    path = unreadable(tmp_path)[name]
    assert scan(path, "--json") == 3
    out, err = lines(capsys)
    assert out == []
    assert len(err) == 1
    assert err[0].startswith("dermedge: ") and str(path) in err[0]
    assert re.search("[;:] .", err[0].removeprefix(f"dermedge: {path}")), "it must say what to do"


def test_one_bad_photograph_does_not_stop_the_others(
    scan: Callable[..., int], tmp_path: Path, mole: Path, capsys: Capture
) -> None:
    bad = unreadable(tmp_path)
    assert scan(bad["text.jpg"], mole, bad["folder"], bad["empty.jpg"], mole, "--json") == 3
    out, err = lines(capsys)
    assert [json.loads(line)["photo"] for line in out] == [str(mole)] * 2
    assert [name for line in err for name in ("text.jpg", "folder", "empty.jpg") if f"/{name}" in line] == [
        "text.jpg", "folder", "empty.jpg",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "picture",
    [
        tiny_pack.plain((0, 0, 0)),
        tiny_pack.plain((255, 255, 255)),
        tiny_pack.plain((60, 120, 200)),
        tiny_pack.skin_with_spots(((80, 170, 80), 128, 128, 60)),
    ],
    ids=["black", "white", "blue", "a green cup"],
)
def test_what_shows_no_lesion_is_answered_honestly(
    scan: Callable[..., int], tmp_path: Path, capsys: Capture, picture: Image.Image
) -> None:
    picture.save(tmp_path / "odd.png")
    assert scan(tmp_path / "odd.png", "--json") == 0
    found = json.loads(lines(capsys)[0][0])
    assert found["level"] in ("no-lesion", "unclear")
    assert found["advice"] and found["reasons"]


def odd_formats(folder: Path) -> Iterator[Path]:
    deep = np.asarray(MELANOMA.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "deep.png")
    MELANOMA.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    MELANOMA.save(folder / "animated.gif", save_all=True, append_images=[TWO])
    MELANOMA.save(folder / "plain.bmp")
    MELANOMA.save(folder / "plain.tiff")
    yield from sorted(folder.iterdir())


def test_odd_but_sound_photographs_are_answered(scan: Callable[..., int], tmp_path: Path, capsys: Capture) -> None:
    photos = list(odd_formats(tmp_path))
    assert scan(tmp_path, "--json") == 0
    found = {Path(json.loads(line)["photo"]).name: json.loads(line) for line in lines(capsys)[0]}
    assert found.keys() == {photo.name for photo in photos}
    assert found["animated.gif"]["notes"]
    assert found["cmyk.jpg"]["level"] == "urgent"


def test_names_cannot_steer_the_terminal(scan: Callable[..., int], tmp_path: Path, capsys: Capture) -> None:
    bad, good = tmp_path / "a\x1b[31m\n\x9bb.jpg", tmp_path / "c\x1b]0;owned\x07.png"
    bad.write_text("no photograph")
    MELANOMA.save(good)
    assert scan(bad, good, "--overlay", tmp_path / "out") == 3
    assert scan(bad, good, "--json") == 3
    captured = capsys.readouterr()
    assert all(character.isprintable() or character == "\n" for character in captured.out + captured.err)
    assert len(captured.err.splitlines()) == 2


# -- usage, packs, bugs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["dance"], "invalid choice"),
        (["scan"], "PATH"),
        (["scan", "a.jpg", "--top", "0"], "--top"),
        (["scan", "a.jpg", "--top", "many"], "--top"),
        (["scan", "a.jpg", "--box", "1,2,3"], "x,y,width,height"),
        (["scan", "a.jpg", "--box", "1,2,nan,4"], "--box"),
        (["scan", "a.jpg", "--box", "1,2,0,4"], "--box"),
        (["scan", "a.jpg", "--box", "1,2,3,4", "--whole"], "not both"),
        (["scan", "a.jpg", "--modality", "x-ray"], "--modality"),
        (["scan", "a.jpg", "--flag", "sparkling"], "unknown red flag"),
        (["scan", "a.jpg", "--sex", "robot"], "sex must be"),
        (["scan", "a.jpg", "--age", "200"], "age must be"),
        (["scan", "a.jpg", "--provider", "abacus"], "--provider"),
        (["scan", "a.jpg", "--provider", "openvino"], "openvino is not in this ONNX Runtime"),
        (["scan", "-", "-"], "stdin"),
        (["pack"], "ACTION"),
        (["pack", "install", "/nowhere"], "no folder"),
        (["bench", "--photo", "/nowhere.jpg"], "cannot be read"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(pack: Path, capsys: Capture, arguments: list[str], message: str) -> None:
    if arguments[:1] == ["scan"]:
        arguments = [*arguments, "--pack", str(pack)]
    assert main(arguments) == 2
    out, err = lines(capsys)
    assert out == [] and len(err) == 1
    assert err[0].startswith("dermedge: ") and message in err[0]


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_are_no_errors(capsys: Capture, option: str) -> None:
    assert main([option]) == 0
    out, err = lines(capsys)
    assert err == []
    assert "screening aid" in " ".join(out) if option == "--help" else out == [f"dermedge {__version__}"]


def test_a_bad_pack_is_exit_4_before_any_photograph_is_read(tmp_path: Path, mole: Path, capsys: Capture) -> None:
    altered = tiny_pack.build(tmp_path / "altered")
    (altered / "graphs/tower.onnx").write_bytes(b"something else")
    for wanted in (altered, tmp_path / "nowhere"):
        assert main(["scan", str(mole), "--pack", str(wanted), "--json"]) == 4
        out, err = lines(capsys)
        assert out == [] and len(err) == 1 and err[0].startswith("dermedge: ")


def test_a_bug_is_one_line_and_its_traceback_comes_on_request(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def broken(_: object) -> int:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(cli, "_doctor", broken)
    monkeypatch.delenv("DERMEDGE_DEBUG", raising=False)
    assert main(["doctor"]) == BUG
    [line] = lines(capsys)[1]
    assert "this is a bug: ZeroDivisionError: two lines" in line and "DERMEDGE_DEBUG=1" in line
    monkeypatch.setenv("DERMEDGE_DEBUG", "1")
    assert main(["doctor"]) == BUG
    assert "Traceback" in capsys.readouterr().err


def test_the_application_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    info = tmp_path / "stand_in-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[dermedge.commands]\ntui = stand_in_tui:run\n")
    (tmp_path / "stand_in_tui.py").write_text("def run(argv):\n    print(argv)\n    return 7\n")
    # Only what lies here is installed; an application that really is must not answer.
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert main(["tui", "--help", "x"]) == 7
    assert capsys.readouterr().out == "['--help', 'x']\n"


def test_without_the_application_its_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert main(["tui"]) == 2
    assert "pip install dermedge[tui]" in capsys.readouterr().err


# -- packs ----------------------------------------------------------------------------------------------------------


def test_packs_are_installed_listed_used_rolled_back_and_removed(tmp_path: Path, mole: Path, capsys: Capture) -> None:
    for version in ("1.0.0", "1.1.0"):
        folder = tiny_pack.build(tmp_path / version, version=version)
        assert main(["pack", "install", str(folder), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["version"] == version

    def used() -> str:
        assert main(["scan", str(mole), "--pack", "tiny", "--json"]) == 0
        return str(json.loads(capsys.readouterr().out)["pack"]["version"])

    assert used() == "1.1.0"
    assert main(["pack", "list", "--json"]) == 0
    rows = [row for row in json.loads(capsys.readouterr().out)["packs"] if not row["embedded"]]
    assert [(row["id"], row["name"][:5], row["current"]) for row in rows] == [
        ("tiny", "1.1.0", True), ("tiny", "1.0.0", False),
    ]  # fmt: skip
    assert main(["pack", "rollback", "tiny"]) == 0
    assert "tiny 1.0.0 is current again" in capsys.readouterr().out
    assert used() == "1.0.0"
    assert main(["pack", "list"]) == 0
    assert re.search(r"^\* tiny +1\.0\.0", capsys.readouterr().out, re.MULTILINE)
    assert main(["pack", "remove", "tiny"]) == 0
    assert main(["pack", "show", "tiny"]) == 4


def test_a_pack_that_answers_wrongly_here_is_not_installed(tmp_path: Path, capsys: Capture) -> None:
    folder = tiny_pack.build(tmp_path / "off")
    tiny_pack.edit_manifest(folder, lambda document: document["detector"].update(max_lesions=1))
    assert main(["pack", "install", str(folder)]) == 4
    assert "golden/phone.png" in capsys.readouterr().err
    assert main(["pack", "verify", "tiny"]) == 4


def test_a_pack_is_verified_and_shown(pack: Path, capsys: Capture) -> None:
    assert main(["pack", "verify", str(pack)]) == 0
    assert "files as listed" in capsys.readouterr().out
    assert main(["pack", "show", str(pack), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == tiny_pack.read_manifest(pack)
    assert main(["pack", "show", str(pack)]) == 0
    text = capsys.readouterr().out
    for part in (shown["digest"], "Apache-2.0", "melanocytic-nevus", "Thresholds for phone", "auc"):
        assert part in text


def test_bench_prints_a_table_or_json(pack: Path, tmp_path: Path, capsys: Capture) -> None:
    TWO.save(tmp_path / "two.jpg")
    bench = ["bench", "--pack", str(pack), "--photo", str(tmp_path / "two.jpg"), "--repeat", "1"]
    assert main([*bench, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scans"] == 1


# -- real processes -------------------------------------------------------------------------------------------------


def test_a_photograph_comes_from_stdin(pack: Path) -> None:
    process = start(pack, "-", "--json")
    out, err = process.communicate(png(MELANOMA))
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["level"] == "urgent" and json.loads(out)["photo"] == "stdin"


@pytest.mark.parametrize(("data", "message"), [(b"", b"empty"), (bytes(60_000_000), b"more than")])
def test_stdin_is_bounded_and_may_be_bad(pack: Path, data: bytes, message: bytes) -> None:
    process = start(pack, "-", "--json")
    out, err = process.communicate(data)
    assert process.returncode == 3
    assert out == b"" and message in err and len(err.splitlines()) == 1


def test_a_photograph_that_disappears_meanwhile_is_reported_in_its_place(
    pack: Path, mole: Path, tmp_path: Path
) -> None:
    later = tmp_path / "later"
    later.mkdir()
    MELANOMA.save(later / "gone.png")
    process = start(pack, mole, "-", later, "--json")
    # The folders have been walked by the time of the first answer; stdin holds the batch up there.
    first_line(process)
    (later / "gone.png").unlink()
    out, err = process.communicate(png(MELANOMA))
    assert process.returncode == 3
    assert len(out.splitlines()) == 1
    assert b"gone.png" in err and len(err.splitlines()) == 1


def test_ctrl_c_during_a_batch_is_130_and_quiet(pack: Path, mole: Path) -> None:
    process = start(pack, mole, "-", "--json")
    first_line(process)
    process.send_signal(signal.SIGINT)
    # Not communicate(): it would close stdin, and the process is to be waiting on it.
    assert process.wait(20) == INTERRUPTED
    assert process.stderr is not None and process.stderr.read() == b""
    process.communicate()


def test_a_reader_that_went_away_is_no_error_message(pack: Path, mole: Path) -> None:
    process = start(pack, mole, "-", "--json")
    first_line(process)
    assert process.stdout is not None and process.stdin is not None and process.stderr is not None
    process.stdout.close()
    process.stdin.write(png(MELANOMA))
    process.stdin.close()
    assert process.wait(20) == BROKEN_PIPE
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_name_beyond_the_terminals_encoding_is_spelled_out(pack: Path, tmp_path: Path) -> None:
    path = tmp_path / "tache-\u00e9.png"
    MELANOMA.save(path)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    process = start(pack, path, tmp_path / "missing-\u00e9.png", "--overlay", tmp_path / "out", env=environment)
    out, err = process.communicate()
    assert process.returncode == 3
    assert b"tache-\\xe9.png" in out and out.isascii() and err.isascii()
    assert b"!! URGENT" in out


def read_terminal(master: int) -> str:
    data = b""
    while select.select([master], [], [], 30)[0]:
        try:
            part = os.read(master, 65536)
        except OSError:  # Linux: the last process closed its end
            break
        if not part:
            break
        data += part
    return data.decode()


def test_a_terminal_gets_colours_and_a_bar_that_cleans_up_after_itself(pack: Path, tmp_path: Path) -> None:
    for number in range(5):
        MELANOMA.save(tmp_path / f"{number}.png")
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "100"}
    master, slave = pty.openpty()
    process = start(pack, tmp_path, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    seen = read_terminal(master)
    os.close(master)
    assert process.wait(20) == 0
    process.communicate()
    assert "\x1b[1;38;5;202m■ URGENT" in seen
    assert "2/5 " in seen
    assert re.findall(r"\[#*\.*\] \d/5 [^\r\n]*", seen)
    # Every bar is wiped before anything else is written.
    assert all(after.startswith("\r\x1b[K") for after in re.split(r"\[#*\.*\] \d/5 [^\r\n\x1b]*\x1b\[K", seen)[1:])
