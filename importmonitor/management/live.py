"""The display of a watch: bars that move on a terminal, lines everywhere else."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.core.management.base import OutputWrapper
from django.utils import timezone

from importmonitor import outcomes, wording
from importmonitor.management.arguments import printable
from importmonitor.management.reports import Lines, json_line
from importmonitor.sync import SyncResult, Trouble

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Tell = Callable[[SyncResult | Trouble], SyncResult | None]


@contextmanager
def display(lines: Lines, aliases: Sequence[str]) -> Iterator[Tell]:
    """Return what tells a watch's outcomes; `aliases` are the workspaces, in their order.

    Bars want a terminal and the extra `progress`. Lines are only written when something has
    changed; those of JSON, which programs read, each time.
    """
    if lines.describe is json_line:
        yield lines.tell
        return
    lines.changes_only = True
    if lines.quiet or not lines.stdout.isatty():
        yield lines.tell
        return
    try:
        from rich.progress import BarColumn, Progress, TextColumn
    except ImportError:
        yield lines.tell
        return
    columns = (
        TextColumn("[bold]{task.fields[workspace]}", markup=True),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[counted]}", markup=False),
        TextColumn("{task.fields[pace]}", markup=False),
    )
    with Progress(*columns, expand=True) as progress:
        # Rich has taken over stdout and stderr: what is written there comes out above the bars.
        above = Lines(
            OutputWrapper(sys.stdout), OutputWrapper(sys.stderr), lines.describe, quiet=False
        )
        above.changes_only = True
        yield _Bars(progress, above, aliases).tell


class _Bars:
    """One bar a workspace; what is wrong goes above them, as lines."""

    def __init__(self, progress: "Progress", lines: Lines, aliases: Sequence[str]) -> None:
        self.progress = progress
        self.lines = lines
        self.tasks: dict[str, TaskID] = {alias: self._add(alias) for alias in aliases}

    def _add(self, alias: str) -> "TaskID":
        return self.progress.add_task("…", total=None, workspace=alias, counted="", pace="")

    def tell(self, outcome: SyncResult | Trouble) -> SyncResult | None:
        result = outcome if isinstance(outcome, SyncResult) else None
        if result is None or not result.ok or result.notice:
            self.lines.tell(outcome)
        if result is None or result.skipped is not None:
            return result
        if result.workspace not in self.tasks:
            self.tasks[result.workspace] = self._add(result.workspace)
        self._show(self.tasks[result.workspace], result)
        return result

    def _show(self, task: "TaskID", result: SyncResult) -> None:
        operation = result.operation
        if result.error is not None:
            self.progress.update(task, description=result.error.kind, pace="")
            return
        if operation is None:
            self.progress.update(task, description="nothing was ever imported", total=1)
            return
        outcome = outcomes.present_outcome(operation)
        stands = outcome.label if outcome else operation.status or operation.state
        if outcomes.stalled(operation):
            stands = f"{stands}, stalled"
        name = operation.type or operation.importer_key
        percent = outcomes.percent(operation)
        counted = f"{operation.count_completed or 0:,} / {operation.count_total or 0:,}"
        if percent is not None:
            counted += f", {percent} %"
        if operation.count_error:
            counted += f", {operation.count_error:,} errors"
        left = outcomes.time_left(operation, timezone.now())
        pace = f"{operation.rate:,.1f}/s" if operation.rate else ""
        if left is not None:
            pace += f", {wording.lasting(left)} left"
        self.progress.update(
            task,
            description=printable(f"{name}: {stands}"),
            total=100,
            completed=percent or 0,
            counted=counted if operation.count_total else "",
            pace=pace,
        )
