"""Who sees which workspaces: by the groups of the settings, and by the limit of an API token.

A workspace's row has the groups, as of its last poll, so that the database filters lists. As what
the settings have can be stricter already, what is about one workspace asks them too.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import PermissionsMixin
from django.db.models import Q, QuerySet

from importmonitor import conf
from importmonitor.conf.channels import EVERY_WORKSPACE, ChannelConfig
from importmonitor.models.group_sets import GroupSet, digest
from importmonitor.models.tokens import ApiToken
from importmonitor.models.workspaces import Workspace

if TYPE_CHECKING:
    from importmonitor.models.workspace_queries import WorkspaceQuerySet

#: Up to this many workspaces are named in conditions, for which databases read only an index of
#: the longer tables. More are found by the rows of the workspaces, each time.
_FEW = 100


class Viewer:
    """A user, and the API token that they came with.

    The names of the user's groups are read once, and only if there is something to compare.
    """

    def __init__(self, user: object, token: ApiToken | None = None) -> None:
        self._user = user
        #: The workspaces that the token is limited to, None if it is not limited.
        self.aliases: list[str] | None = token.workspaces if token else None
        # A host's user model may have neither.
        self._is_active = bool(getattr(user, "is_active", False))
        self.is_superuser = self._is_active and bool(getattr(user, "is_superuser", False))

    @property
    def key(self) -> str:
        """What is cached for another viewer must have another key, unless both see the same.

        It names the workspaces that are hidden or visible, if they are few: of one that has just
        been limited, nothing is read from a cache. Otherwise it has the user's groups.
        """
        if self.hidden_aliases is not None:
            seen = ["all but", *self.hidden_aliases]
        elif self.visible_aliases is not None:
            seen = ["only", *self.visible_aliases]
        else:
            seen = ["groups", *self._digests]
        limit = ["all"] if self.aliases is None else ["only", *self.aliases]
        return "|".join([*seen, "of", *limit])

    def may_see(self, alias: str) -> bool:
        """Return whether a workspace is configured, and the settings let the viewer see it."""
        try:
            return self._is_allowed(alias)
        except conf.UnknownWorkspace:
            return False

    def filter_aliases(self, aliases: Iterable[str]) -> set[str]:
        """Return those of these workspaces that `may_see` is true of; reads the settings once."""
        return {
            alias
            for alias, groups in conf.find_groups(aliases).items()
            if self._is_within_limit(alias) and self._is_member(groups)
        }

    def is_refused(self, alias: str) -> bool:
        """Return whether the settings hide a workspace; they say nothing of one they lack."""
        try:
            return not self._is_allowed(alias)
        except conf.UnknownWorkspace:
            return False

    def is_limited(self) -> bool:
        """Return whether any workspace may be hidden from the viewer."""
        if self.is_superuser:
            return self.aliases is not None
        return self.aliases is not None or Workspace.objects.exclude(groups=None).exists()

    def workspaces(self) -> "WorkspaceQuerySet":
        """Return the rows of the configured workspaces that the viewer may see.

        By what the last polls have stored: whoever shows one of them asks `may_see` too.
        """
        rows = Workspace.objects.listed()
        if self.visible_aliases is not None:
            # Without the index of `listed`, which SQLite prefers to that of a hundred aliases.
            rows = Workspace.objects.filter(is_configured=True)
        return rows.visible_to(self)

    def visible_channels(self) -> list[ChannelConfig]:
        """Return the channels, without the patterns of workspaces that match none to be seen.

        One that has no other pattern is left out, unless the viewer may see all workspaces.
        """
        channels = list(conf.get_options().channels.values())
        if all(channel.workspaces == EVERY_WORKSPACE for channel in channels):
            return channels
        if not self.is_limited():
            return channels
        patterns = {pattern for channel in channels for pattern in channel.workspaces}
        matching = {pattern for pattern in patterns if self._matches_any(pattern)}
        for number, channel in enumerate(channels):
            shown = tuple(pattern for pattern in channel.workspaces if pattern in matching)
            channels[number] = replace(channel, workspaces=shown)
        return [channel for channel in channels if channel.workspaces]

    def _matches_any(self, pattern: str) -> bool:
        """Return whether a channel's pattern is for all, or matches a workspace to be seen."""
        if pattern in EVERY_WORKSPACE:
            return True
        prefix = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        rows = self.workspaces().starting_with(prefix).order_by()
        aliases = rows.values_list("alias", flat=True).iterator()
        return any(fnmatchcase(alias, pattern) for alias in aliases)

    @cached_property
    def hidden_aliases(self) -> list[str] | None:
        """The workspaces whose groups do not include the viewer; None if they are many."""
        if self.is_superuser:
            return []
        keys = self._keys
        return _read_few(_is_outside(keys) if isinstance(keys, list) else self.hides())

    @cached_property
    def visible_aliases(self) -> list[str] | None:
        """Those of the others, where many are hidden; None if these are many too."""
        if self.hidden_aliases is not None:
            return None
        return _read_few(Q(groups=None) | Q(groups__in=self._keys))

    def hidden_workspaces(self) -> "WorkspaceQuerySet":
        """Return the rows of the workspaces whose groups do not include the viewer."""
        return Workspace.objects.filter(self.hides()).order_by()

    def hides(self) -> Q:
        """Return the condition that the groups of a workspace's row do not include the viewer."""
        if self.is_superuser:
            return Q(pk__in=())
        return Q(groups__isnull=False) & ~Q(groups__in=self._keys)

    def _is_member(self, names: Collection[str] | None) -> bool:
        """Return whether a workspace that is limited to groups of these names is for the viewer."""
        if names is None or self.is_superuser:
            return True
        return not set(self._digests).isdisjoint(map(digest, names))

    def _is_allowed(self, alias: str) -> bool:
        return self._is_within_limit(alias) and self._is_member(conf.get_groups(alias))

    def _is_within_limit(self, alias: str) -> bool:
        return self.aliases is None or alias in self.aliases

    @cached_property
    def _keys(self) -> "list[str] | QuerySet[Any, Any]":
        """The keys of the sets of groups that include the viewer, sorted; a query if many do."""
        keys = GroupSet.objects.filter(group__in=self._digests).values_list("key", flat=True)
        few = list(keys.order_by("key").distinct()[: _FEW + 1])
        return few if len(few) <= _FEW else keys.order_by()

    @cached_property
    def _digests(self) -> list[str]:
        # From the database of the users, which need not be that of the history.
        if not isinstance(self._user, PermissionsMixin) or not self._is_active:
            return []
        return sorted(map(digest, self._user.groups.values_list("name", flat=True)))


def get_viewer(request: Any) -> Viewer:
    """Return the viewer of a request, made once for it."""
    viewer: Viewer | None = vars(request).get("importmonitor_viewer")
    if viewer is None:
        # Of DRF's requests, which have the credentials that were accepted.
        credentials = getattr(request, "auth", None)
        token = credentials if isinstance(credentials, ApiToken) else None
        viewer = Viewer(request.user, token)
        vars(request)["importmonitor_viewer"] = viewer
    return viewer


def _is_outside(keys: list[str]) -> Q:
    """Return the condition that a workspace's row has groups, and none of these sorted keys.

    By the ranges between them, which an index has: for NOT IN, databases read all rows.
    """
    if not keys:
        return Q(groups__isnull=False)
    condition = Q(groups__lt=keys[0]) | Q(groups__gt=keys[-1])
    for previous, following in pairwise(keys):
        condition |= Q(groups__gt=previous, groups__lt=following)
    return condition


def _read_few(condition: Q) -> list[str] | None:
    rows = Workspace.objects.filter(condition).order_by()
    aliases = list(rows.values_list("alias", flat=True)[: _FEW + 1])
    return sorted(aliases) if len(aliases) <= _FEW else None
