"""The display of `--watch`: progress bars on a terminal, lines elsewhere."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.management.base import OutputWrapper
from django.utils import timezone

from importmonitor import humanize
from importmonitor.logs import printable
from importmonitor.management.base import Output
from importmonitor.management.output import ResultWriter, json_line
from importmonitor.sync.poll import PollFailure, SyncResult

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Write = Callable[[SyncResult | PollFailure], SyncResult | None]


@contextmanager
def result_display(writer: ResultWriter, aliases: Sequence[str]) -> Iterator[Write]:
    """Return a function that shows results; `aliases` are the workspaces in display order.

    Progress bars need a terminal and the extra `progress`. Text lines are written only when
    something has changed, JSON lines at every poll.
    """
    if writer.describe is json_line:
        yield writer.write
        return
    writer.changes_only = True
    if writer.quiet or not writer.stdout.isatty():
        yield writer.write
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
    except ImportError:
        yield writer.write
        return
    columns = (
        TextColumn("[bold]{task.fields[workspace]}", markup=True),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[counters]}", markup=False),
        TextColumn("{task.fields[rate]}", markup=False),
    )
    stream: Any = Output(sys.stdout, ending="")
    console = Console(file=stream)
    with Progress(*columns, console=console, expand=True) as progress:
        # Rich has replaced sys.stdout and sys.stderr: text written there appears above the bars.
        line_writer = ResultWriter(
            OutputWrapper(sys.stdout), OutputWrapper(sys.stderr), writer.describe, quiet=False
        )
        line_writer.changes_only = True
        yield _ProgressBars(progress, line_writer, aliases).write


class _ProgressBars:
    """A progress bar for each workspace; errors and notices are lines above the bars."""

    def __init__(self, progress: "Progress", writer: ResultWriter, aliases: Sequence[str]) -> None:
        self.progress = progress
        self.writer = writer
        self.tasks: dict[str, TaskID] = {alias: self._add(alias) for alias in aliases}

    def _add(self, alias: str) -> "TaskID":
        return self.progress.add_task("…", total=None, workspace=alias, counters="", rate="")

    def write(self, poll_result: SyncResult | PollFailure) -> SyncResult | None:
        """Show the result of a poll and return it; None for a PollFailure."""
        result = poll_result if isinstance(poll_result, SyncResult) else None
        if result is None or not result.ok or result.notice:
            self.writer.write(poll_result)
        if result is None or result.skipped is not None:
            return result
        if result.workspace not in self.tasks:
            self.tasks[result.workspace] = self._add(result.workspace)
        self._update(self.tasks[result.workspace], result)
        return result

    def _update(self, task: "TaskID", result: SyncResult) -> None:
        operation = result.operation
        if result.error is not None:
            self.progress.update(task, description=result.error.kind, rate="")
            return
        if operation is None:
            self.progress.update(task, description="nothing was ever imported", total=1)
            return
        outcome = operation.present_outcome
        state = outcome.label if outcome else operation.status or operation.state
        if operation.is_stalled:
            state = f"{state}, stalled"
        name = operation.type or operation.importer_key
        percent = operation.percent
        counters = f"{operation.shown_completed or 0:,} / {operation.count_total or 0:,}"
        if percent is not None:
            counters += f", {percent} %"
        if operation.count_error:
            counters += f", {operation.count_error:,} errors"
        time_left = operation.time_left(timezone.now())
        rate = f"{operation.rate:,.1f}/s" if operation.rate else ""
        if time_left is not None:
            rate += f", {humanize.format_duration(time_left.expected)} left"
        self.progress.update(
            task,
            description=printable(f"{name}: {state}"),
            total=100,
            completed=percent or 0,
            counters=counters if operation.count_total else "",
            rate=rate,
        )
