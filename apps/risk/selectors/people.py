"""Who is told when risk speaks."""

from apps.core.errors import NotFound
from apps.core.models import User
from apps.core.roles import Role
from apps.portfolios.selectors.portfolios import portfolio_members


def risk_people() -> set[int]:
    """Active users with the role risk."""
    return set(User.objects.filter(is_active=True, groups__name=Role.RISK.value).values_list("id", flat=True))


def everybody_concerned(portfolio_id: int | None) -> set[int]:
    """Members of the portfolio and the risk managers; for the whole desk (None) every active user."""
    if portfolio_id is None:
        return set(User.objects.filter(is_active=True).values_list("id", flat=True))
    return risk_people() | set(portfolio_members(portfolio_id))


def user_by_name(username: str, *, field: str) -> User:
    """For commands. Raises NotFound, naming the option."""
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NotFound(f"no user {username!r}", field=field)
    return user
