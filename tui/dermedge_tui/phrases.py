"""The runtime's sentences in the language on the screen.

The runtime speaks English. Whole sentences are looked up as they are; sentences with numbers in them are
recognised by a pattern. What is not recognised is shown as the runtime said it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from functools import cache

from dermedge import RED_FLAGS, DermedgeError

from .language import N_, _, chosen

SENTENCES: tuple[str, ...] = (
    # What was seen.
    N_("This spot has strong features of skin cancer."),
    N_("This spot has features that a doctor should look at."),
    N_("This spot could not be judged with confidence."),
    N_("No features of skin cancer stood out in this photograph."),
    N_("No skin lesion was found in this photograph."),
    N_("This spot has malignant features; which type is undecided."),
    N_("No skin lesion was found in this photograph, but what was stated about it is a reason to see a doctor."),
    N_("The photograph is too poor to find a lesion in it."),
    # What to do.
    N_(
        "See a doctor, best a skin doctor, within days, and show them this spot. Do not wait for it to change. "
        "Only an examination can tell what it is."
    ),
    N_("Have a doctor examine it within the next few weeks; sooner if it bleeds, grows or changes."),
    N_(
        "Take another photograph as advised. If it stays unclear, or the spot is new, changing or worries you, "
        "have a doctor look at it."
    ),
    N_(
        "Look at it again in one to three months. See a doctor at once if it grows, changes colour or shape, "
        "bleeds, itches, or simply worries you: this is a screening aid and it can miss things."
    ),
    N_(
        "If there is a spot, move closer until it fills about a third of the picture, or mark it by hand. "
        "If it worries you, have a doctor look at it."
    ),
    N_("A doctor or pharmacist can say whether it needs treatment."),
    # How to take a better picture.
    N_("Move closer, until the lesion fills about half of the picture."),
    N_("Take it again in daylight or with a lamp on, without your shadow on the skin."),
    N_("Take it again without flash and out of direct sun, so that the skin does not look white."),
    N_("Tilt the camera or the lamp a little, until no white reflection lies on the lesion."),
    N_("Clean the lens, and get both the lesion and the skin around it into the picture."),
    N_("Hold still, tap on the lesion to focus, and take it again from a little farther away."),
)

FLAGS: dict[str, str] = {
    "bleeding": N_("it bleeds or oozes without having been hurt"),
    "growing": N_("it is growing"),
    "changing": N_("its colour or shape is changing"),
    "itching": N_("it itches or hurts"),
    "new-after-40": N_("it appeared after the age of 40"),
    "not-healing": N_("it is a sore that does not heal"),
    "family-history": N_("there was melanoma in the family or before"),
}

PROBLEMS: dict[str, str] = {
    "too-small": N_("too small"),
    "too-dark": N_("too dark"),
    "too-bright": N_("too bright"),
    "glare": N_("glare"),
    "low-contrast": N_("low contrast"),
    "blurred": N_("blurred"),
}

CONDITIONS: dict[str, str] = {
    "melanoma": N_("Melanoma"),
    "basal-cell-carcinoma": N_("Basal-cell carcinoma"),
    "squamous-cell-carcinoma": N_("Squamous-cell carcinoma"),
    "actinic-keratosis": N_("Actinic keratosis"),
    "melanocytic-nevus": N_("Mole (nevus)"),
    "seborrheic-keratosis": N_("Seborrheic keratosis"),
    "dermatofibroma": N_("Dermatofibroma"),
    "vascular-lesion": N_("Vascular lesion"),
    "psoriasis": N_("Psoriasis"),
    "atopic-dermatitis": N_("Atopic dermatitis"),
    "acne-vulgaris": N_("Acne"),
    "rosacea": N_("Rosacea"),
    "herpes-zoster": N_("Shingles"),
    "warts": N_("Warts"),
    "molluscum-contagiosum": N_("Molluscum contagiosum"),
    "normal-skin": N_("Normal skin"),
}

PATTERNS: tuple[str, ...] = (
    N_("red flag stated: {flag}"),
    N_("lesion {number} is the most worrying of {count}"),
    N_("the detector found no lesion"),
    N_("the detector proposed {count} place(s), the tower recognised no lesion there"),
    N_("the photograph of the lesion is {problem}"),
    N_("the photograph is {problem}"),
    N_("does not look like a skin lesion (rejection {value})"),
    N_("but it was marked by hand"),
    N_("but the detector took it for one"),
    N_("malignant mass {value} ({shares}) is at or above {cut} for urgent"),
    N_("malignant mass {value} ({shares}) is at or above {cut} for a referral"),
    N_("malignant and premalignant mass {value} ({shares}) is at or above {cut} for a referral"),
    N_("malignant and premalignant mass {value} is close to a referral (from {other} on)"),
    N_("scores too flat: no harmless condition reaches {value} (best {other})"),
    N_("no harmless condition is {value} ahead of the malignant and premalignant mass {other} (lead {lead})"),
    N_("malignant mass {value} as the pack counts it is at or above {cut}"),
    N_("malignant and premalignant mass {value} as the pack counts it is at or above {cut}"),
    N_("{count} place(s) that the pack would look at are too faint for the profile"),
    N_("judged under the profile {name}, not by the pack's numbers alone"),
    N_("this pack is uncalibrated: its probabilities must not reassure anyone"),
    N_("malignant mass {value} is below {other}"),
    N_("malignant and premalignant mass {value} is below {other}"),
    N_("the pack's {value} (sensitivity {sensitivity} of {count})"),
    N_("the pack's {value}"),
    N_("the profile's {value}"),
    N_("the fixed {value}"),
    N_("no type above 0.00"),
    # About how a photograph was decoded.
    N_("several pictures in one file; the first one is judged"),
    N_("its EXIF block is damaged; if it was taken sideways, it is judged sideways"),
    N_("32-bit values; {value} is taken for white"),
    N_("transparent parts are shown on white"),
    N_("its colour profile is damaged or unusual; the colours are taken as they are"),
)

ERRORS: dict[str, str] = {
    "PhotoUnreadable": N_("This file cannot be read. Look whether it is still there and whether you may open it."),
    "PhotoEmpty": N_("This file is empty. Copy the photograph again, or take another one."),
    "PhotoFormatUnknown": N_("This is no photograph in a format that can be read. Save it as JPEG or PNG."),
    "PhotoDamaged": N_("This photograph is damaged. Copy it again, or take another one."),
    "PhotoTooLarge": N_("This photograph is too large. Make it smaller."),
    "PhotoTooSmall": N_("This photograph is too small. Take another one, closer to the spot."),
    "BoxOutside": N_("The place that was marked does not lie on the photograph. Mark it again."),
    "PhotoError": N_("This photograph cannot be judged. Take another one."),
    "ProviderError": N_("This machine cannot compute as it was asked to. Start again without --provider."),
    "PackNotFound": N_("No model pack is there. Install one: dermedge pack install"),
    "GoldenMismatch": N_("The model pack gives wrong answers on this machine. Do not use it; see: dermedge doctor"),
    "PackError": N_("The model pack cannot be used. What is wrong with it, and what to do, says: dermedge doctor"),
    "ProfileError": N_("This profile cannot be used: {detail}"),
    "CameraAbsent": N_("No camera was found. Plug one in; photographs can be read from files all the same."),
    "CameraToolMissing": N_("The program that reads this board's camera is missing: apt install rpicam-apps-lite"),
    "CameraForbidden": N_("No permission for the camera. Add yourself to the group video, then log in again."),
    "CameraBusy": N_("Another program uses the camera. Close that one."),
    "CameraLost": N_("The camera is gone. Plug it in again."),
    "CameraSilent": N_("The camera sends no picture. Take it out and plug it in again."),
    "CameraUnsuited": N_("This camera sends pictures in no format that can be read. Choose another one."),
    "OutOfMemory": N_("There is too little memory. Close other programs, or start again with --low-memory."),
    "Bug": N_("Something went wrong that should not have ({detail}). Try again."),
    "TooMuchText": N_("That is too much text. Paste the paths of photographs only."),
}
"""By the error's class or the nearest above it; the runtime's own line is for who looks after the machine.

What is not listed here is told in its own words: errors of the interface are made in the language on the screen.
"""

REFUSALS: dict[int, str] = {
    errno.ENOENT: N_("it is not there"),
    errno.ENOTDIR: N_("it is no folder"),
    errno.EACCES: N_("no permission"),
    errno.EPERM: N_("no permission"),
    errno.EROFS: N_("nothing can be written there"),
    errno.ENOSPC: N_("no room is left"),
    errno.EIO: N_("the disk or stick does not answer"),
}


def prose(text: str) -> str:
    """A paragraph, sentence by sentence; paragraphs are joined from sentences that are known as a whole."""
    for sentence in sorted(SENTENCES, key=len, reverse=True):
        text = text.replace(sentence, _(sentence))
    return text


def reason(text: str) -> str:
    """One reason, note, or a part of either."""
    for pattern in PATTERNS:
        if match := _regex(pattern).fullmatch(text):
            parts = {name: _part(name)(value) for name, value in match.groupdict().items()}
            return _(pattern).format(**parts)
    if match := re.fullmatch(r"(.+) (\d\.\d\d)", text):
        return f"{condition('', match[1])} {match[2]}"
    return text


def condition(id: str, name: str) -> str:
    """A condition's name; the pack's own where the catalogue does not know it."""
    known = CONDITIONS.get(id) or CONDITIONS.get(name.lower().replace(" ", "-"))
    return _(known) if known else name


def flag(id: str) -> str:
    return _(FLAGS[id]) if id in FLAGS else RED_FLAGS.get(id, id)


def problem(id: str) -> str:
    return _(PROBLEMS[id]) if id in PROBLEMS else id


def error(what: DermedgeError) -> str:
    """What is wrong and what to do, in the language on the screen."""
    for cause in type(what).__mro__:
        if said := ERRORS.get(cause.__name__):
            return _(said).format(detail=printable(str(what)))
    return printable(str(what))


def refusal(what: OSError | ValueError) -> str:
    """Why the system would not do it, in a few words."""
    number = what.errno if isinstance(what, OSError) else None
    known = REFUSALS.get(number or 0)
    return _(known) if known else _("it does not work (error {number})").format(number=number or "-")


def printable(text: str) -> str:
    """Nothing in the name of a file steers the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _flag_of(text: str) -> str:
    return next((flag(id) for id, said in RED_FLAGS.items() if said == text), text)


def _shares(text: str) -> str:
    shares = [reason(share) for share in text.split(", ")]
    # Only German writes the names large inside a sentence.
    return ", ".join(share if chosen() == "de" else share[:1].lower() + share[1:] for share in shares)


def _part(name: str) -> Callable[[str], str]:
    parts = {"flag": _flag_of, "problem": problem, "shares": _shares, "cut": reason}
    return parts.get(name, str)


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", pattern)
    return re.compile(
        "".join(f"(?P<{piece}>.+?)" if i % 2 else re.escape(piece) for i, piece in enumerate(pieces))
    )
