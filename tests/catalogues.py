"""The translatable texts, as marked in the sources and as stored in the catalogues."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from django.utils.translation import templatize

import importmonitor

PACKAGE = Path(importmonitor.__file__).parent

#: The functions that mark a text, and their positional arguments.
_MARKERS = {
    "_": ("one",),
    "gettext": ("one",),
    "ngettext": ("one", "many"),
    "pgettext": ("context", "one"),
    "npgettext": ("context", "one", "many"),
}


class Text(NamedTuple):
    """A translatable text; `many` and `context` are empty if it has none."""

    one: str
    many: str = ""
    context: str = ""


class Entry(NamedTuple):
    """A text and its translations: two forms if it has `many`, else one."""

    text: Text
    translations: tuple[str, ...]
    is_fuzzy: bool


def catalogue_path(locale: str, suffix: str) -> Path:
    """Return the path of a catalogue: `po` is the source, `mo` is compiled."""
    return PACKAGE / "locale" / locale / "LC_MESSAGES" / f"django.{suffix}"


@cache
def catalogue(locale: str) -> tuple[Entry, ...]:
    """Return the entries of a catalogue's source, without its header."""
    _header, *blocks = catalogue_path(locale, "po").read_text("utf-8").strip().split("\n\n")
    return tuple(_parse_entry(block) for block in blocks)


def _parse_entry(block: str) -> Entry:
    fields: dict[str, str] = {}
    keyword, is_fuzzy = "", False
    for line in block.splitlines():
        if line.startswith("#"):
            is_fuzzy |= "fuzzy" in line
            continue
        # A line that starts with a quotation mark continues the previous one.
        name, quoted = ("", line) if line.startswith('"') else line.split(" ", 1)
        keyword = name or keyword
        fields[keyword] = fields.get(keyword, "") + ast.literal_eval(quoted)
    translations = tuple(value for name, value in fields.items() if name.startswith("msgstr"))
    text = Text(fields["msgid"], fields.get("msgid_plural", ""), fields.get("msgctxt", ""))
    return Entry(text, translations, is_fuzzy)


@cache
def marked_texts() -> frozenset[Text]:
    """Return the texts that the package marks as translatable."""
    return frozenset(_marked_texts())


def _marked_texts() -> Iterator[Text]:
    for source in PACKAGE.rglob("*.py"):
        yield from _texts_in(ast.parse(source.read_text("utf-8")))
    for source in PACKAGE.rglob("*.html"):
        code = templatize(source.read_text("utf-8"))
        for call in re.finditer(r"\b(?:n?p?gettext|_)\(", code):
            yield from _texts_in(_parse_call(code[call.start() :]))


def _parse_call(code: str) -> ast.AST:
    """Return the call that the code starts with."""
    for end in re.finditer(r"\)", code):
        try:
            return ast.parse(code[: end.end()])
        except SyntaxError:
            continue
    raise AssertionError(code)


def _texts_in(tree: ast.AST) -> Iterator[Text]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", "")).removesuffix("_lazy")
        fields = _MARKERS.get(name, ())
        values = [str(arg.value) for arg in node.args if isinstance(arg, ast.Constant)]
        if fields and len(values) >= len(fields):
            yield Text(**dict(zip(fields, values, strict=False)))
