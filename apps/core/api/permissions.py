"""Permissions of endpoints, in the words of `apps.core.roles`."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


def HasPermission(permission: str, *, methods: tuple[str, ...] = ()) -> type[BasePermission]:  # noqa: N802 (it makes a class and is read as one)
    """A permission class only for users with `permission`: `permission_classes = [HasPermission("execution.add_order", methods=("POST",))]`.

    Without `methods` it holds for all of them. It never lets an anonymous user pass.
    """

    class Guard(BasePermission):
        def has_permission(self, request: Request, view: Any) -> bool:
            """True for those who have it, and for methods that it does not guard."""
            if not request.user.is_authenticated:
                return False
            if methods and request.method not in methods:
                return True
            return request.user.has_perm(permission)

    return Guard
