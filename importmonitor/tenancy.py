"""Where the app's rows are: in which database, and in which schema of it.

A host's router decides about the database. Some hosts have a schema for each tenant, such as those
with django-tenants.

The connection has the tenant, and each thread has connections of its own: a new one would read and
write the public schema.
"""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db import connections, router


def store_alias() -> str:
    """Return the alias of the database that holds the history."""
    return router.db_for_write(apps.get_model("importmonitor", "Workspace"))


def get_scope() -> str:
    """Return what the app's rows are read from now: the database, and its schema.

    What is cached in one scope must not be served in another.
    """
    connection = _connection()
    return f"{connection.alias}/{getattr(connection, 'schema_name', None) or ''}"


def capture_tenant() -> Callable[[], None]:
    """Return a function by which another thread works for this thread's tenant."""
    connection = _connection()
    tenant = getattr(connection, "tenant", None)
    include_public = getattr(connection, "include_public_schema", True)

    def activate() -> None:
        if tenant is not None:
            _connection().set_tenant(tenant, include_public)

    return activate


def _connection() -> Any:
    return connections[store_alias()]
