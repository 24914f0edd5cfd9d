"""The interface in a browser: what it answers, to whom, and that nothing of it stays behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pyte
import pytest

from dermedge import UsageError
from dermedge_tui import command, preferences
from dermedge_tui.preferences import NOTICE, Preferences
from dermedge_tui.serve.server import MOST_PAGES
from serving import SERVE, Served, serving

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def folders(pack: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """For people who have agreed before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        preferences.save(Preferences(agreed=NOTICE), preferences.location())
        yield ("--pack", str(pack), "--folder", str(photos))


@pytest.fixture(scope="module")
def server(folders: tuple[str, ...]) -> Iterator[Served]:
    """For the tests that leave it running."""
    with serving(*folders) as served:
        yield served


class Tab:
    """What an open page shows."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.screen.display).split())

    async def press(self, text: str) -> None:
        await self.socket.send_json(["stdin", text])

    async def wait_for(self, *parts: str, timeout: float = 60) -> None:
        end = time.monotonic() + timeout
        while not all(part in self.words for part in parts):
            # The heartbeat begins every wait anew.
            assert time.monotonic() < end, f"no {parts}: {self.words}"
            with suppress(asyncio.TimeoutError):
                await self._next()

    async def _next(self) -> None:
        message = await asyncio.wait_for(self.socket.receive(), 5)
        assert message.type == aiohttp.WSMsgType.BINARY, f"{message.type} after: {self.words}"
        self._stream.feed(message.data)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Tab]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}/ws?width=80&height=24", origin=url) as socket,
    ):
        yield Tab(socket)


def applications(server: subprocess.Popen[str]) -> set[int]:
    """The processes behind the open pages."""
    return {int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()}


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except FileNotFoundError:
        return True


async def soon(what: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "still not so"
        await asyncio.sleep(0.05)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_every_page_has_a_session_of_its_own_that_ends_with_it(server: Served) -> None:
    url, process = server

    async def work() -> None:
        async with opened(url) as first, opened(url) as second:
            await first.wait_for("Drop photographs here", "arm.png")
            await second.wait_for("Drop photographs here", "arm.png")
            await first.press("\r")
            await first.wait_for("URGENT", "What to do")
            await second.press("t")
            await second.wait_for("arm.png")
            assert "photograph in this session" not in second.words and "URGENT" not in second.words
            behind = applications(process)
            assert len(behind) == 2
        await soon(lambda: all(map(gone, behind)))

    run(work)


def test_what_is_no_message_of_the_terminals_is_left_out(server: Served) -> None:
    url, _process = server

    async def work() -> None:
        async with opened(url) as tab:
            await tab.wait_for("Drop photographs here")
            hostile = ["", "nonsense", "[]", "{}", "null", '["stdin"]', '["resize", 5]', '["launch", "rocket"]']
            hostile += ["[" * 5000, '["resize", {"width": "wide", "height": -5}]', json.dumps(["stdin", "\ud800"])]
            for text in hostile:
                await tab.socket.send_str(text)
            await tab.socket.send_json(["resize", {"width": 80, "height": 24}])
            await tab.press("?")
            await tab.wait_for("Choose a photograph in the list")

    run(work)


def test_a_page_closes_when_its_application_ends(server: Served) -> None:
    url, process = server

    async def work() -> None:
        async with opened(url) as tab:
            await tab.wait_for("Drop photographs here")
            (pid,) = applications(process)
            os.kill(pid, signal.SIGKILL)
            while (await tab.socket.receive(timeout=15)).type == aiohttp.WSMsgType.BINARY:
                pass
            assert tab.socket.closed
        async with opened(url) as tab:
            await tab.wait_for("Drop photographs here")

    run(work)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_stays_behind_however_the_server_ends(how: signal.Signals, folders: tuple[str, ...]) -> None:
    async def work() -> None:
        async with opened(url) as tab:
            await tab.wait_for("Drop photographs here")
            behind = applications(process)
            process.send_signal(how)
            await soon(lambda: process.poll() is not None and all(map(gone, behind)))
            assert process.returncode == (-how if how == signal.SIGKILL else 0)

    preferences.save(Preferences(agreed=NOTICE), preferences.location())
    with serving(*folders) as (url, process):
        run(work)
        assert process.stderr is not None and "Traceback" not in process.stderr.read()


def test_pages_of_other_sites_are_turned_away(server: Served) -> None:
    url, process = server

    async def work() -> None:
        async with aiohttp.ClientSession() as session:
            for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
                with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                    await session.ws_connect(f"{url}/ws", headers=headers)
            # A name that was made to point here.
            for path in ("/", "/ws", "/static/js/textual.js"):
                answer = await session.get(
                    url + path, headers={"Host": "evil.example", "Origin": "http://evil.example"}
                )
                assert answer.status == 403
            assert (await session.get(f"{url}/static/../../../etc/passwd")).status == 404
        assert applications(process) == set()

    run(work)


def test_the_page_asks_this_server_only(server: Served) -> None:
    url, _process = server

    async def work() -> None:
        async with aiohttp.ClientSession() as session:
            page = await session.get(url)
            rules = page.headers["Content-Security-Policy"]
            assert rules.startswith("default-src 'none'")
            assert set(re.findall(r"\w+://[^ ;]+", rules)) == {url.replace("http", "ws")}
            text = await page.text()
            assert set(re.findall(r"\w+://[^/\"]+", text)) == {url.replace("http", "ws")}
            linked = re.findall(r'(?:href|src)="(/[^"]+)"', text)
            assert len(linked) == 5
            for path in linked:
                answer = await session.get(url + path)
                assert answer.status == 200, path
                if path.endswith(".css"):
                    assert not re.findall(r"url\((?![\"']?(?:/|data:))", await answer.text())

    run(work)


def test_only_so_many_pages_are_open_at_a_time(server: Served) -> None:
    url, _process = server

    async def work() -> None:
        async with aiohttp.ClientSession() as session:
            # Their applications need not have drawn anything yet.
            tabs = [await session.ws_connect(f"{url}/ws", origin=url) for _ in range(MOST_PAGES)]
            with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                await session.ws_connect(f"{url}/ws", origin=url)
            for tab in tabs:
                await tab.close()

    run(work)


def test_it_listens_on_loopback_unless_told_otherwise(server: Served) -> None:
    assert server[0].startswith("http://127.0.0.1:")
    with serving("--host", "0.0.0.0") as (_url, process):
        process.terminate()
        warned = process.communicate(timeout=30)[1]
        assert "WARNING: 0.0.0.0 is no loopback address" in warned and "nothing on the way is encrypted" in warned


def test_where_it_cannot_listen_one_line_says_so(server: Served) -> None:
    port = server[0].rpartition(":")[2]
    child = subprocess.run([*SERVE, "--port", port], capture_output=True, text=True, timeout=60)
    assert child.returncode == 2
    said = f"127.0.0.1, port {port}, cannot be served on (Address already in use); name others with --host and --port"
    assert child.stderr == f"dermedge: {said}\n"
    for arguments, part in (
        (["--port", "70000"], "there is no port 70000"),
        (["--host", "192.0.2.1"], "--host and --port"),
    ):
        with pytest.raises(UsageError, match=part):
            command.main(["--serve", *arguments])


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "dermedge_tui.serve.server", raising=False)
    monkeypatch.setitem(sys.modules, "textual_serve", None)
    with pytest.raises(UsageError, match=r"pip install 'dermedge\[tui,serve\]'"):
        command.main(["--serve"])
