"""A page with a terminal in it; behind every open page runs an application of its own, in a process of its own."""

from __future__ import annotations

import asyncio
import html
import ipaddress
import json
import os
import shlex
import signal
import string
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import textual_serve
from aiohttp import WSCloseCode, WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from dermedge import UsageError

from ..language import _, chosen

HERE = Path(__file__).parent
TOOLKITS = Path(next(iter(textual_serve.__path__))) / "static"
"""The terminal's script, its stylesheet and a font, as files that came with the toolkit."""

MOST_PAGES = 8
"""Open at a time: each holds a pack and a session in memory."""
PATIENCE = 5.0
"""Seconds that an application has to end by itself."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page(AppService):
    """The application behind one open page."""

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        # What the server was started in says nothing about the browser.
        environment = super()._build_environment(width, height) | {"TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        return environment

    async def run(self) -> None:
        """An application that ended closes its page, however it ended."""
        await super().run()
        await self.remote_close()

    async def end(self) -> None:
        """Within a few seconds, whatever it is at."""
        try:
            await asyncio.wait_for(self.stop(), PATIENCE)
        except asyncio.TimeoutError:
            if self._process is not None and self._process.returncode is None:
                self._process.kill()
        if self._process is not None:
            await self._process.wait()


class Server:
    """Serves one command to browsers."""

    def __init__(self, command: Sequence[str], host: str, port: int) -> None:
        # Without `exec`, a shell would stand between the server and the application.
        self._command = f"exec {shlex.join(command)}"
        self._host = host
        self._port = port
        self._open: set[web.WebSocketResponse] = set()

    async def run(self) -> None:
        """Until it is interrupted or told to end."""
        application = web.Application(middlewares=[self._guarded])
        application.add_routes(
            [
                web.get("/", self._index),
                web.get("/{name:page[.](css|js)}", self._beside),
                web.get("/ws", self._terminal),
                web.static("/static", TOOLKITS),
            ]
        )
        application.on_response_prepare.append(self._policed)
        application.on_shutdown.append(self._closed)
        ended = asyncio.Event()
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(each, ended.set)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=2 * PATIENCE)
        await runner.setup()
        try:
            await self._listen(runner)
            await ended.wait()
        finally:
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> None:
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            # asyncio puts a sentence of its own around the system's words.
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise UsageError(
                f"{self._host}, port {self._port}, cannot be served on ({reason}); name others with --host and --port"
            ) from error
        self._port = runner.addresses[0][1]
        shown = f"[{self._host}]" if ":" in self._host else self._host
        print(f"http://{shown}:{self._port}  (ctrl+c ends it)", flush=True)

    async def _closed(self, _application: web.Application) -> None:
        for each in list(self._open):
            await each.close(code=WSCloseCode.GOING_AWAY)

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A page of another site can get here under a name of its own; it is turned away."""
        if loopback(self._host) and not loopback(host_of(request.host)):
            raise web.HTTPForbidden(text="another name was asked for than this computer's own")
        return await handler(request)

    async def _policed(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = policy(request.host)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"

    async def _index(self, request: web.Request) -> web.Response:
        page = string.Template((HERE / "page.html").read_text(encoding="utf-8"))
        texts = {
            "language": chosen(),
            "host": html.escape(request.host),
            "ended": _("This session has ended."),
            "again": _("Begin a new one"),
        }
        return web.Response(text=page.substitute(texts), content_type="text/html")

    async def _beside(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(HERE / request.match_info["name"])

    async def _terminal(self, request: web.Request) -> web.WebSocketResponse:
        if request.headers.get("Origin") != f"http://{request.host}":
            raise web.HTTPForbidden(text="only this server's own page may open a session")
        if len(self._open) >= MOST_PAGES:
            raise web.HTTPServiceUnavailable(text=f"{MOST_PAGES} sessions are open; close one")
        socket = web.WebSocketResponse(heartbeat=15)

        async def close() -> None:
            await socket.close()

        self._open.add(socket)
        try:
            await socket.prepare(request)
            page = Page(
                self._command,
                write_bytes=socket.send_bytes,
                write_str=socket.send_str,
                close=close,
                download_manager=DownloadManager(),
            )
            try:
                await page.start(cells(request.query.get("width"), 80), cells(request.query.get("height"), 24))
                async for message in socket:
                    if message.type == WSMsgType.TEXT:
                        await told(page, message.data)
            finally:
                await page.end()
        finally:
            self._open.discard(socket)
        return socket


async def told(page: Page, text: str) -> None:
    """One message of the terminal's script; what is none is left out."""
    try:
        kind, *values = json.loads(text)
        if kind == "stdin":
            await page.send_bytes(str(values[0]).encode())
        elif kind == "resize":
            await page.set_terminal_size(cells(values[0]["width"], 80), cells(values[0]["height"], 24))
        elif kind == "focus":
            await page.focus()
        elif kind == "blur":
            await page.blur()
    except (ValueError, TypeError, LookupError, RecursionError):
        return


def cells(given: object, otherwise: int) -> int:
    """Columns or lines, within reason."""
    try:
        return min(max(int(str(given)), 1), 1000)
    except ValueError:
        return otherwise


def host_of(header: str) -> str:
    """Without the port: `[::1]:8000` -> `::1`."""
    return header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]


def loopback(host: str) -> bool:
    """Whether only programs on this computer can reach it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def policy(host: str) -> str:
    """The browser itself refuses whatever would come from anywhere else."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
        f"img-src 'self' data:; connect-src 'self' ws://{host}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def serve(arguments: Sequence[str], host: str, port: int) -> int:
    """`dermedge tui` with these arguments, for every browser that comes."""
    if not loopback(host):
        print(
            f"dermedge: WARNING: {host} is no loopback address: whoever reaches this computer can use it, see the "
            "names of its photographs and scan them, and nothing on the way is encrypted",
            file=sys.stderr,
        )
    asyncio.run(Server([sys.executable, "-m", "dermedge_tui", *arguments], host, port).run())
    return 0
