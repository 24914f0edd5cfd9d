"""A Ctrl-C is heeded wherever it arrives."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from dermedge_export.siglip.interruption import heeded


class Stubborn:
    """Is interrupted while it is finalized, where Python cannot pass the exception on."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)


def test_an_interrupt_that_a_finalizer_swallows_comes_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The background of a shell ignores it; this test does not.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    begun = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt), heeded():
            Stubborn()
            while time.monotonic() < begun + 10:
                time.sleep(0.01)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() < begun + 5
    assert "Exception ignored" not in capsys.readouterr().err


def test_other_lost_exceptions_are_still_reported_and_everything_is_put_back() -> None:
    told: list[type[BaseException]] = []
    mine, usual = lambda what: told.append(what.exc_type), sys.unraisablehook
    handler = signal.getsignal(signal.SIGALRM)

    class Failing:
        def __del__(self) -> None:
            raise ValueError

    sys.unraisablehook = mine
    try:
        with heeded():
            Failing()
        assert told == [ValueError]
        assert sys.unraisablehook is mine and signal.getsignal(signal.SIGALRM) is handler
    finally:
        sys.unraisablehook = usual
