"""Who sees which workspaces: by the groups of the settings, and by the limit of an API token.

A workspace's row has the groups, as of its last poll, so that the database filters lists. As what
the settings have can be stricter already, what is about one workspace asks them too.
"""

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import PermissionsMixin
from django.db.models import Q

from importmonitor import conf
from importmonitor.conf.channels import EVERY_WORKSPACE, ChannelConfig
from importmonitor.models.tokens import ApiToken
from importmonitor.models.workspaces import Workspace

if TYPE_CHECKING:
    from importmonitor.models.workspaces import WorkspaceQuerySet

#: Names that one condition compares with: SQLite limits the depth of an expression.
_BATCH = 100
#: Of a user in more groups, only those that some workspace has are compared with, row by row.
_MANY = 20


def encode_groups(names: Collection[str] | None) -> str | None:
    """Return names of groups as a workspace's row has them: "|digest|digest|", None for None.

    By digests, because databases differ in the characters that they can store, and compare
    without regard to case.
    """
    return None if names is None else "|".join(["", *map(_digest, names), ""])


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
        """What is cached for another viewer must have another key, unless both see the same."""
        groups = ["*"] if self.is_superuser else self._digests
        return " ".join(["|".join(groups), *(self.aliases or [""])])

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
            if self._is_within_limit(alias) and self.is_member(encode_groups(groups))
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
        return Workspace.objects.listed().visible_to(self)

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

    def hidden_workspaces(self) -> "WorkspaceQuerySet":
        """Return the rows of the workspaces whose groups do not include the viewer."""
        return Workspace.objects.filter(self.hides()).order_by()

    def hides(self) -> Q:
        """Return the condition that the groups of a workspace's row do not include the viewer."""
        condition = Q(groups__isnull=False)
        if self.is_superuser:
            return condition & Q(pk__in=())
        digests = self._digests
        if len(digests) > _MANY:
            # Users of a directory can be in hundreds.
            limited = Workspace.objects.exclude(groups=None).order_by()
            used = {
                digest
                for groups in limited.values_list("groups", flat=True).distinct()
                for digest in (groups or "").split("|")
            }
            digests = [digest for digest in digests if digest in used]
        for start in range(0, len(digests), _BATCH):
            is_member = Q()
            for digest in digests[start : start + _BATCH]:
                is_member |= Q(groups__contains=f"|{digest}|")
            condition &= ~is_member
        return condition

    def is_member(self, groups: str | None) -> bool:
        """Return whether the groups of a workspace's row include the viewer."""
        if groups is None or self.is_superuser:
            return True
        return any(f"|{digest}|" in groups for digest in self._digests)

    def _is_allowed(self, alias: str) -> bool:
        return self._is_within_limit(alias) and self.is_member(
            encode_groups(conf.get_groups(alias))
        )

    def _is_within_limit(self, alias: str) -> bool:
        return self.aliases is None or alias in self.aliases

    @cached_property
    def _digests(self) -> list[str]:
        # From the database of the users, which need not be that of the history.
        if not isinstance(self._user, PermissionsMixin) or not self._is_active:
            return []
        return sorted(map(_digest, self._user.groups.values_list("name", flat=True)))


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


def _digest(name: str) -> str:
    return hashlib.blake2s(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
