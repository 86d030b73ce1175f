"""The last risk that was written down."""

from apps.risk.models import RiskSnapshot


def latest_snapshot(portfolio_id: int) -> RiskSnapshot | None:
    """The newest snapshot of a portfolio; None before the first."""
    return RiskSnapshot.objects.filter(portfolio_id=portfolio_id).order_by("-ts").first()
