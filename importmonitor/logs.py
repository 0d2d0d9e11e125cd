"""Loggers whose records are one printable line each, whatever remote text they carry."""

import logging
import traceback


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module.

    A filter of the parent would not do: it applies to the parent's own records only.
    """
    logger = logging.getLogger(name)
    logger.addFilter(make_printable)
    return logger


def printable(text: str) -> str:
    """Return remote text that cannot move a terminal's cursor or start a line of its own."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def make_printable(record: logging.LogRecord) -> bool:
    """Make a record printable: a filter that lets everything through."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            arg if isinstance(arg, int | float) else printable(str(arg)) for arg in record.args
        )
    record.msg = printable(str(record.msg))
    if record.exc_info and record.exc_info[0] is not None:
        # Formatters use it instead of formatting the exception themselves.
        parts = traceback.format_exception(*record.exc_info)
        record.exc_text = "\n".join(map(_printable_part, parts))
    return True


def _printable_part(part: str) -> str:
    """Return a part of a traceback: some lines of source code, or one that an exception says."""
    part = part.strip("\n")
    lines = part.split("\n") if part.startswith("  File ") else [part]
    return "\n".join(map(printable, lines))
