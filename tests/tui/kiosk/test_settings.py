"""What the operator decided: read as it was meant, or refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dermedge import UsageError
from dermedge_tui.kiosk import settings
from dermedge_tui.kiosk.settings import Files, Settings


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    assert settings.load(tmp_path / "kiosk.json") == Settings()


def test_what_was_saved_is_read_back_and_is_for_its_user_only(tmp_path: Path) -> None:
    file = tmp_path / "new" / "kiosk.json"
    chosen = Settings("scrypt$...", "/dev/video0", 90, "/media", "light")
    settings.save(chosen, file)
    assert settings.load(file) == chosen
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["kiosk.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_gives_the_file_to_whom_the_folder_belongs_to(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 1234)
    settings.save(Settings(), tmp_path / "kiosk.json")
    assert (tmp_path / "kiosk.json").stat().st_uid == 1234


def test_a_link_in_the_place_of_the_part_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "kiosk.json.part").symlink_to(precious)
    settings.save(Settings(), tmp_path / "kiosk.json")
    assert precious.read_text() == "kept"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "repair it"),
        ("[]", "not a JSON object"),
        ('{"idel": 30}', "unknown setting 'idel'; known are camera, idle"),
        ('{"idle": 0}', "give 10 to 3600 seconds"),
        ('{"idle": true}', "give 10 to 3600 seconds"),
        ('{"idle": "60"}', "give 10 to 3600 seconds"),
        ('{"theme": "pink"}', "choose dark"),
        ('{"stick": "media"}', "full path"),
        ('{"pin": 271828}', "--set-pin"),
    ],
)
def test_a_bad_file_is_refused_with_what_to_do(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "kiosk.json"
    file.write_text(content)
    with pytest.raises(UsageError, match=said) as refused:
        settings.load(file)
    assert str(file) in str(refused.value)


def test_every_file_of_the_kiosk_lies_beside_its_settings() -> None:
    files = Files(Path("/var/lib/box/kiosk.json"))
    names = [str(path) for path in (files.counts, files.attempts, files.log)]
    assert names == [f"/var/lib/box/kiosk.{name}" for name in ("counts.json", "attempts.json", "log")]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="the folder must belong to the user"):
        settings.save(Settings(), tmp_path / "file" / "kiosk.json")


def test_the_file_is_readable_json(tmp_path: Path) -> None:
    settings.save(Settings(idle=30), tmp_path / "kiosk.json")
    assert json.loads((tmp_path / "kiosk.json").read_text())["idle"] == 30
