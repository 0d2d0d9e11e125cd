"""What a poll asks: a client without HTTP, whose answers are slow, late, or do not come."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.rocketchat.operation import Operation, parse_operation
from simulator.kinds import FINISHED
from tests.truth.happenings import Happenings
from tests.truth.looks import View


def nothing() -> None:
    """Let nothing happen."""


@dataclass
class Client:
    """What a poll asks: the workspace itself, and what is to happen while it is asked.

    `within` happens when the first answer has been taken and has not yet arrived, `between`
    before the list is asked for, `within_list` as `within`. `view` is a moment in the past from
    which both answers are, `late_list` one from which only the list is.
    """

    life: Happenings
    within: Callable[[], object] = nothing
    between: Callable[[], object] = nothing
    within_list: Callable[[], object] = nothing
    view: View | None = None
    late_list: View | None = None
    cut_off: bool = False
    list_fails: bool = False
    shown: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def current_operation(self) -> Operation | None:
        """Answer as Rocket.Chat does, or raise as the real client does."""
        workspace, trouble = self.life.workspace, self.life.trouble()
        happened, current = len(workspace.log), workspace.current()
        if self.view:
            happened, current = self.view.happened, self.view.current
        self.within()
        if self.cut_off:
            trouble = Unreachable("The connection was cut off.")
        if trouble:
            raise trouble
        return None if current is None else self._show(current, happened)

    def latest_operations(self) -> list[Operation]:
        """Answer as Rocket.Chat does, or raise as the real client does."""
        self.between()
        workspace, trouble = self.life.workspace, self.life.trouble()
        happened, latest = len(workspace.log), workspace.latest()
        if past := self.view or self.late_list:
            happened, latest = past.happened, past.latest
        self.within_list()
        if self.list_fails:
            trouble = Unreachable("The connection was cut off.")
        if trouble:
            self.life.did["list not had"] += 1
            raise trouble
        return [self._show(document, happened) for document in latest]

    def _show(self, document: dict[str, Any], happened: int) -> Operation:
        remote_id = document["_id"]
        self.shown[remote_id] = max(happened, self.shown.get(remote_id, 0))
        if document["status"] in FINISHED:
            self.ended.add(remote_id)
        return parse_operation(document)
