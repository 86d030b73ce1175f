"""What every page needs around its own content."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.core import clock
from apps.core.pages import chosen_portfolio


def shell(request: HttpRequest) -> dict[str, Any]:
    """The frame of the page as `shell`, read only by templates that show it; nothing for visitors."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}

    def read() -> Any:
        from apps.desk.selectors.shell import shell_for

        return shell_for(user=user, path=request.path, wanted_portfolio=chosen_portfolio(request), now=clock.now())

    return {"shell": SimpleLazyObject(read)}
