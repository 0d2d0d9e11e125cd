"""The naming rules of CONTRIBUTING.md, as far as a program can check them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import importmonitor

PACKAGE = Path(importmonitor.__file__).parent
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent.name != "migrations"]

#: DRF's word, and the name of its own module.
GERUNDS = {"throttling"}
#: A variable is named for what it holds.
VAGUE_NAMES = {"each", "found", "told"}
#: A workspace is polled, not looked at. (A lookup is Django's word.)
LOOK = re.compile(r"\blook(?!up)\w*", re.IGNORECASE)
MAX_LOOKS_PER_1000_LINES = 2


def bound_names(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and name of each variable and argument that a module binds."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_variables_are_named_for_what_they_hold(path: Path) -> None:
    vague = [
        f"{path.name}:{line}: {name}"
        for line, name in bound_names(path.read_text())
        if name in VAGUE_NAMES
    ]
    assert vague == []


def test_modules_are_named_by_nouns() -> None:
    names = {path.stem for path in MODULES}
    assert {name for name in names if name.endswith("ing")} <= GERUNDS


def test_polling_is_called_polling() -> None:
    lines = [line for path in MODULES for line in path.read_text().splitlines()]
    looks = [line.strip() for line in lines if LOOK.search(line)]
    assert len(looks) <= len(lines) * MAX_LOOKS_PER_1000_LINES / 1000, looks
