"""What every test shares."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

# A shared machine may stall any single example; slowness is bench's business, not the tests'.
settings.register_profile("dermedge", deadline=None)
settings.load_profile("dermedge")

# Whoever runs the tests in a shell's background has them ignore Ctrl-C, and children would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_pack_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or touches the packs that the person at this machine installed."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
    monkeypatch.delenv("DERMEDGE_PACKS", raising=False)
