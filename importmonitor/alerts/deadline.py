"""A deadline over one delivery, whatever library makes it.

A time-out of a socket starts again with every byte, so a server that sends one now and then holds
its client for as long as it likes. smtplib and Apprise have no other limit.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# If a library swallows the exception, it is raised again after so many seconds.
_REPEAT = 1.0


class DeadlinePassed(BaseException):
    """A delivery took too long. Not an Exception: libraries catch those and go on."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise DeadlinePassed in this thread if the block takes longer.

    A single call that blocks is not interrupted before it returns; sockets have time-outs for that.
    """
    thread, lock = threading.get_ident(), threading.Lock()
    finished, raised = threading.Event(), threading.Event()

    def interrupt() -> None:
        pause = seconds
        while not finished.wait(pause):
            with lock:
                if not finished.is_set():
                    raised.set()
                    _raise_in(thread, DeadlinePassed)
            pause = _REPEAT

    threading.Thread(target=interrupt, name="importmonitor-deadline", daemon=True).start()
    try:
        yield
    finally:
        with lock:
            finished.set()
        if raised.is_set():
            # One that has not arrived yet arrives here: Python looks for it at each turn of a loop.
            # To take it back by NULL would leave Python 3.11 looking for it for ever.
            for _ in range(100):
                pass


def _raise_in(thread: int, exception: type[BaseException]) -> None:
    # The documented way to stop a thread that does not cooperate (Python/C API, thread states).
    argument = ctypes.py_object(exception)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), argument)
