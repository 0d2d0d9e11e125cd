"""The eras of Rocket.Chat: its importers and its API behave alike within one."""

from enum import StrEnum


class Era(StrEnum):
    """A range of versions, named by its last, or its major version."""

    V5 = "5"
    V6_2 = "6.2"
    V6_14 = "6.14"
    V7 = "7"
    V8 = "8"

    @property
    def version(self) -> str:
        """The version that `/api/info` names."""
        return _VERSIONS[self]

    def is_before(self, other: "Era") -> bool:
        """Return whether all of its versions are older than those of `other`."""
        eras = list(Era)
        return eras.index(self) < eras.index(other)

    @property
    def has_iso_ts(self) -> bool:
        """Whether `ts` is an ISO string; before 6.3 it is integer milliseconds."""
        return not self.is_before(Era.V6_14)

    @property
    def aborts_invalid_imports(self) -> bool:
        """Whether importers read `valid` while they import, and a new import clears it (6.3)."""
        return not self.is_before(Era.V6_14)

    @property
    def has_contacts(self) -> bool:
        """Whether contacts were reworked: a step of their own, and other counters (a 7.x)."""
        return not self.is_before(Era.V7)


_VERSIONS = {
    Era.V5: "5.4.9",
    Era.V6_2: "6.2.5",
    Era.V6_14: "6.13.1",
    Era.V7: "7.13.2",
    Era.V8: "8.0.1",
}
