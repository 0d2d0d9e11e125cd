"""An app that counts the statements of a process, for `statements per poll`."""

import atexit
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created

#: The variable with the file to write the number to when the process ends.
STATEMENTS = "FLEET_STATEMENTS"


class FleetConfig(AppConfig):
    name = "benchmarks.fleet"

    def ready(self) -> None:
        path = os.environ.get(STATEMENTS)
        if not path:
            return
        # Thread-safe, unlike an addition.
        counter = itertools.count()

        def execute(run: Callable[..., Any], *arguments: Any) -> Any:
            next(counter)
            return run(*arguments)

        def install(connection: Any, **_kwargs: Any) -> None:
            # A connection is created again after each time that it was closed.
            if execute not in connection.execute_wrappers:
                connection.execute_wrappers.append(execute)

        # Not weakly: nothing else keeps it.
        connection_created.connect(install, weak=False)
        atexit.register(lambda: Path(path).write_text(str(next(counter))))
