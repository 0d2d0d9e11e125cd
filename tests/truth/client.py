"""A client without HTTP, whose responses are slow or missing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from importmonitor.rocketchat.clock import clock_offset
from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.rocketchat.operation import Operation, parse_operation
from simulator.kinds import FINISHED
from tests.truth.scenario import Scenario


def do_nothing() -> None:
    """The default of the callbacks."""


@dataclass
class Client:
    """Takes the place of Rocket.Chat's client in a poll.

    `during_current` is called while the first response is under way, `between` before the list is
    requested, `during_list` while the list is under way. `shown` is, by id, the length of the log
    that the responses showed; `current_id` the operation that Rocket.Chat called current.
    """

    scenario: Scenario
    during_current: Callable[[], object] = do_nothing
    between: Callable[[], object] = do_nothing
    during_list: Callable[[], object] = do_nothing
    cut_off: bool = False
    list_fails: bool = False
    shown: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    current_id: str | None = None
    clock_offset: timedelta | None = None
    list_failed: bool = False

    def current_operation(self) -> Operation | None:
        workspace, error = self.scenario.workspace, self.scenario.request_error()
        happened, current = len(workspace.log), workspace.current()
        self.during_current()
        if self.cut_off:
            error = Unreachable("The connection was cut off.")
        if error:
            raise error
        date = workspace.server_time().strftime("%a, %d %b %Y %H:%M:%S GMT")
        self.clock_offset = clock_offset({"Date": date}, self.scenario.clock.now())
        if current is None:
            return None
        self.current_id = current["_id"]
        return self._show(current, happened)

    def latest_operations(self) -> list[Operation]:
        self.between()
        workspace, error = self.scenario.workspace, self.scenario.request_error()
        happened, latest = len(workspace.log), workspace.latest()
        self.during_list()
        if self.list_fails:
            error = Unreachable("The connection was cut off.")
        if error:
            self.scenario.did["lists that failed"] += 1
            self.list_failed = True
            raise error
        return [self._show(document, happened) for document in latest]

    def _show(self, document: dict[str, Any], happened: int) -> Operation:
        remote_id = document["_id"]
        self.shown[remote_id] = max(happened, self.shown.get(remote_id, 0))
        if document["status"] in FINISHED:
            self.ended.add(remote_id)
        return parse_operation(document)
