"""What is to be translated, as the sources mark it and as the catalogues hold it."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from django.utils.translation import templatize

import importmonitor

PACKAGE = Path(importmonitor.__file__).parent

#: By how a text is marked, what stands in which place.
_MARKS = {
    "_": ("one",),
    "gettext": ("one",),
    "ngettext": ("one", "many"),
    "pgettext": ("context", "one"),
    "npgettext": ("context", "one", "many"),
}


class Text(NamedTuple):
    """What is to be translated; `many` and `context` are empty where it has none."""

    one: str
    many: str = ""
    context: str = ""


class Entry(NamedTuple):
    """A text with its translation, in two forms if it has `many`."""

    text: Text
    told: tuple[str, ...]
    is_fuzzy: bool


def path(locale: str, ending: str) -> Path:
    """Return where a catalogue lies: `po` is what people edit, `mo` what programs read."""
    return PACKAGE / "locale" / locale / "LC_MESSAGES" / f"django.{ending}"


@cache
def catalogue(locale: str) -> tuple[Entry, ...]:
    """Read the catalogue that people edit, less its header."""
    _header, *blocks = path(locale, "po").read_text("utf-8").strip().split("\n\n")
    return tuple(_entry(block) for block in blocks)


def _entry(block: str) -> Entry:
    fields: dict[str, str] = {}
    keyword, is_fuzzy = "", False
    for line in block.splitlines():
        if line.startswith("#"):
            is_fuzzy |= "fuzzy" in line
            continue
        # A line that begins with a quotation mark goes on with what the line before was.
        name, quoted = ("", line) if line.startswith('"') else line.split(" ", 1)
        keyword = name or keyword
        fields[keyword] = fields.get(keyword, "") + ast.literal_eval(quoted)
    told = tuple(value for name, value in fields.items() if name.startswith("msgstr"))
    text = Text(fields["msgid"], fields.get("msgid_plural", ""), fields.get("msgctxt", ""))
    return Entry(text, told, is_fuzzy)


def marked() -> Iterator[Text]:
    """Find what is marked as translatable in the package."""
    for source in PACKAGE.rglob("*.py"):
        yield from _marked_in(ast.parse(source.read_text("utf-8")))
    for source in PACKAGE.rglob("*.html"):
        code = templatize(source.read_text("utf-8"))
        for found in re.finditer(r"\b(?:n?p?gettext|_)\(", code):
            yield from _marked_in(_call(code[found.start() :]))


def _call(code: str) -> ast.AST:
    """Read the call that some code begins with."""
    for end in re.finditer(r"\)", code):
        try:
            return ast.parse(code[: end.end()])
        except SyntaxError:
            continue
    raise AssertionError(code)


def _marked_in(tree: ast.AST) -> Iterator[Text]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", "")).removesuffix("_lazy")
        places = _MARKS.get(name, ())
        given = [str(each.value) for each in node.args if isinstance(each, ast.Constant)]
        if places and len(given) >= len(places):
            yield Text(**dict(zip(places, given, strict=False)))
