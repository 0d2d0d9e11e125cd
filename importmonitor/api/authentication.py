"""Credentials in Rocket.Chat's form."""

from typing import TYPE_CHECKING

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from importmonitor.models import ApiToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class RocketChatTokenAuthentication(BaseAuthentication):
    """`X-User-Id` (the Django user's id) and `X-Auth-Token` (one of that user's API tokens)."""

    def authenticate(self, request: Request) -> "tuple[User, ApiToken] | None":
        """Return the user and the token, or None if the request holds neither header.

        Raises AuthenticationFailed if they are not, or no longer, good.
        """
        user_id = request.headers.get("X-User-Id")
        text = request.headers.get("X-Auth-Token")
        if user_id is None and text is None:
            return None
        token = ApiToken.objects.authenticate(user_id or "", text or "")
        if token is None:
            raise AuthenticationFailed
        return token.user, token
