"""What drf-spectacular is told of a view without the view's knowing."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema


class NamedSchema(AutoSchema):
    """A schema whose operation has a name of its own, and not one made of the path."""

    def get_operation_id(self) -> str:
        # The same endpoint is mounted for `default` and for every other workspace.
        name: str = getattr(self.view, "operation_id")  # noqa: B009 - as_described gives it one
        return name + ("OfWorkspace" if "{alias}" in self.path else "")

    def get_auth(self) -> list[dict[str, Any]]:
        # Without what stands for nobody: Rocket.Chat's endpoints ask for permission by themselves.
        return [each for each in super().get_auth() if each]


def as_described(view: Any, *, name: str, **told: Any) -> Any:
    """Return a view's class with what is told of it; for OpenApiViewExtension.view_replacement."""

    class Described(view):  # type: ignore[misc] # drf-spectacular's own way
        operation_id = name
        schema = NamedSchema()

    return extend_schema(**told)(Described)
