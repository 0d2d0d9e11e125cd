"""Users who may not see every workspace of a fleet: the groups of its workspaces."""

import os
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from benchmarks.fleet import rows
from importmonitor.models import GroupSet, Workspace
from importmonitor.models.group_sets import encode_groups
from simulator.fleet_settings import FleetSettings

#: By the name of a group: what its members see of a large fleet.
GROUPS = {
    "most": "all but 100",
    "few": "100",
    "half": "half",
    "second-half": "the second half",
}
#: How many are hidden from the first, and all that the second sees.
FEW = 100
_BATCH = 500


def groups_of(number: int, size: int) -> list[str]:
    """Return the groups of a workspace by its number. A small fleet is visible to all of them."""
    if size <= FEW:
        return list(GROUPS)
    is_one_of_few = number % (size // FEW) == size // FEW - 1
    sees = {
        "most": not is_one_of_few,
        "few": is_one_of_few,
        "half": number % 2 == 1,
        "second-half": number >= size // 2,
    }
    return [name for name in GROUPS if sees[name]]


def users() -> dict[str, str]:
    """Return what users see of a large fleet; each is in the group of their name."""
    return GROUPS


class LimitedFleetSettings(FleetSettings):
    """The settings of a fleet whose workspaces are limited to groups."""

    def __getitem__(self, alias: str) -> Mapping[str, Any]:
        return {**super().__getitem__(alias), "GROUPS": groups_of(int(alias[1:]), len(self))}


def workspaces() -> FleetSettings:
    """Return the settings of the fleet that the environment names."""
    options = {name: os.environ[f"FLEET_{name}"] for name in ("USER_ID", "AUTH_TOKEN")}
    return LimitedFleetSettings(os.environ["FLEET_URL"], int(os.environ["FLEET_SIZE"]), options)


def limit(size: int) -> None:
    """Write the groups into the rows of a fleet, as polls do."""
    numbers = defaultdict(list)
    for number in range(size):
        numbers[tuple(groups_of(number, size))].append(number)
    GroupSet.objects.store(numbers)
    for groups, members in numbers.items():
        for start in range(0, len(members), _BATCH):
            aliases = [f"w{number}" for number in members[start : start + _BATCH]]
            Workspace.objects.filter(alias__in=aliases).update(groups=encode_groups(groups))
    rows.tidy()
