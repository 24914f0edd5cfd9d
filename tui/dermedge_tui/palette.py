"""What the command palette offers."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand

from .language import LANGUAGES, _
from .messages import LanguageChosen
from .screens.home import HomePage

if TYPE_CHECKING:
    from .app import DermedgeApp


def commands(app: DermedgeApp) -> Iterable[SystemCommand]:
    """In the language on the screen; what needs a photograph is offered where there is one."""
    yield SystemCommand(_("Help"), _("What this page is for, and its keys"), partial(app.action_page, "help"))
    yield SystemCommand(_("Camera"), _("Take a photograph"), partial(app.action_page, "camera"))
    for home in (page for page in app.screen_stack if isinstance(page, HomePage)):
        yield SystemCommand(_("Clipboard"), _("A picture that was copied"), home.action_clipboard)
        yield SystemCommand(_("Watch this folder"), _("Scan what is new in it, or stop that"), home.action_watch)
    if app.session.entries:
        yield SystemCommand(_("Timeline"), _("The photographs by day"), partial(app.action_page, "timeline"))
        yield SystemCommand(_("Forget all"), _("Empty this session"), partial(app.action_page, "forget"))
        yield SystemCommand(_("Debug"), _("What each step saw"), partial(app.action_page, "debug"))
        yield SystemCommand(_("Calibration"), _("Try other numbers"), partial(app.action_page, "calibration"))
        yield SystemCommand(_("Profiles"), _("Judge by numbers kept"), partial(app.action_page, "profiles"))
    for code, name in LANGUAGES.items():
        yield SystemCommand(name, _("Language"), partial(app.post_message, LanguageChosen(code)))
    looks = {
        "dark": _("Dark"), "light": _("Light"), "high-contrast": _("High contrast"),
        "console": _("16 colours"),
    }
    for theme, look in looks.items():
        yield SystemCommand(look, _("Colours"), partial(app.use_theme, theme))
    yield SystemCommand(_("Quit"), _("Leave; nothing is kept"), app.exit)
