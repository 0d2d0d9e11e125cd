"""Database routers as hosts have them, after those of Django's documentation."""

from typing import Any


class OtherAppRouter:
    """An app of the host's has a database of its own."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "analytics" if model._meta.app_label == "analytics" else None

    db_for_write = db_for_read

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **hints: Any
    ) -> bool:
        return (db == "analytics") == (app_label == "analytics")


class AuthRouter:
    """Users and content types have a database of their own."""

    labels = {"auth", "contenttypes"}

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "auth_db" if model._meta.app_label in self.labels else None

    db_for_write = db_for_read

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool | None:
        labels = {first._meta.app_label, second._meta.app_label}
        return True if labels & self.labels else None

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **hints: Any
    ) -> bool | None:
        return db == "auth_db" if app_label in self.labels else None


class ReplicaRouter:
    """Reads go to a replica that lags behind."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        return True

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **hints: Any
    ) -> bool:
        return db == "default"


class HistoryRouter:
    """The history has a database of its own; API tokens stay with their users."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        meta = model._meta
        is_history = meta.app_label == "importmonitor" and meta.model_name != "apitoken"
        return "history" if is_history else None

    db_for_write = db_for_read

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **hints: Any
    ) -> bool:
        is_history = app_label == "importmonitor" and model_name != "apitoken"
        return db == ("history" if is_history else "default")
