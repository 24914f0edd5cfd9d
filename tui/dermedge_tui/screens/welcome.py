"""The first page: what this is, what it is not, whom it does not serve well; and the person's word."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from ..language import LANGUAGES, N_, _, chosen
from ..messages import Agreed, LanguageChosen
from ..page import Page

PARTS: tuple[tuple[str, str], ...] = (
    (
        N_("What this is"),
        N_(
            "A screening aid. It looks at photographs of spots on the skin and says whom to see, and how soon. "
            "It works on this machine alone: nothing is sent anywhere, and nothing is kept when you leave."
        ),
    ),
    (
        N_("What it is not"),
        N_(
            "It is no diagnosis and no doctor. It can miss skin cancer, and it can alarm without need. "
            "If a spot worries you, grows, changes or bleeds, see a doctor whatever is said here."
        ),
    ),
    (
        N_("Whom it serves less well"),
        N_(
            "It learned mostly from light skin. On brown and black skin, on palms, soles and nails, in children and "
            "on rare conditions its answers are less reliable."
        ),
    ),
)


class WelcomePage(Page):
    """Shown until it was agreed to, in the person's language."""

    CSS_PATH = "welcome.tcss"
    HELP = N_("Read what this is and what it is not. Choose your language with its button or the keys 1 to 5.")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "agree", N_("I understand"), priority=False),
        *(
            Binding(f"{number}", f"language('{code}')", name, show=False)
            for number, (code, name) in enumerate(LANGUAGES.items(), 1)
        ),
    ]

    def body(self) -> ComposeResult:
        with VerticalScroll(id="text", can_focus=True):
            yield Static(Content("dermedge"), id="name")
            for title, text in PARTS:
                yield Static(Content(_(title)), classes="title")
                yield Static(Content(_(text)), classes="part")
        with Horizontal(id="languages"):
            for number, (code, name) in enumerate(LANGUAGES.items(), 1):
                button = Button(f"{number} {name}", id=f"language-{code}", compact=True)
                yield button.add_class("-chosen") if code == chosen() else button
        yield Button(_("I understand, and want to use it"), id="agree", variant="primary")

    def filled(self) -> None:
        self.query_one("#agree").focus()

    def on_button_pressed(self, message: Button.Pressed) -> None:
        message.stop()
        id = message.button.id or ""
        if id == "agree":
            self.action_agree()
        else:
            self.action_language(id.removeprefix("language-"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "back"

    def action_agree(self) -> None:
        self.post_message(Agreed())

    def action_language(self, code: str) -> None:
        self.post_message(LanguageChosen(code))
