"""`manage.py` that retries failed polls after a tenth of a second:

python -m tests.process.fast_retry_manage [--lose-connection] COMMAND [ARGUMENT…]

With --lose-connection, the first poll loses its database connection during its request.
"""

import os
import sys
from unittest.mock import patch

import django
from django.core.management import execute_from_command_line


def lose_a_connection() -> None:
    """Close the connection without Django's knowledge, once, between a request and the writes."""
    from django.db import connection

    from importmonitor.rocketchat.client import Client
    from importmonitor.rocketchat.operation import Operation

    current_operation = Client.current_operation

    def request_and_disconnect(client: Client) -> Operation | None:
        operation = current_operation(client)
        patcher.stop()
        connection.ensure_connection()
        connection.connection.close()
        return operation

    patcher = patch.object(Client, "current_operation", request_and_disconnect)
    patcher.start()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    from importmonitor.sync import interval

    interval.INITIAL_BACKOFF = interval.MAX_BACKOFF = 0.1
    arguments = sys.argv[1:]
    if arguments[0] == "--lose-connection":
        arguments.pop(0)
        lose_a_connection()
    execute_from_command_line(["manage.py", *arguments])
