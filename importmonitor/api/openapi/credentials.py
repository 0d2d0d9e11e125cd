"""The description of the credentials."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

_DESCRIPTION = "An API token, created in the admin or by `manage.py create_api_token`."


class RocketChatToken(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # registers itself
    """Two headers that are required together."""

    target_class = "importmonitor.api.authentication.RocketChatTokenAuthentication"
    name = ["userId", "authToken"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        user_id = {"name": "X-User-Id", "description": "The id of the token's user."}
        token = {"name": "X-Auth-Token", "description": _DESCRIPTION}
        return [{"type": "apiKey", "in": "header", **header} for header in (user_id, token)]


class Bearer(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # registers itself
    """The token alone, for clients without custom headers."""

    target_class = "importmonitor.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": _DESCRIPTION}
