"""The language on the screen: gettext catalogues, switched while the application runs."""

from __future__ import annotations

import gettext
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path

LANGUAGES: dict[str, str] = {
    "en": "English",
    "es": "Español",
    "de": "Deutsch",
    "pt": "Português",
    "pl": "Polski",
}
"""By code, each in its own words: whoever needs one cannot read the others."""

DOMAIN = "dermedge"
LOCALES = Path(__file__).parent / "locales"

_chosen: gettext.NullTranslations = gettext.NullTranslations()
_code = "en"


def choose(code: str) -> None:
    """Everything that is translated from now on is in this language."""
    global _chosen, _code
    _chosen = gettext.NullTranslations() if code == "en" else gettext.translation(DOMAIN, LOCALES, [code])
    _code = code


def chosen() -> str:
    return _code


def of_environment(environment: Mapping[str, str] | None = None) -> str:
    """The first language of the person's locale that there is a catalogue for; English otherwise."""
    variables = os.environ if environment is None else environment
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        for wanted in variables.get(name, "").split(":"):
            if (code := wanted[:2].lower()) in LANGUAGES:
                return code
    return "en"


def _(message: str) -> str:
    return _chosen.gettext(message) if message else ""


def n_(one: str, many: str, count: int) -> str:
    return _chosen.ngettext(one, many, count)


def N_(message: str) -> str:  # noqa: N802 - gettext's customary name
    """Marks a text that is translated where it is shown."""
    return message


def day(when: date) -> str:
    """A date as this language writes it, in digits."""
    return when.strftime(_("%Y-%m-%d"))
