"""What every page needs around its own content."""

from typing import Any

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return the variables of the frame around every page."""
    return {}
