"""How the document tells of the credentials."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

_MADE = "An API token, made in the admin or by `manage.py create_api_token`."


class RocketChatToken(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # registers itself
    """Two headers that belong together."""

    target_class = "importmonitor.api.authentication.RocketChatTokenAuthentication"
    name = ["userId", "authToken"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [
            {
                "type": "apiKey",
                "in": "header",
                "name": "X-User-Id",
                "description": "The id of the user whose token it is.",
            },
            {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": _MADE},
        ]


class Bearer(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # registers itself
    """The token alone, for what can send no headers of its own."""

    target_class = "importmonitor.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": _MADE}
