"""A real terminal, as far as a program can tell: a pseudo-terminal whose screen is text."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte

APPLICATION = (sys.executable, "-m", "dermedge", "tui")
KEYS = {
    "enter": "\r", "escape": "\x1b", "tab": "\t", "backspace": "\x7f", "up": "\x1b[A", "down": "\x1b[B",
    "right": "\x1b[C", "left": "\x1b[D", "f1": "\x1bOP", "f2": "\x1bOQ", "f3": "\x1bOR", "ctrl+c": "\x03",
    "ctrl+q": "\x11", "delete": "\x1b[3~",
}


class Screen(pyte.Screen):
    """Answers what a terminal is asked, and ignores what pyte would stumble over."""

    def __init__(self, columns: int, lines: int, master: int) -> None:
        super().__init__(columns, lines)
        self._master = master

    def write_process_input(self, data: str) -> None:
        os.write(self._master, data.encode())

    def cursor_position(self, *place: int) -> None:
        super().cursor_position(*place[:2])

    def select_graphic_rendition(self, *attributes: int, private: bool = False) -> None:
        if not private:  # xterm's key modifier options look alike
            super().select_graphic_rendition(*attributes)


class Terminal:
    """A command in a window of this size, without anything of the terminal that the tests run in."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        size: tuple[int, int] = (80, 24),
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._master, window = pty.openpty()
        self.screen = Screen(*size, self._master)
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self.written = b""
        """Everything that was sent to the terminal."""
        self._resize(window, size)
        foreign = {"NO_COLOR", "COLORTERM", "TERM_PROGRAM", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "COLUMNS"}
        surroundings = {name: value for name, value in os.environ.items() if name not in foreign}
        surroundings |= {"TERM": "xterm-256color", "LANG": "C.UTF-8"} | dict(environment or {})
        self.begun = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=window, stdout=window, stderr=window, env=surroundings, cwd=folder, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(window)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        # Not closed under the reader: it would go on to read what the next terminal gets by the same number.
        self._reader.join(20)
        if not self._reader.is_alive():
            os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # nobody has the window open any more
                return
            with self._lock:
                self.written += data
                self._stream.feed(data)

    def text(self) -> str:
        with self._lock:
            return "\n".join(line.rstrip() for line in self.screen.display)

    def words(self) -> str:
        """Without line breaks, so that wrapping does not matter."""
        return " ".join(self.text().split())

    def press(self, *keys: str) -> None:
        for key in keys:
            self.send(KEYS.get(key, key))
            if key == "escape":  # at once after it, another key would be one pressed together with Alt
                time.sleep(0.3)

    def send(self, text: str) -> None:
        self.send_bytes(text.encode())

    def send_bytes(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._master, data[:4096]) :]

    def paste(self, text: str) -> None:
        """As a terminal hands on what is pasted into it or dropped on it."""
        self.send(f"\x1b[200~{text}\x1b[201~")

    @property
    def held_up(self) -> float:
        """Seconds that the process could have gone on if other programs had not had the processors."""
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9

    def marked(self) -> str:
        """What is underlined."""
        with self._lock:
            rows = [self.screen.buffer[y] for y in range(self.screen.lines)]
            columns = range(self.screen.columns)
            return " ".join("".join(row[x].data for x in columns if row[x].underscore) for row in rows)

    def resize(self, columns: int, lines: int) -> None:
        with self._lock:
            self.screen.resize(lines, columns)
        self._resize(self._master, (columns, lines))

    @staticmethod
    def _resize(window: int, size: tuple[int, int]) -> None:
        fcntl.ioctl(window, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def wait_for(self, *parts: str, timeout: float = 30) -> float:
        """Seconds from the start until all of these stand on the screen."""
        def there() -> bool:
            shown = self.words()
            return all(part in shown for part in parts)

        return self.wait_until(there, timeout, f"no {parts!r}")

    def wait_until(self, so: Callable[[], bool], timeout: float = 30, otherwise: str = "it never came") -> float:
        end = time.perf_counter() + timeout
        while not so():
            if time.perf_counter() > end or (self.process.poll() is not None and not so()):
                raise AssertionError(f"{otherwise}; exit status {self.process.poll()}; on the screen:\n{self.text()}")
            time.sleep(0.01)
        return time.perf_counter() - self.begun

    def ended(self, timeout: float = 20) -> int:
        """The exit status."""
        return self.process.wait(timeout)
