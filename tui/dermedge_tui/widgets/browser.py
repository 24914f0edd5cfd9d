"""A folder's photographs, the newest first, so that the one just taken is one key away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ..language import N_, _, day
from ..messages import PhotosGiven
from ..paths import Found, listing, photographs_below
from ..phrases import printable, refusal


class Browser(OptionList):
    """Reads folders in a thread: one on a slow stick must not freeze the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", N_("Scan")),
        Binding("space", "mark", N_("Mark")),
        Binding("a", "all", N_("Scan all")),
        Binding("backspace", "up", N_("Up")),
    ]

    @dataclass
    class Listed(Message):
        """A folder was read."""

        folder: str
        found: list[Found]
        error: str = ""
        deep: bool = False

    def __init__(self, folder: str, *, deep: bool = False, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.folder = folder
        self.deep = deep
        """Whether the photographs of the folders in it are listed too, and in the place of the folders."""
        self._found: list[Found] = []
        self._marked: set[str] = set()

    def on_mount(self) -> None:
        self.open(self.folder, self.deep)

    def open(self, folder: str, deep: bool = False) -> None:
        self.run_worker(lambda: self._read(folder, deep), thread=True, group="list", exclusive=True)

    def read_again(self) -> None:
        """For what is new in it; what is marked stays, and waits for Enter."""
        if not self._marked:
            self.open(self.folder, self.deep)

    def _read(self, folder: str, deep: bool) -> None:
        """In the thread."""
        try:
            found = photographs_below(folder) if deep else listing(folder)
            self.post_message(self.Listed(folder, found, deep=deep))
        except (OSError, ValueError) as error:
            self.post_message(self.Listed(folder, [], refusal(error)))

    def on_browser_listed(self, message: Listed) -> None:
        message.stop()
        if message.error:
            self.app.notify(f"{printable(message.folder)}: {message.error}", severity="error", markup=False)
            return
        self.folder, self.deep = message.folder, message.deep
        self._found, self._marked = message.found, set()
        self._fill()

    def _fill(self) -> None:
        at = self.highlighted
        self.border_title = Content(printable(self.folder))
        above = [] if Path(self.folder).parent == Path(self.folder) else [Option(Content("↑ ..") , id="up")]
        self.clear_options()
        photos = [Option(self._photo(f), id=f"{i}") for i, f in enumerate(self._found) if not f.folder]
        folders = [
            Option(Content(f"▸ {printable(f.name)}/"), id=f"{i}") for i, f in enumerate(self._found) if f.folder
        ]
        self.add_options([*photos, *above, *folders])
        self.border_subtitle = Content("") if photos else Content(_("no photographs in this folder"))
        self.highlighted = min(at or 0, self.option_count - 1) if self.option_count else None

    def _photo(self, found: Found) -> Content:
        mark = ("✓ ", "bold $accent") if found.path in self._marked else "  "
        when = day(date.fromtimestamp(found.modified))
        return Content.assemble(mark, (f"{when} ", "$secondary"), printable(found.name))

    def _at_cursor(self) -> Found | None:
        if self.highlighted is None:
            return None
        id = self.get_option_at_index(self.highlighted).id
        return self._found[int(id)] if id and id != "up" else None

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        message.stop()
        found = self._at_cursor()
        if found is None:
            self.action_up()
        elif found.folder:
            self.highlighted = None
            self.open(found.path)
        else:
            marked = [f.path for f in self._found if f.path in self._marked]
            self.post_message(PhotosGiven(marked or [found.path]))

    def action_mark(self) -> None:
        found = self._at_cursor()
        if found and not found.folder and self.highlighted is not None:
            self._marked ^= {found.path}
            self.replace_option_prompt_at_index(self.highlighted, self._photo(found))
            self.action_cursor_down()

    def action_all(self) -> None:
        if photos := [found.path for found in self._found if not found.folder]:
            self.post_message(PhotosGiven(photos))

    def action_up(self) -> None:
        self.highlighted = None
        self.open(str(Path(self.folder).parent))
