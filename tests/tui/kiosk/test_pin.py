"""The operator's PIN: what is kept of it, and what wrong ones cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dermedge import UsageError
from dermedge_tui.kiosk import pin
from kiosk_stage import KEPT_PIN, PIN, Clock


@pytest.mark.parametrize(
    ("text", "good"),
    [("271828", True), ("27182", False), ("2" * 12, True), ("2" * 13, False), ("27182a", False), ("٢٧١٨٢٨", False)],
)
def test_a_pin_is_six_to_twelve_digits_of_the_pad(text: str, good: bool) -> None:
    assert pin.acceptable(text) is good


def test_only_a_salted_hash_is_kept() -> None:
    first, second = pin.hashed(PIN), pin.hashed(PIN)
    assert first != second and PIN not in first
    assert pin.matches(PIN, first) and pin.matches(PIN, second)
    assert not pin.matches("271829", first) and not pin.matches("", first)


@pytest.mark.parametrize("kept", ["", "scrypt", "plain$1$2$3$4$5", "scrypt$x$8$1$00$00", "scrypt$3$8$1$00$00"])
def test_a_damaged_hash_is_an_error_and_opens_nothing(kept: str) -> None:
    with pytest.raises(UsageError, match="--set-pin"):
        pin.matches(PIN, kept)


def test_each_wrong_pin_makes_the_next_try_wait_longer(tmp_path: Path) -> None:
    clock = Clock()
    lock = pin.Lock(tmp_path / "attempts.json", clock)
    waits = []
    for _ in range(12):
        assert not lock.opens("000000", KEPT_PIN)
        waits.append(lock.wait)
        clock.now += lock.wait
    assert waits == [0, 0, 5, 10, 20, 40, 80, 160, 300, 300, 300, 300]


def test_while_one_has_to_wait_even_the_right_pin_opens_nothing(tmp_path: Path) -> None:
    clock = Clock()
    lock = pin.Lock(tmp_path / "attempts.json", clock)
    for _ in range(3):
        lock.opens("000000", KEPT_PIN)
    clock.now += 4.9
    assert not lock.opens(PIN, KEPT_PIN)
    clock.now += 0.2
    assert lock.opens(PIN, KEPT_PIN)
    assert lock.wait == 0 and not lock.opens("000000", KEPT_PIN) and lock.wait == 0, "and the count begins anew"


def test_a_restart_forgets_no_wrong_pin(tmp_path: Path) -> None:
    file = tmp_path / "attempts.json"
    lock = pin.Lock(file, Clock())
    for _ in range(3):
        lock.opens("000000", KEPT_PIN)
    clock = Clock()
    again = pin.Lock(file, clock)
    assert again.wait == 5, "whatever time the box thinks it is"
    clock.now += 5
    again.opens("000000", KEPT_PIN)
    assert again.wait == 10


def test_pulling_the_plug_while_a_pin_is_checked_gains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "attempts.json"
    lock = pin.Lock(file, Clock())

    def unplugged(*_given: object) -> bool:
        raise SystemExit

    monkeypatch.setattr(pin, "matches", unplugged)
    with pytest.raises(SystemExit):
        lock.opens("000000", KEPT_PIN)
    assert json.loads(file.read_text()) == {"wrong": 1}


@pytest.mark.parametrize("content", ["", "[]", '{"wrong": "none"}', '{"wrong": -5}'])
def test_damaging_the_count_is_no_way_around_it(tmp_path: Path, content: str) -> None:
    file = tmp_path / "attempts.json"
    file.write_text(content)
    assert pin.Lock(file, Clock()).wait == pin.LONGEST_WAIT


def test_without_a_disk_the_count_lives_as_long_as_the_process(tmp_path: Path) -> None:
    lock = pin.Lock(Path("/proc/nowhere/attempts.json"), Clock())
    for _ in range(3):
        lock.opens("000000", KEPT_PIN)
    assert lock.wait == 5
