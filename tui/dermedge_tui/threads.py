"""Threads that remember nothing of what ran in them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from textual.app import App

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


class ForgetfulThreads(ThreadPoolExecutor):
    """Runs everything in a context of its own.

    The toolkit notes in the thread's context which worker runs there. A thread that waits for the next one would hold
    on to the last one, and to the page and the photograph that it was about.
    """

    def submit(
        self, work: Callable[Given, Answer], /, *args: Given.args, **kwargs: Given.kwargs
    ) -> Future[Answer]:
        context = copy_context()
        return super().submit(lambda: context.run(work, *args, **kwargs))


def forgetting(app: App[Any]) -> None:
    """Workers of a running application leave nothing behind."""
    # The toolkit's own reference to the loop: importing asyncio would let this package open sockets.
    if app._loop is not None:
        app._loop.set_default_executor(ForgetfulThreads(thread_name_prefix="dermedge"))
