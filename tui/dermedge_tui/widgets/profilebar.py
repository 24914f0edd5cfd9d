"""Says that an answer was not judged by the pack's own numbers."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from ..language import _


class ProfileBar(Static):
    """Not there while no profile is in force."""

    DEFAULT_CSS = """
    ProfileBar { height: auto; width: 1fr; padding: 0 1; background: $warning; color: $background; text-style: bold; }
    ProfileBar:ansi { background: ansi_yellow; color: ansi_black; text-style: none; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.display = False

    def tell(self, profile: str | None) -> None:
        told = _("Profile {name} in force: other numbers than the pack's.")
        self.update(Content(told.format(name=profile)) if profile else Content(""))
        self.display = profile is not None
