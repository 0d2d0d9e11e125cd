"""The sets of groups that workspaces are limited to."""

import hashlib
from collections.abc import Collection, Iterable

from django.db import models
from django.utils.translation import gettext_lazy as _

from importmonitor.models.store import StoreQuerySet


def digest(text: str) -> str:
    """Return a digest of 32 hexadecimal digits.

    Databases differ in the characters that they can store, and compare without regard to case.
    """
    return hashlib.blake2s(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def encode_groups(names: Collection[str] | None) -> str | None:
    """Return the key of a set of groups, which a workspace's row has, None for None."""
    return None if names is None else _key(names)


def _key(names: Collection[str]) -> str:
    return digest("|".join(sorted({digest(name) for name in names})))


class GroupSetQuerySet(StoreQuerySet["GroupSet"]):
    def store(self, sets: Iterable[Collection[str] | None]) -> None:
        """Store which groups these sets have, before a workspace's row has their keys.

        A key without a group, or that is not stored, hides a workspace from all but superusers.
        """
        pairs = {(_key(names), digest(name)) for names in sets if names for name in names}
        # In one order, so that no two processes that store the same wait for each other.
        rows = [self.model(key=key, group=group) for key, group in sorted(pairs)]
        if rows:
            self.bulk_create(rows, ignore_conflicts=True, batch_size=500)


class GroupSet(models.Model):
    """A group of a set that workspaces are limited to. Rows never change: a key is a digest."""

    key = models.CharField(_("key"), max_length=32)
    group = models.CharField(_("group"), max_length=32)

    objects = GroupSetQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("set of groups")
        verbose_name_plural = _("sets of groups")
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("group", "key"), name="importmonitor_group_set_once"),
        )

    def __str__(self) -> str:
        return f"{self.key}: {self.group}"
