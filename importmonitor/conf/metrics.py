"""The settings of the metrics, and the mistakes in them."""

from typing import Any

from importmonitor.conf.problems import Problems, describe
from importmonitor.conf.workspaces import ALIAS

#: How many workspaces have metrics of their own by default: about 3 kB each.
METRICS_LIMIT = 60
#: More would no longer be a scrape of a second.
_MAX_LIMIT = 2_000
#: Each pattern is a condition, and databases limit their number.
_MAX_NAMES = 100


def read_metrics_limit(value: object, problems: Problems) -> int:
    """Return how many workspaces have metrics of their own."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MAX_LIMIT:
        return value
    problems.error(
        "E031",
        f"IMPORTMONITOR['METRICS_LIMIT'] is {describe(value)}.",
        f"Make it a whole number of workspaces, 1 to {_MAX_LIMIT}.",
    )
    return METRICS_LIMIT


def read_metrics_workspaces(value: Any, problems: Problems) -> tuple[str, ...]:
    """Return the aliases, and beginnings of aliases with "*", whose metrics come first."""
    if isinstance(value, list | tuple) and len(value) <= _MAX_NAMES and all(map(_is_name, value)):
        return tuple(map(str, value))
    problems.error(
        "E032",
        f"IMPORTMONITOR['METRICS_WORKSPACES'] is {describe(value)}.",
        f"Make it a list of at most {_MAX_NAMES} aliases, or beginnings of aliases like 'acme-*'; "
        "in the environment, IMPORTMONITOR_METRICS_WORKSPACES separates them by commas.",
    )
    return ()


def _is_name(value: object) -> bool:
    return isinstance(value, str) and ALIAS.fullmatch(value.removesuffix("*")) is not None
