"""A client without a network: it makes a poll three times as fast."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from importmonitor.rocketchat.operation import Operation, parse_operation
from simulator.workspace import Workspace

if TYPE_CHECKING:
    from importmonitor.rocketchat.exceptions import RocketChatError


class FakeClient:
    """A client of a simulated workspace, or of one whose current operation is a document.

    While `error` is set, the request for the current operation raises it.
    """

    def __init__(self, source: Workspace | Mapping[str, Any] | None = None) -> None:
        self.source = source
        self.error: RocketChatError | None = None

    def current_operation(self) -> Operation | None:
        if self.error is not None:
            raise self.error
        source = self.source
        current = source.current() if isinstance(source, Workspace) else source
        return None if current is None else parse_operation(dict(current))

    def latest_operations(self) -> list[Operation]:
        if not isinstance(self.source, Workspace):
            return []
        return [parse_operation(document) for document in self.source.latest()]
