from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny_pack
from dermedge.cli import main
from dermedge.errors import ProfileError
from dermedge.pack.reading import document_of
from dermedge.pack.verify import VerifiedPack, verify
from dermedge.profile import CUT_LIMITS, LIMITS, Calibration, Cuts, Profile, folder
from dermedge.triage import ALWAYS_URGENT, NEVER_REASSURING, NEVER_REASSURING_PREMALIGNANT, PROFILE

SET = Calibration(
    dermoscopy=Cuts(temperature=1.5, refer=0.1), phone=Cuts(urgent=0.5), margin=0.2, confidence=0.3, context=2.0,
    modality="phone",
)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> VerifiedPack:
    return verify(tiny_pack.build(tmp_path_factory.mktemp("pack")))


def test_what_is_kept_is_read_again_as_it_was(pack: VerifiedPack, tmp_path: Path) -> None:
    profile = Profile.of(pack.ref, SET, "clinic-2")
    assert Profile.kept(tmp_path) == []
    file = profile.save(tmp_path)
    assert Profile.load("clinic-2", tmp_path) == profile
    assert Profile.kept(tmp_path) == ["clinic-2"]
    assert list(tmp_path.iterdir()) == [file], "no part is left beside it"


def test_profiles_lie_in_the_settings_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert folder() == tmp_path / "dermedge" / "profiles"


def change(document: dict[str, Any], path: str, value: object) -> None:
    *above, last = path.split(".")
    for key in above:
        document = document[key]
    document[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", 2), ("schema", True), ("name", "other"), ("pack", 5), ("digest", None), ("calibration", []),
        ("extra", 1), ("calibration.extra", 1), ("calibration.phone.extra", 1), ("calibration.phone", None),
        ("calibration.phone.urgent", 0.81), ("calibration.phone.refer", 0.31),
        ("calibration.phone.refer_premalignant", 0.51), ("calibration.phone.unclear", 0.6),
        ("calibration.phone.urgent", 0), ("calibration.phone.urgent", True), ("calibration.phone.urgent", "0.5"),
        ("calibration.phone.urgent", [0.5]), ("calibration.dermoscopy.temperature", 0.0),
        ("calibration.dermoscopy.temperature", float("nan")), ("calibration.margin", -0.1),
        ("calibration.confidence", float("inf")), ("calibration.context", 10**400),
        ("calibration.modality", "x-ray"), ("calibration.modality", ["phone"]),
    ],
    ids=lambda part: str(part)[:40],
)
def test_every_value_is_checked_as_it_is_read(pack: VerifiedPack, tmp_path: Path, path: str, value: object) -> None:
    file = Profile.of(pack.ref, SET, "mine").save(tmp_path)
    document = json.loads(file.read_text())
    change(document, path, value)
    file.write_text(json.dumps(document))
    with pytest.raises(ProfileError, match="no sound profile") as error:
        Profile.load("mine", tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema": 1}', b"[" * 100_000, b" " * 20_000]
)
def test_a_damaged_file_is_an_error_of_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.json").write_bytes(content)
    with pytest.raises(ProfileError) as error:
        Profile.load("mine", tmp_path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize("name", ["missing", "../mine", "", "a" * 40, "x\x1b[31m", "unsaved/.."])
def test_a_name_is_no_path_and_one_that_is_missing_names_those_there_are(
    pack: VerifiedPack, tmp_path: Path, name: str
) -> None:
    Profile.of(pack.ref, SET, "mine").save(tmp_path)
    with pytest.raises(ProfileError, match="there are: mine") as error:
        Profile.load(name, tmp_path)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("name", ["", "two words", "-first", "a/b", "ä", "x" * 33, "a.json"])
def test_a_name_is_plain(pack: VerifiedPack, name: str) -> None:
    with pytest.raises(ProfileError, match="no name for a profile"):
        Profile.of(pack.ref, SET, name)


def test_what_is_only_tried_out_is_not_kept_and_an_impossible_folder_is_said(
    pack: VerifiedPack, tmp_path: Path
) -> None:
    with pytest.raises(ProfileError, match="choose another name"):
        Profile.of(pack.ref, SET).save(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ProfileError, match="cannot be kept"):
        Profile.of(pack.ref, SET, "mine").save(tmp_path / "file" / "below")


def test_a_profile_is_refused_for_every_other_pack(pack: VerifiedPack) -> None:
    profile = Profile.of(pack.ref, SET, "mine")
    profile.check(pack.ref)
    for other in (dataclasses.replace(pack.ref, digest="0" * 64), dataclasses.replace(pack.ref, id="compact")):
        with pytest.raises(ProfileError, match="was made for the pack tiny"):
            profile.check(other)


def test_the_packs_own_manifest_is_never_changed_and_what_is_not_set_stays(pack: VerifiedPack) -> None:
    before = document_of(pack.manifest)
    manifest = SET.applied(pack.manifest)
    assert document_of(pack.manifest) == before
    assert Calibration().applied(pack.manifest).scoring == pack.manifest.scoring
    assert Calibration().applied(pack.manifest).triage == pack.manifest.triage
    assert manifest.scoring["dermoscopy"].temperature == 1.5
    assert manifest.scoring["phone"] == pack.manifest.scoring["phone"]
    assert (manifest.tower.context, manifest.detector.confidence) == (2.0, 0.3)
    assert manifest.triage["phone"].urgent.value == 0.5
    assert manifest.triage["phone"].refer == pack.manifest.triage["phone"].refer


def test_what_was_measured_at_the_packs_threshold_is_not_said_of_another(pack: VerifiedPack) -> None:
    urgent = SET.applied(pack.manifest).triage["phone"].urgent
    assert (urgent.sensitivity, urgent.specificity, urgent.positives, urgent.data) == (None, None, 0, PROFILE)


def test_no_limit_reaches_beyond_a_fixed_ceiling() -> None:
    assert CUT_LIMITS["urgent"].high <= ALWAYS_URGENT
    assert CUT_LIMITS["refer"].high <= NEVER_REASSURING
    assert max(CUT_LIMITS[name].high for name in ("refer_premalignant", "unclear")) <= NEVER_REASSURING_PREMALIGNANT
    assert all(limit.low < limit.high and limit.step > 0 for limit in (*CUT_LIMITS.values(), *LIMITS.values()))


@given(st.sampled_from(sorted(CUT_LIMITS)), st.floats(allow_nan=True, allow_infinity=True))
def test_a_number_is_taken_exactly_where_its_limits_say(name: str, value: float) -> None:
    limit = CUT_LIMITS[name]
    if limit.low <= value <= limit.high:
        assert getattr(Cuts(**{name: value}), name) == value
    else:
        with pytest.raises(ProfileError, match=f"{name} must be a number from"):
            Cuts(**{name: value})


@pytest.fixture
def photo(tmp_path: Path) -> str:
    tiny_pack.skin_with_spots(("melanocytic-nevus", 128, 128, 50)).save(tmp_path / "mole.png")
    return str(tmp_path / "mole.png")


def test_the_command_line_judges_by_a_profile_and_says_so(
    pack: VerifiedPack, photo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    careful = Calibration(dermoscopy=Cuts(reassure=1.0), phone=Cuts(reassure=1.0))
    Profile.of(pack.ref, careful, "careful").save()
    levels = {}
    for options in ([], ["--profile", "careful"]):
        assert main(["scan", photo, "--pack", str(pack.folder), "--json", *options]) == 0
        found = json.loads(capsys.readouterr().out)
        levels[found["profile"]] = found["level"]
    assert levels == {None: "watch", "careful": "unclear"}
    main(["scan", photo, "--pack", str(pack.folder), "--profile", "careful"])
    assert "under the profile careful" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("digest", ["0" * 64, None], ids=["another pack", "missing"])
def test_the_command_line_refuses_a_profile_in_one_line(
    pack: VerifiedPack, photo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], digest: str | None,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    if digest:
        Profile("mine", "tiny", digest, SET).save()
    assert main(["scan", photo, "--pack", str(pack.folder), "--profile", "mine"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and "mine" in captured.err
