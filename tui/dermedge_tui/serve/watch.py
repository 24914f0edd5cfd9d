"""An application behind a page ends with its server, even with one that was killed."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time

PATIENCE = 3.0


def end_with_server() -> None:
    """The server holds the other end of standard input; without it the toolkit would run on, unseen."""
    threading.Thread(target=_wait, args=(sys.stdin.fileno(),), name="server", daemon=True).start()


def _wait(standard_input: int) -> None:
    hung_up = select.poll()
    hung_up.register(standard_input, 0)
    hung_up.poll()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)
