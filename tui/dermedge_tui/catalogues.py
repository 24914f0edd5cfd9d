"""`python -m dermedge_tui.catalogues`: brings the translators' files in step with the sources and compiles them.

Texts that are new in the sources come into each .po file untranslated, those that are gone leave it; a test
fails until every text is translated and every .mo file is that of its .po file.
"""

from __future__ import annotations

import ast
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .language import DOMAIN, LANGUAGES, LOCALES

PLURALS = {
    "es": "nplurals=2; plural=(n != 1);",
    "de": "nplurals=2; plural=(n != 1);",
    "pt": "nplurals=2; plural=(n > 1);",
    "pl": "nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);",
}
"""How each language counts, in gettext's own notation."""

Translations = dict[str, list[str]]
"""The English text -> its translation, or the plural forms of it."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the sources that people see."""

    one: str
    many: str = ""
    where: str = ""

    @property
    def key(self) -> str:
        """As compiled catalogues spell it."""
        return f"{self.one}\0{self.many}" if self.many else self.one


def collect(folder: Path = Path(__file__).parent) -> dict[str, Text]:
    """Every text in the sources by its English wording, in their order."""
    found: dict[str, Text] = {}
    for path in sorted(folder.rglob("*.py")):
        for text in _texts(ast.parse(path.read_bytes()), path.relative_to(folder).as_posix()):
            found.setdefault(text.one, text)
    return found


def _texts(tree: ast.AST, where: str) -> Iterator[Text]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "N_", "n_"):
            words = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if words and words[0]:
                yield Text(words[0], words[1] if node.func.id == "n_" else "", where)


def read(po: Path) -> Translations:
    """The translations of a .po file; the header is left out."""
    found: Translations = {}
    if not po.exists():
        return found
    for block in po.read_text(encoding="utf-8").split("\n\n"):
        values: dict[str, str] = {}
        field = ""
        for line in block.splitlines():
            if match := re.fullmatch(r'(\w+(?:\[\d\])?) (".*")', line):
                field, values[match[1]] = match[1], ast.literal_eval(match[2])
            elif line.startswith('"'):
                values[field] += ast.literal_eval(line)
        if values.get("msgid"):
            found[values["msgid"]] = [text for name, text in values.items() if name.startswith("msgstr")]
    return found


def written(code: str, texts: dict[str, Text], translations: Translations) -> str:
    """The .po file of a language, in the order of the sources."""
    blocks = [_header(code)]
    for text in texts.values():
        forms = translations.get(text.one) or [""]
        lines = [f"#: {text.where}", f"msgid {_quoted(text.one)}"]
        if text.many:
            lines.append(f"msgid_plural {_quoted(text.many)}")
            lines += [f"msgstr[{i}] {_quoted(form)}" for i, form in enumerate(forms)]
        else:
            lines.append(f"msgstr {_quoted(forms[0])}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def compiled(code: str, texts: dict[str, Text], translations: Translations) -> bytes:
    """The .mo file: two tables of lengths and offsets, sorted, then all strings."""
    pairs = {"": f"Content-Type: text/plain; charset=UTF-8\nLanguage: {code}\nPlural-Forms: {PLURALS[code]}\n"}
    for text in texts.values():
        forms = translations.get(text.one, [])
        if forms and all(forms):
            pairs[text.key] = "\0".join(forms)
    rows = sorted((key.encode(), value.encode()) for key, value in pairs.items())
    tables, strings = [b"", b""], b""
    start = 28 + 16 * len(rows)
    for side in (0, 1):
        for row in rows:
            tables[side] += struct.pack("<2I", len(row[side]), start + len(strings))
            strings += row[side] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(rows), 28, 28 + 8 * len(rows), 0, 28 + 16 * len(rows))
    return head + tables[0] + tables[1] + strings


def files(code: str) -> tuple[Path, Path]:
    folder = LOCALES / code / "LC_MESSAGES"
    return folder / f"{DOMAIN}.po", folder / f"{DOMAIN}.mo"


def _header(code: str) -> str:
    return (
        f'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Language: {code}\\n"\n'
        f'"Plural-Forms: {PLURALS[code]}\\n"'
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def main() -> None:
    texts = collect()
    for code in LANGUAGES:
        if code == "en":
            continue
        po, mo = files(code)
        translations = read(po)
        po.parent.mkdir(parents=True, exist_ok=True)
        po.write_text(written(code, texts, translations), encoding="utf-8")
        mo.write_bytes(compiled(code, texts, translations))
        missing = [text for text in texts if not all(translations.get(text) or [""])]
        print(f"{code}: {len(texts)} texts, {len(missing)} untranslated")


if __name__ == "__main__":
    main()
