"""Which numbers to judge by: the pack's own, or those of a profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from dermedge import Profile, ProfileError

from .. import phrases
from ..language import N_, _
from ..messages import PageAsked, ProfileChosen
from ..page import Page
from ..session import Queue, Session

if TYPE_CHECKING:
    from dermedge import Scanner


class ProfilesPage(Page):
    """Each is read when it is chosen: one that is damaged, or made for another pack, says so then."""

    CSS_PATH = "profiles.tcss"
    HELP = N_(
        "A profile is a set of numbers for one pack, kept under a name. While it is in force, every answer says so, "
        "and all photographs of this session are judged again by it. The first line takes it back."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", N_("Judge by this"))]

    def __init__(self, session: Session, queue: Queue, scanner: Scanner | None) -> None:
        super().__init__(session, queue)
        self._scanner = scanner

    def body(self) -> ComposeResult:
        yield Static(Content(_("Judge by the numbers of")), id="title")
        yield OptionList(
            Option(Content(_("the pack itself")), id="-"),
            *(Option(Content(name), id=name) for name in Profile.kept()),
            id="profiles", markup=False,
        )
        yield Static(id="told", markup=False)

    def filled(self) -> None:
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        message.stop()
        name = message.option.id or "-"
        try:
            profile = None if name == "-" else Profile.load(name)
            if self._scanner is not None:
                self._scanner.manifest(profile)
        except ProfileError as error:
            self.query_one("#told", Static).update(phrases.error(error))
            return
        self.post_message(ProfileChosen(profile))
        self.post_message(PageAsked("back"))

    def action_choose(self) -> None:
        self.query_one(OptionList).action_select()
