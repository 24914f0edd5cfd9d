"""An evaluation's figures as Markdown tables, for the model card and for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

WORLDS = {"dermoscopy": "Dermatoscope", "phone": "Phone"}
COLLECTIONS = {
    "ham10000": "HAM10000",
    "pad_ufes": "PAD-UFES-20",
    "isic2017": "ISIC-2017",
    "negatives": "photographs without a lesion",
}
NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "melanoma_auc": "melanoma AUC",
    "malignant_auc": "malignant AUC",
    "malignant_not_reassured": "malignant lesions answered `urgent`, `refer` or `unclear`",
    "malignant_referred": "malignant lesions answered `urgent` or `refer`",
    "melanoma_not_reassured": "melanomas answered `urgent`, `refer` or `unclear`",
    "benign_in_watch": "benign lesions answered `watch`",
    "benign_referred": "benign lesions answered `urgent` or `refer`",
    "calibration_error": "expected calibration error (15 bins)",
    "brier": "Brier score (0 to 2)",
    "modality_recognised": "modality recognised",
    "lesion_judged": "photographs in which a lesion was judged",
    "lesion_found": "lesion found (box with IoU of at least .5)",
    "lesion_proposed": "the same, boxes counted that the tower refused",
    "mask_dice": "mean Dice of the outline, from the detector's own box",
    "with_box": "got a box from the detector",
    "with_verdict": "got a verdict about a lesion (not `no-lesion`, not `unclear`)",
}
FACTS = {"sex": "Sex", "age": "Age", "site": "Body site", "fitzpatrick": "Fitzpatrick type"}
SKIN_TYPES = (
    "**Hardly any photograph here shows skin of Fitzpatrick type V or VI**, in training or in measurement. "
    "Nothing is "
    "known about how well the pack answers on dark skin; do not rely on it there."
)
COUNTING = (
    "Measured through the runtime, with the int8 graphs and the boxes that the detector found; nothing but "
    "the photograph "
    "was given. Every photograph of the split is counted. Intervals are 95 % bootstrap intervals over "
    "lesions "
    "(dermatoscope) or patients (phone). A photograph's level is its verdict's, its probabilities are those "
    "of the surest "
    "lesion. Where no lesion was judged, the class counts as wrong, malignancy as 0, the lesion as missed "
    "and the Dice as "
    "0; only calibration and the recognition of the modality leave such a photograph out."
)


def results_in_words(report: Mapping[str, Any]) -> str:
    """The figures of an evaluation as Markdown tables."""
    parts = ["## Figures", COUNTING, *(f"Note: {note}." for note in report.get("notes", ()))]
    for world, name in WORLDS.items():
        if world in report:
            parts += _world(report[world], name)
    if camera := report.get("another_dermatoscope"):
        parts += [
            f"### Other dermatoscopes: {_split(camera)}",
            "Photographs from other places and cameras than HAM10000's; frames that were stored squashed "
            "are brought back "
            "to 4:3 first. ISIC-2017's training photographs were used for training, so this is a camera "
            "less seen, not "
            "one never seen.",
            _figures(camera["figures"]),
        ]
    if negatives := report.get("negatives"):
        kinds = [
            (kind, *(_cell(figures[name]) for name in ("with_box", "with_verdict")))
            for kind, figures in negatives["kinds"].items()
        ]
        parts += [
            f"### No lesion: {_split(negatives)}",
            _figures(negatives["figures"]),
            rows(("kind", "got a box", "got a verdict"), kinds),
        ]
    return "\n\n".join(part for part in parts if part)


def _world(world: Mapping[str, Any], name: str) -> Iterator[str]:
    yield f"### {name}: {_split(world)}"
    yield _figures(world["figures"])
    if informed := world.get("figures_with_facts"):
        yield "Asked again with age, sex and body site where the labels have them:"
        yield _figures(informed)
    yield f"#### {name}, by class"
    yield rows(
        ("class", "recall", "AUC, one against the rest", "levels"),
        (
            (
                label,
                _cell(c["recall"]),
                _cell(c["auc"]),
                ", ".join(f"{k} {v}" for k, v in c["levels"].items()),
            )
            for label, c in world["classes"].items()
        ),
    )
    for fact, groups in world["subgroups"].items():
        yield f"#### {name}, by {FACTS[fact].lower()}"
        if fact == "fitzpatrick":
            yield SKIN_TYPES
        yield rows(
            (
                FACTS[fact],
                "photographs",
                "lesions",
                "malignant lesions",
                "malignant AUC",
                "malignant not reassured",
                "benign in `watch`",
            ),
            (
                (
                    value,
                    str(g["photographs"]),
                    str(g["lesions"]),
                    str(g["malignant_lesions"]),
                    _cell(g["malignant_auc"]),
                    _cell(g["malignant_not_reassured"]),
                    _cell(g["benign_in_watch"]),
                )
                for value, g in groups.items()
            ),
        )
    if "fitzpatrick" not in world["subgroups"]:
        yield f"The labels of this collection do not state skin types. {SKIN_TYPES}"


def unseen_in_words(left_out: Mapping[str, Any]) -> str:
    """What the recipe does on sources that were left out of a training."""
    seen = " and ".join(COLLECTIONS[name] for name in left_out["trained_on"])
    parts = [
        "## Cameras never seen",
        "Not this pack's tower, which was trained on all sources, but one made by the same recipe "
        f"({left_out['network']}) from {seen} alone: what to expect from a camera that is not among them. In float, on "
        "every photograph of the collection, under the dermatoscope's prompts. Intervals are 95 % bootstrap intervals "
        "over lesions or patients.",
    ]
    for section in left_out["sections"]:
        parts += [f"### {COLLECTIONS[section['collection']]}, never seen", section["how"], _figures(section["figures"])]
    return "\n\n".join(parts)


def artefacts_in_words(found: Mapping[str, Any]) -> str:
    """How far what a camera adds to its picture moves the answer."""
    return "\n\n".join((
        "### Rims, rulers, bubbles and casts",
        f"Drawn onto {found['photographs']} validation crops of HAM10000, {found['malignant']} of them malignant, one "
        f"view each. Untouched, their malignant AUC is {number(found['malignant_auc'])}. The malignant mass holds "
        "actinic keratosis too, as that collection counts it.",
        rows(
            ("drawn", "malignant mass moves by", "rises by", "malignant AUC"),
            (
                (name, number(one["mean_move"]), number(one["mean_rise"]), number(one["malignant_auc"]))
                for name, one in found["drawn"].items()
            ),
        ),
    ))  # fmt: skip


def _split(section: Mapping[str, Any]) -> str:
    return (
        f"{COLLECTIONS[section['collection']]}, {section['split']} split "
        f"({section['photographs']} photographs, {section.get('lesions', 0) or 'no'} lesions)"
    )


def _figures(figures: Mapping[str, Any]) -> str:
    return rows(
        ("figure", "value", "95 % interval", "lesions", "photographs"),
        (
            (name_of(key), number(f["value"]), _interval(f) or "-", str(f["lesions"]), str(f["photographs"]))
            if f
            else (name_of(key), "not measured", "-", "-", "-")
            for key, f in sorted(figures.items(), key=lambda item: _place(item[0]))
        ),
    )


def name_of(key: str) -> str:
    for measure in ("sensitivity", "specificity"):
        if key.startswith(f"{measure}_at_"):
            return f"{measure} at the {key.rpartition('_')[2]} % threshold"
    return NAMES[key]


def _place(key: str) -> tuple[int, int]:
    """Operating points stand behind the AUCs, the strictest first; the rest as in NAMES."""
    names = list(NAMES)
    if key in names:
        return names.index(key), 0
    return names.index("malignant_auc"), 200 - 2 * int(key.rpartition("_")[2]) + key.startswith("specificity")


def _cell(figure: Mapping[str, Any] | None) -> str:
    if not figure:
        return "-"
    interval = _interval(figure)
    return f"{number(figure['value'])}{f' ({interval})' if interval else ''}, n={figure['lesions']}"


def _interval(figure: Mapping[str, Any]) -> str:
    return "" if figure["low"] is None else f"{number(figure['low'])} to {number(figure['high'])}"


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def flat(figures: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every single value under its path, in the order of the names."""
    for name, value in sorted(figures.items()):
        path = f"{above} / {name}" if above else name
        if isinstance(value, Mapping):
            yield from flat(value, path)
        elif isinstance(value, (list, tuple)):
            yield path, ", ".join(str(item) for item in value)
        else:
            yield path, value


def rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in line) + " |" for line in lines
    )
