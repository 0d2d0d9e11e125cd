"""The base of this app's commands: whatever becomes of their output, they do their work."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from django.core.management.base import BaseCommand, OutputWrapper


class Output(OutputWrapper):
    """A stream of the process that can be closed, full, not UTF-8, or a pipe without a reader.

    What cannot be written is lost, and `has_failed` is true from then on. A later write is tried
    again: a disk is not full for ever.
    """

    def __init__(self, stream: TextIO | None, ending: str = "\n") -> None:
        # None if the process was started with it closed. Opening another file takes its number,
        # which a socket would get otherwise.
        self.stream = stream or Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process
        super().__init__(self.stream, ending)
        self.has_failed = stream is None
        if isinstance(self.stream, TextIOWrapper):
            self.stream.reconfigure(errors="backslashreplace")

    def write(  # type: ignore[override] # the stubs have it return a number
        self,
        msg: str = "",
        style_func: Callable[[str], str] | None = None,
        ending: str | None = None,
    ) -> None:
        try:
            super().write(msg, style_func, ending)
            # At once: what is buffered would fail later, where nothing expects it.
            self.stream.flush()
        except (OSError, ValueError):
            # ValueError: the file object is closed.
            self.has_failed = True

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self.stream.flush()

    def discard_unwritten(self) -> None:
        """Keep Python from writing the rest when it exits: if that fails, it exits with 120."""
        try:
            self.stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


class ProcessCommand(BaseCommand):
    """A command whose output cannot make it fail, when it runs as a process of its own."""

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a process of its own; `call_command` does not use this."""
        stdout, stderr = Output(sys.stdout), Output(sys.stderr)
        stderr.style_func = self.style.ERROR
        self.stdout, self.stderr = stdout, stderr
        try:
            super().run_from_argv(argv)
        finally:
            stdout.discard_unwritten()
            stderr.discard_unwritten()
