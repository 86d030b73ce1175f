"""Permissions of endpoints, in the words of `apps.core.roles`."""

from typing import Any, Self

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class HasPermission(BasePermission):
    """Only for users with the permission: `permission_classes = [HasPermission("execution.add_order", methods=("POST",))]`.

    Without `methods` it holds for all of them. It never lets an anonymous user pass.
    """

    def __init__(self, permission: str, *, methods: tuple[str, ...] = ()) -> None:
        self.permission = permission
        self.methods = methods

    def __call__(self) -> Self:
        """Django REST framework calls each of `permission_classes`."""
        return self

    def has_permission(self, request: Request, view: Any) -> bool:
        """True for those who have it, and for methods that it does not guard."""
        if not request.user.is_authenticated:
            return False
        if self.methods and request.method not in self.methods:
            return True
        return request.user.has_perm(self.permission)
