"""Authentication that also tells the journal who is acting: a JWT is read only after the middleware has run."""

from typing import Any

from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import Token

from apps.core.context import current_context, set_actor
from apps.core.models import User
from apps.core.postgres.rows import rows_of

#: The claim that names the user: whoever asks for the user's row says at once on whose behalf.
NAME_CLAIM = "username"


class JWTActor(JWTAuthentication):
    """`Authorization: Bearer <access token>`."""

    def authenticate(self, request: Request) -> Any:
        """The user and the token, None without a token. Everything that the request writes is journalled under the user."""
        found = super().authenticate(request)
        if found is not None:
            set_actor(f"user:{found[0].get_username()}")
        return found

    def get_user(self, validated_token: Token) -> Any:
        """The user as the database has them now. Raises AuthenticationFailed, and then nobody acts."""
        before = current_context().actor
        if name := validated_token.get(NAME_CLAIM):
            set_actor(f"user:{name}")
        try:
            return _active_user(validated_token) or super().get_user(validated_token)
        except BaseException:
            set_actor(before)
            raise


def _active_user(token: Token) -> User | None:
    """The token's user when there is nothing to object to. In SQL, because each request asks it: the ORM takes four times as long as the rest.

    Why somebody is refused says the library, which then reads the row again.
    """
    claim = str(token.get(api_settings.USER_ID_CLAIM, ""))
    if api_settings.CHECK_REVOKE_TOKEN or not claim.isdecimal():
        return None
    found = rows_of(User, "from core_user row where row.id = %s and row.is_active", [int(claim)])
    return found[0] if found else None


class SessionActor(SessionAuthentication):
    """The session of the pages, with its CSRF token."""

    def authenticate(self, request: Request) -> Any:
        """The user and None, None without a session."""
        found = super().authenticate(request)
        if found is not None:
            set_actor(f"user:{found[0].get_username()}")
        return found

    def authenticate_header(self, request: Request) -> str:
        """Named, so that a request without credentials is answered 401 and not 403."""
        return "Session"
