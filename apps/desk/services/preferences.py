"""What a user sets for themselves."""

from typing import TYPE_CHECKING

from apps.core.errors import InvalidInput
from apps.core.models.access import Theme

if TYPE_CHECKING:
    from apps.core.models import User


def theme_set(*, user: "User", theme: str) -> None:
    """Store the theme. Raises InvalidInput for one that does not exist."""
    if theme not in Theme.values:
        raise InvalidInput(f"{theme!r} is not one of {', '.join(Theme.values)}", field="theme")
    user.theme = theme
    user.save(update_fields=["theme"])
