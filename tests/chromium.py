"""A real browser without a window, steered through its debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pyte

NAMES = ("chromium", "chromium-browser", "google-chrome")


def installed() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Tab:
    """One page: what it asks for, and the screen that arrives in it."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self._browser = browser
        self.target = target
        self.session = session
        self.asked: list[str] = []
        """The addresses of all its requests."""
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)

    async def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        return await self._browser.do(method, self.session, **parameters)

    async def run(self, script: str) -> Any:
        answer = await self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return answer["result"].get("value")

    async def press(self, key: str) -> None:
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = {"Enter": 13, "ArrowDown": 40, "Escape": 27}.get(key, ord(key.upper()[0]))
        described = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.do("Input.dispatchKeyEvent", type="keyDown", text=text, **described)
        await self.do("Input.dispatchKeyEvent", type="keyUp", **described)

    async def picture(self) -> bytes:
        """As PNG."""
        return base64.b64decode((await self.do("Page.captureScreenshot"))["data"])

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.screen.display).split())

    async def wait_for(self, *parts: str, timeout: float = 60) -> None:
        end = time.monotonic() + timeout
        while not all(part in self.words for part in parts):
            assert time.monotonic() < end, f"no {parts} in the page: {self.words}; it asked for {self.asked}"
            await asyncio.sleep(0.02)

    def happened(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.asked.append(parameters["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.asked.append(parameters["url"])
            size = parse_qs(urlsplit(parameters["url"]).query)
            self.screen.resize(int(size["height"][0]), int(size["width"][0]))
        elif method == "Network.webSocketFrameReceived" and parameters["response"]["opcode"] == 2:
            self._stream.feed(base64.b64decode(parameters["response"]["payloadData"]))


class Browser:
    """Resolves no name: whoever asks for anything but an address of this machine gets nothing."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._tabs: dict[str, Tab] = {}
        self._next = 0

    async def do(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        self._next += 1
        answer = self._waiting[self._next] = asyncio.get_running_loop().create_future()
        sent = {"id": self._next, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        await self._socket.send_json(sent)
        return await asyncio.wait_for(answer, 60)

    async def listen(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                future = self._waiting.pop(said["id"])
                if "error" in said:
                    future.set_exception(AssertionError(said["error"]))
                else:
                    future.set_result(said["result"])
            elif said.get("sessionId") in self._tabs:
                self._tabs[said["sessionId"]].happened(said["method"], said["params"])

    async def open(self, url: str) -> Tab:
        target = (await self.do("Target.createTarget", url="about:blank", newWindow=True))["targetId"]
        session = (await self.do("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        tab = self._tabs[session] = Tab(self, target, session)
        for domain in ("Network", "Page", "Runtime"):
            await tab.do(f"{domain}.enable")
        await tab.do("Page.navigate", url=url)
        return tab

    async def close(self, tab: Tab) -> None:
        await self.do("Target.closeTarget", targetId=tab.target)


@asynccontextmanager
async def chromium(program: str, folder: Path) -> AsyncIterator[Browser]:
    command = [
        program, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={folder}", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--disable-gpu", "--window-size=1280,800",
        "about:blank",
    ]
    if os.geteuid() == 0:  # its sandbox refuses to be root's
        command.append("--no-sandbox")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        where = folder / "DevToolsActivePort"
        for _ in range(600):
            if where.exists() and len(where.read_text().splitlines()) == 2:
                break
            await asyncio.sleep(0.1)
        port, path = where.read_text().splitlines()
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=0) as socket,
        ):
            browser = Browser(socket)
            listening = asyncio.create_task(browser.listen())
            yield browser
            listening.cancel()
    finally:
        process.terminate()
        process.wait(30)
