"""`manage.py`, but what fails is tried again after a tenth of a second:

python -m tests.process.fast_retry_manage [--losing] COMMAND [ARGUMENT…]

With --losing, the first poll loses its database connection while it asks Rocket.Chat.
"""

import os
import sys
from unittest.mock import patch

import django
from django.core.management import execute_from_command_line


def lose_a_connection() -> None:
    """Close the connection below Django, once, where a poll has asked and will go on to write."""
    from django.db import connection

    from importmonitor.rocketchat.client import Client
    from importmonitor.rocketchat.operation import Operation

    asked = Client.current_operation

    def losing(client: Client) -> Operation | None:
        operation = asked(client)
        lost.stop()
        connection.connection.close()
        return operation

    lost = patch.object(Client, "current_operation", losing)
    lost.start()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    from importmonitor.sync import interval

    interval.INITIAL_BACKOFF = interval.MAX_BACKOFF = 0.1
    arguments = sys.argv[1:]
    if arguments[0] == "--losing":
        arguments.pop(0)
        lose_a_connection()
    execute_from_command_line(["manage.py", *arguments])
