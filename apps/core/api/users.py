"""The user behind a request to REST."""

from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from apps.core.models import User


def desk_user(request: Request) -> User:
    """The signed-in user. Raises NotAuthenticated for an anonymous request."""
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user
