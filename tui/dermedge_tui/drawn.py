"""What pages with photographs on them share: a spot enlarged, boxes, heat maps."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from .language import N_
from .page import Page
from .session import Queue, Session


class DrawnPage(Page):
    """What is drawn is the page's own; `draw` puts it on its pictures."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("z", "zoom", N_("Zoom")),
        Binding("b", "boxes", N_("Boxes")),
        Binding("h", "heat", N_("Heat map")),
    ]

    def __init__(self, session: Session, queue: Queue) -> None:
        super().__init__(session, queue)
        self.zoomed, self.boxes, self.heat = False, True, False

    def draw(self) -> None:
        """Called whenever one of the three has changed."""

    def action_zoom(self) -> None:
        self.zoomed = not self.zoomed
        self.draw()

    def action_boxes(self) -> None:
        self.boxes = not self.boxes
        self.draw()

    def action_heat(self) -> None:
        self.heat = not self.heat
        self.draw()
