"""Mistakes in the settings, collected while they are read."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True)
class Problem:
    """A mistake in the settings: `id` without the app's label, what is wrong, and what to do."""

    id: str
    message: str
    hint: str
    is_error: bool

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
