"""The settings of a fleet's workspaces, for `IMPORTMONITOR["WORKSPACES"]`.

They come from the environment, as `python -m simulator --workspaces` prints it.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

_ALIAS = re.compile(r"w(0|[1-9][0-9]{0,8})")


class FleetSettings(Mapping[str, Mapping[str, Any]]):
    """The settings by alias, each of which is made when it is read.

    Args:
        url: the base URL of the fleet's server.
        size: the number of workspaces.
        options: what all of them have in common, such as USER_ID.
    """

    def __init__(self, url: str, size: int, options: Mapping[str, Any]) -> None:
        self._url = url
        self._size = size
        self._options = options

    def __getitem__(self, alias: str) -> Mapping[str, Any]:
        if alias not in self:
            raise KeyError(alias)
        return {"URL": f"{self._url}/{alias}", **self._options}

    def __contains__(self, alias: object) -> bool:
        match = _ALIAS.fullmatch(alias) if isinstance(alias, str) else None
        return match is not None and int(match[1]) < self._size

    def __iter__(self) -> Iterator[str]:
        return (f"w{number}" for number in range(self._size))

    def __len__(self) -> int:
        return self._size


def workspaces() -> FleetSettings:
    """Return the settings of the fleet that the environment names.

    Raises:
        KeyError: FLEET_URL, FLEET_SIZE, FLEET_USER_ID or FLEET_AUTH_TOKEN is missing.
    """
    options: dict[str, Any] = {
        name: os.environ[f"FLEET_{name}"] for name in ("USER_ID", "AUTH_TOKEN")
    }
    for name in ("TIMEOUT", "DEADLINE"):
        if seconds := os.environ.get(f"FLEET_{name}"):
            options[name] = float(seconds)
    return FleetSettings(os.environ["FLEET_URL"], int(os.environ["FLEET_SIZE"]), options)
