"""A client without a network between: a poll costs a third, where only what comes of it matters."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from importmonitor.rocketchat.operation import Operation, parse_operation
from simulator.workspace import Workspace

if TYPE_CHECKING:
    from importmonitor.rocketchat.exceptions import RocketChatError


class FakeClient:
    """A client that asks a simulated workspace, or one with a given document, with no network.

    While `trouble` is set, it fails so.
    """

    def __init__(self, asked: Workspace | Mapping[str, Any] | None = None) -> None:
        self.asked = asked
        self.trouble: RocketChatError | None = None

    def current_operation(self) -> Operation | None:
        if self.trouble is not None:
            raise self.trouble
        current = self.asked.current() if isinstance(self.asked, Workspace) else self.asked
        return None if current is None else parse_operation(dict(current))

    def latest_operations(self) -> list[Operation]:
        if not isinstance(self.asked, Workspace):
            return []
        return [parse_operation(document) for document in self.asked.latest()]
