"""Workspaces' rows that are limited to groups."""

from collections.abc import Collection

from importmonitor.models import GroupSet
from importmonitor.models.group_sets import encode_groups


def store_groups(names: Collection[str]) -> str | None:
    """Store a set of groups, and return what the row of a workspace limited to it has."""
    GroupSet.objects.store([names])
    return encode_groups(names)
