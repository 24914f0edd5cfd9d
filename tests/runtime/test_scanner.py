from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tiny_pack
from dermedge.crop import square_around
from dermedge.errors import BoxOutside, PackError, PackNotFound, UsageError
from dermedge.result import Box, Scan
from dermedge.saliency import agreement
from dermedge.scanner import Scanner
from dermedge.scorer import Facts
from dermedge.triage import MISSED

MELANOMA = tiny_pack.skin_with_spots(("melanoma", 128, 128, 50), modality="dermoscopy")
TWO = tiny_pack.skin_with_spots(("melanocytic-nevus", 70, 80, 30), ("basal-cell-carcinoma", 180, 170, 36))


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pack.build(tmp_path_factory.mktemp("pack") / "tiny")


@pytest.fixture(scope="module")
def scanner(pack: Path) -> Iterator[Scanner]:
    with Scanner.open(pack) as opened:
        yield opened


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def answer(scan: Scan) -> dict[str, Any]:
    """All that is said about a photograph, without how long it took."""
    found = scan.as_json()
    del found["seconds"]
    return found


def exact(scan: Scan) -> list[bytes]:
    """Every number behind the answer, to the bit."""
    return [
        part
        for lesion in scan.lesions
        for part in (
            np.array([lesion.box.x0, lesion.box.y0, lesion.box.x1, lesion.box.y1, lesion.confidence]).tobytes(),
            np.array(list(lesion.scores.probabilities.values())).tobytes(),
            lesion.saliency.heat.tobytes() if lesion.saliency else b"",
        )
    ]


def iou(a: Box, b: Box) -> float:
    across = max(0.0, min(a.x1, b.x1) - max(a.x0, b.x0))
    down = max(0.0, min(a.y1, b.y1) - max(a.y0, b.y0))
    return across * down / (a.width * a.height + b.width * b.height - across * down)


def test_path_text_bytes_picture_and_array_give_the_same_answer(scanner: Scanner, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    MELANOMA.save(path)
    scans = [
        scanner.scan(source, name="same")
        for source in (path, str(path), path.read_bytes(), MELANOMA, np.asarray(MELANOMA))
    ]
    assert [answer(scan) for scan in scans] == [answer(scans[0])] * 5
    assert [exact(scan) for scan in scans] == [exact(scans[0])] * 5


def test_a_melanoma_is_found_judged_and_explained(scanner: Scanner) -> None:
    scan = scanner.scan(MELANOMA)
    [lesion] = scan.lesions
    assert iou(lesion.box, Box(78, 78, 178, 178)) > 0.8
    assert scan.modality == "dermoscopy"
    assert lesion.scores.ranked()[0][0] == "melanoma"
    assert scan.verdict == lesion.verdict
    assert scan.verdict.level == "urgent"
    assert lesion.saliency is not None and lesion.saliency.condition == "melanoma"
    assert scan.provider == "CPUExecutionProvider"
    assert (scan.pack.id, scan.pack.version, scan.pack.calibrated) == ("tiny", "1.0.0", True)
    assert {"decode", "quality", "detector", "crop", "tower", "scorer", "total"} <= scan.seconds.keys()
    assert 0 < sum(seconds for step, seconds in scan.seconds.items() if step != "total") <= scan.seconds["total"]


def test_each_of_several_lesions_has_its_own_finding_and_the_worst_is_the_photographs(
    scanner: Scanner,
) -> None:
    scan = scanner.scan(TWO)
    found = {lesion.scores.ranked()[0][0]: lesion for lesion in scan.lesions}
    assert set(found) == {"melanocytic-nevus", "basal-cell-carcinoma"}
    assert sorted(lesion.number for lesion in scan.lesions) == [1, 2]
    assert iou(found["melanocytic-nevus"].box, Box(40, 50, 100, 110)) > 0.5
    assert iou(found["basal-cell-carcinoma"].box, Box(144, 134, 216, 206)) > 0.5
    assert found["melanocytic-nevus"].verdict.level == "watch"
    assert scan.verdict.level == found["basal-cell-carcinoma"].verdict.level == "urgent"


def test_bare_skin_has_no_lesion_and_no_number_is_made_up_for_it(scanner: Scanner) -> None:
    scan = scanner.scan(tiny_pack.skin_with_spots())
    assert scan.lesions == ()
    assert scan.modality is None
    assert scan.verdict.level in ("no-lesion", "unclear")
    assert scan.as_json()["lesions"] == []


def test_what_the_tower_refuses_is_listed_and_no_lesion(scanner: Scanner) -> None:
    cup = tiny_pack.skin_with_spots(((40, 90, 200), 128, 128, 50))
    scan = scanner.scan(cup)
    assert scan.lesions == ()
    assert len(scan.rejected) == 1
    assert scan.verdict.level in ("no-lesion", "unclear")


def test_what_the_tower_is_not_sure_to_be_a_lesion_is_shown_and_unclear(scanner: Scanner) -> None:
    scan = scanner.scan(tiny_pack.skin_with_spots(((80, 60, 100), 128, 128, 50)))
    scores = scan.lesions[0].scores
    assert scores.rejected and not scores.nothing and not scan.rejected
    assert scores.malignant > 0.6, "a tower that knew it for a lesion would call this urgent"
    assert scan.verdict.level == "unclear"


def test_what_the_tower_refuses_is_unclear_where_the_person_pointed_at_it(scanner: Scanner) -> None:
    cup = tiny_pack.skin_with_spots(((40, 90, 200), 128, 128, 50))
    scan = scanner.scan(cup, box=(78, 78, 100, 100))
    assert scan.verdict.level == "unclear"
    assert scan.lesions[0].by_hand and not scan.rejected


def test_a_box_by_hand_is_taken_as_it_is(scanner: Scanner) -> None:
    scan = scanner.scan(TWO, box=(40, 50, 60, 60))
    [lesion] = scan.lesions
    assert lesion.box == Box(40, 50, 100, 110)
    assert lesion.by_hand
    assert lesion.scores.ranked()[0][0] == "melanocytic-nevus"


def test_a_box_that_reaches_over_the_edge_is_cut_to_the_photograph(scanner: Scanner) -> None:
    assert scanner.scan(TWO, box=(-20, 200, 100, 100)).lesions[0].box == Box(0, 200, 80, 256)


@pytest.mark.parametrize(
    "box",
    [
        (300, 0, 50, 50),
        (-50, 0, 50, 50),
        (10, 10, 4, 50),
        (10, 10, -20, 20),
        (float("nan"), 0, 50, 50),
        (0, 0, float("nan"), 50),
    ],
)
def test_a_box_off_the_photograph_is_an_error(scanner: Scanner, box: tuple[float, float, float, float]) -> None:
    with pytest.raises(BoxOutside, match="give x,y,width,height"):
        scanner.scan(TWO, box=box)


def test_the_whole_frame_can_be_the_lesion(scanner: Scanner) -> None:
    close_up = tiny_pack.skin_with_spots(("melanoma", 128, 128, 110), modality="dermoscopy")
    [lesion] = scanner.scan(close_up, whole=True).lesions
    assert lesion.box == Box(0, 0, 256, 256)
    assert lesion.scores.ranked()[0][0] == "melanoma"


def test_the_modality_can_be_forced(scanner: Scanner) -> None:
    scans = {modality: scanner.scan(MELANOMA, modality=modality) for modality in ("dermoscopy", "phone")}
    assert {modality: scan.modality for modality, scan in scans.items()} == {m: m for m in scans}
    assert scans["phone"].lesions[0].scores.probabilities != scans["dermoscopy"].lesions[0].scores.probabilities


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modality": "x-ray"}, "unknown modality 'x-ray'"),
        ({"box": (0, 0, 50, 50), "whole": True}, "either a box or the whole frame"),
        ({"flags": ["sparkling"]}, "unknown red flag"),
    ],
)
def test_what_does_not_exist_or_fit_together_is_refused(
    scanner: Scanner, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        scanner.scan(MELANOMA, **options)


def test_facts_shift_the_probabilities_and_say_so(scanner: Scanner) -> None:
    mixed = tiny_pack.skin_with_spots(("melanoma", 128, 128, 50), modality="dermoscopy")
    plain, told = scanner.scan(mixed), scanner.scan(mixed, facts=Facts(age=25))
    assert told.lesions[0].scores.probabilities["melanoma"] < plain.lesions[0].scores.probabilities["melanoma"]
    assert told.lesions[0].scores.shifts[0].startswith("age 25:")


@pytest.mark.parametrize("picture", [TWO, tiny_pack.skin_with_spots()], ids=["lesions", "none found"])
def test_a_red_flag_raises_whatever_was_found(scanner: Scanner, picture: Image.Image) -> None:
    scan = scanner.scan(picture, flags=["bleeding"])
    assert scan.verdict.level in ("refer", "urgent")
    assert all(lesion.verdict.level in ("refer", "urgent") for lesion in scan.lesions)
    assert scan.lesions or scan.verdict.headline == MISSED


def test_two_scans_are_identical_to_the_bit(scanner: Scanner) -> None:
    first, second = scanner.scan(TWO, mask=True), scanner.scan(TWO, mask=True)
    assert answer(first) == answer(second)
    assert exact(first) == exact(second)


def test_eight_threads_give_the_same_as_one(scanner: Scanner) -> None:
    pictures = [MELANOMA, TWO, tiny_pack.skin_with_spots()] * 6
    alone = [exact(scanner.scan(picture)) for picture in pictures]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda picture: exact(scanner.scan(picture, mask=True)), pictures))
    assert together == alone


def test_low_memory_and_one_thread_give_the_same_finding(pack: Path, scanner: Scanner) -> None:
    with Scanner.open(pack, threads=1, low_memory=True) as frugal:
        mine, other = answer(frugal.scan(TWO)), answer(scanner.scan(TWO))
    for lesion, same in zip(mine["lesions"], other["lesions"], strict=True):
        assert lesion["level"] == same["level"]
        assert lesion["probabilities"] == pytest.approx(same["probabilities"], abs=1e-4)


def test_an_absent_provider_is_an_error_and_not_replaced(pack: Path) -> None:
    with pytest.raises(UsageError, match="openvino is not in this ONNX Runtime"):
        Scanner.open(pack, provider="openvino")


def test_a_pack_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PackNotFound):
        Scanner.open(tmp_path / "missing")


def test_a_context_manager_lets_go_of_its_graphs(pack: Path) -> None:
    with Scanner.open(pack) as scanner:
        scanner.scan(MELANOMA)
    scanner.close()
    with pytest.raises(UsageError, match="scanner is closed"):
        scanner.scan(MELANOMA)


def test_the_golden_photographs_give_their_golden_answers(pack: Path, scanner: Scanner) -> None:
    golden = scanner.pack.manifest.golden
    for photo in golden.photos:
        scan = scanner.scan(pack / photo.photo, modality=photo.modality)
        assert len(scan.lesions) == len(photo.boxes)
        for lesion, box, probabilities in zip(scan.lesions, photo.boxes, photo.probabilities, strict=True):
            assert lesion.box.as_xywh() == pytest.approx(box, abs=golden.box_pixels)
            assert dict(lesion.scores.probabilities) == pytest.approx(dict(probabilities), abs=golden.probability)


def test_a_large_jpeg_decoded_in_draft_mode_gives_the_full_decodes_box(scanner: Scanner) -> None:
    large = tiny_pack.skin_with_spots(("melanoma", 1700, 1300, 600), size=(4000, 3000), modality="dermoscopy")
    file = io.BytesIO()
    large.save(file, "JPEG", quality=92)
    full = np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))
    drafted, whole = scanner.scan(file.getvalue()), scanner.scan(full)
    assert drafted.photo.scale < 1.0 and whole.photo.scale == 1.0
    assert (drafted.photo.width, drafted.photo.height) == (4000, 3000)
    [mine], [other] = drafted.lesions, whole.lesions
    assert iou(mine.box, Box(1100, 700, 2300, 1900)) > 0.8
    for edge in ("x0", "y0", "x1", "y1"):
        assert getattr(mine.box, edge) == pytest.approx(getattr(other.box, edge), abs=0.02 * 4000)
    assert mine.scores.malignant == pytest.approx(other.scores.malignant, abs=0.02)


def test_saliency_sums_up_to_the_cosine_that_was_scored_and_lies_on_the_crop(scanner: Scanner) -> None:
    scan = scanner.scan(TWO)
    for lesion in scan.lesions:
        assert lesion.saliency is not None
        crop = scanner.crop(scan.photo, lesion.box)
        vector = scanner.scorer.vector(lesion.scores.modality, lesion.saliency.condition)
        cosine = float(scanner.tower.embed(crop).vector.astype(np.float64) @ vector)
        assert float(lesion.saliency.heat.astype(np.float64).sum()) == pytest.approx(cosine, abs=1e-5)
        context = scanner.pack.manifest.tower.context
        assert lesion.saliency.region == square_around(lesion.box, scan.photo.width, scan.photo.height, context)


def test_a_worrying_lesion_is_explained_by_a_worrying_condition(scanner: Scanner) -> None:
    mixed = scanner.scan(TWO, flags=["growing"])
    groups = {condition.id: condition.group for condition in scanner.pack.manifest.conditions}
    for lesion in mixed.lesions:
        assert lesion.saliency is not None
        assert groups[lesion.saliency.condition] in ("malignant", "premalignant")


def test_occlusion_agrees_with_the_one_pass_heat_map(scanner: Scanner) -> None:
    scan = scanner.scan(MELANOMA)
    [lesion] = scan.lesions
    assert lesion.saliency is not None
    checked = scanner.occlusion(scan, lesion)
    assert checked.region == lesion.saliency.region
    assert agreement(lesion.saliency, checked) > 0.5


def test_without_saliency_there_is_nothing_to_check(scanner: Scanner) -> None:
    scan = scanner.scan(MELANOMA, saliency=False)
    assert scan.lesions[0].saliency is None
    with pytest.raises(UsageError, match="no heat map"):
        scanner.occlusion(scan, scan.lesions[0])


def test_a_mask_comes_on_request_and_covers_the_lesion(scanner: Scanner) -> None:
    assert scanner.scan(MELANOMA).lesions[0].mask is None
    mask = scanner.scan(MELANOMA, mask=True).lesions[0].mask
    assert mask is not None
    area = float(mask.pixels.mean()) * mask.region.width * mask.region.height
    assert area == pytest.approx(np.pi * 50**2, rel=0.15)


def test_a_pack_without_a_segmenter_says_so(tmp_path: Path) -> None:
    with (
        Scanner.open(tiny_pack.build(tmp_path / "bare", segmenter=False)) as scanner,
        pytest.raises(PackError, match="no segmenter"),
    ):
        scanner.scan(MELANOMA, mask=True)


def test_an_uncalibrated_pack_never_reassures(tmp_path: Path) -> None:
    nevus = tiny_pack.skin_with_spots(("melanocytic-nevus", 128, 128, 50))
    with Scanner.open(tiny_pack.build(tmp_path / "raw", calibrated=False)) as scanner:
        scan = scanner.scan(nevus)
    assert scan.verdict.level == "unclear"
    assert not scan.pack.calibrated and not scan.lesions[0].scores.calibrated


@pytest.mark.parametrize("views", [2, 8])
def test_more_views_of_a_crop_give_the_same_finding(tmp_path: Path, views: int) -> None:
    with Scanner.open(tiny_pack.build(tmp_path / "views", views=views)) as scanner:
        assert scanner.scan(MELANOMA).verdict.level == "urgent"


def test_a_scan_is_immutable(scanner: Scanner) -> None:
    scan = scanner.scan(MELANOMA)
    lesion = scan.lesions[0]
    assert lesion.saliency is not None
    changes: list[Callable[[], object]] = [
        lambda: setattr(scan, "lesions", ()),
        lambda: lesion.scores.probabilities.update(melanoma=0.0),  # type: ignore[attr-defined]
        lambda: scan.seconds.clear(),  # type: ignore[attr-defined]
        lambda: scan.photo.pixels.fill(0),
        lambda: lesion.saliency.heat.fill(0),  # type: ignore[union-attr]
    ]
    for change in changes:
        with pytest.raises((AttributeError, TypeError, ValueError)):
            change()


WATCHED = """
import json, os, sys
seen = []
def hook(event, arguments):
    if event.startswith("socket.") or event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
        seen.append([event, repr(arguments)[:200]])
    if event == "open":
        path, mode, flags = arguments
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and path != os.devnull:
            seen.append([event, repr(path)])
    if event in ("os.rename", "os.mkdir", "os.link", "os.symlink"):
        seen.append([event, repr(arguments)[:200]])
sys.addaudithook(hook)
from dermedge import Scanner
with Scanner.open(sys.argv[1]) as scanner:
    for photo in sys.argv[2:]:
        scan = scanner.scan(photo, mask=True)
        for lesion in scan.lesions:
            scanner.occlusion(scan, lesion)
print(json.dumps(seen))
"""


def test_scanning_writes_nothing_and_opens_no_socket(pack: Path, tmp_path: Path) -> None:
    photos = []
    for name, picture in (("a.png", MELANOMA), ("b.jpg", TWO), ("c.webp", TWO)):
        picture.save(tmp_path / name)
        photos.append(str(tmp_path / name))
    before = sorted(tmp_path.rglob("*"))
    run = subprocess.run(
        [sys.executable, "-B", "-c", WATCHED, str(pack), *photos],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == []
    assert sorted(tmp_path.rglob("*")) == before
