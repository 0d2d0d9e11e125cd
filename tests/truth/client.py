"""A client without HTTP, whose responses are slow, late or missing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.rocketchat.operation import Operation, parse_operation
from simulator.kinds import FINISHED
from tests.truth.observations import View
from tests.truth.scenario import Scenario


def do_nothing() -> None:
    """The default of the callbacks."""


@dataclass
class Client:
    """Takes the place of Rocket.Chat's client in a poll.

    `during_current` is called while the first response is under way, `between` before the list is
    requested, `during_list` while the list is under way. `view` is a moment in the past that both
    responses are from, `late_list` one that only the list is from.
    """

    scenario: Scenario
    during_current: Callable[[], object] = do_nothing
    between: Callable[[], object] = do_nothing
    during_list: Callable[[], object] = do_nothing
    view: View | None = None
    late_list: View | None = None
    cut_off: bool = False
    list_fails: bool = False
    shown: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def current_operation(self) -> Operation | None:
        workspace, error = self.scenario.workspace, self.scenario.request_error()
        happened, current = len(workspace.log), workspace.current()
        if self.view:
            happened, current = self.view.happened, self.view.current
        self.during_current()
        if self.cut_off:
            error = Unreachable("The connection was cut off.")
        if error:
            raise error
        return None if current is None else self._show(current, happened)

    def latest_operations(self) -> list[Operation]:
        self.between()
        workspace, error = self.scenario.workspace, self.scenario.request_error()
        happened, latest = len(workspace.log), workspace.latest()
        if past := self.view or self.late_list:
            happened, latest = past.happened, past.latest
        self.during_list()
        if self.list_fails:
            error = Unreachable("The connection was cut off.")
        if error:
            self.scenario.did["lists that failed"] += 1
            raise error
        return [self._show(document, happened) for document in latest]

    def _show(self, document: dict[str, Any], happened: int) -> Operation:
        remote_id = document["_id"]
        self.shown[remote_id] = max(happened, self.shown.get(remote_id, 0))
        if document["status"] in FINISHED:
            self.ended.add(remote_id)
        return parse_operation(document)
