"""Mistakes in the settings, collected while they are read.

A wrong value can be a secret that was put in the wrong place: no text of a value is repeated.
"""

import re
import traceback
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

#: Of a module's attribute, such as a backend.
DOTTED_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


@dataclass(frozen=True)
class Problem:
    """A mistake in the settings: `id` without the app's label, what is wrong, and what to do.

    `is_error` is whether the settings cannot be used; `is_missing` is whether they may be complete
    where the service runs.
    """

    id: str
    message: str
    hint: str
    is_error: bool
    is_missing: bool = False

    def __str__(self) -> str:
        return f"{self.message} {self.hint} (importmonitor.{self.id})"


class Problems:
    """Collects the mistakes that the readers of the settings report."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._problems)

    def __len__(self) -> int:
        return len(self._problems)

    def error(self, id: str, message: str, hint: str) -> None:  # noqa: A002 - as django.core.checks
        """Report a mistake without which the settings cannot be used."""
        self._problems.append(Problem(id, message, hint, is_error=True))

    def missing(self, id: str, message: str, hint: str) -> None:  # noqa: A002 - as above
        """Report an error that must not stop the host's other commands.

        Django checks before `migrate` and almost every command, and those may run without secrets,
        before there is a database, or while an image is built.
        """
        self._problems.append(Problem(id, message, hint, is_error=True, is_missing=True))

    def warning(self, id: str, message: str, hint: str) -> None:  # noqa: A002 - as above
        """Report a setting that works and is probably not meant."""
        self._problems.append(Problem(id, message, hint, is_error=False))

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self if problem.is_error]

    def raise_errors(self) -> None:
        """Raise ImproperlyConfigured, naming every error, if there is one."""
        if self.errors:
            raise ImproperlyConfigured("\n".join(map(str, self.errors)))


def describe(value: object) -> str:
    """Return a value of the wrong kind in words: a number as it is, of others what they are."""
    if value is None or isinstance(value, bool | int | float | timedelta):
        return repr(value)
    if isinstance(value, str) and not value:
        return "empty"
    return f"a {type_name(value)}"


def is_list_of(value: object, choices: Collection[str]) -> bool:
    """Return whether a value is a list, or the like, of some of these texts."""
    if not isinstance(value, list | tuple | set | frozenset):
        return False
    return all(isinstance(item, str) and item in choices for item in value)


def type_name(value: object) -> str:
    """Return the name of a value's type, as the user who set it knows it."""
    for known in (str, bytes, Mapping):
        if isinstance(value, known):
            return "dict" if known is Mapping else known.__name__
    return type(value).__name__


def describe_name(name: object) -> str:
    """Return a name in quotes, unless it is no name and could be a secret."""
    if isinstance(name, str) and re.fullmatch(r"[\w .:@/-]{0,32}", name):
        return repr(str(name))
    return describe(name)


def describe_error(error: Exception) -> str:
    """Return the type of an error and where it was raised; its text can contain a secret."""
    name = type(error).__name__
    if error.__traceback__ is None:
        return name
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{name} in {Path(frame.filename).name}, line {frame.lineno}"
