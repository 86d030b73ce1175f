from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.portfolios.models.portfolios import Portfolio


class BorrowRate(models.Model):
    """What lending an instrument costs a short seller, as a fraction a year, from a session on. Append-only: another rate is another row.

    Without a portfolio it holds for all that have none of their own; without any row the rate is 0.
    """

    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+", db_index=False)
    portfolio = models.ForeignKey(Portfolio, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    annual_rate = models.DecimalField(max_digits=9, decimal_places=6, help_text="A fraction a year: 0.03 is 3 %")
    from_session = models.DateField(help_text="The first session at whose close it holds")
    reason = models.CharField(max_length=200, help_text="Whose rate it is")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(annual_rate__gte=0), name="borrow_rate_not_negative"),
            models.CheckConstraint(condition=~Q(reason=""), name="borrow_rate_reason"),
        ]
        indexes = [models.Index(fields=["instrument", "-from_session", "-id"], name="borrow_rate_newest")]

    def __str__(self) -> str:
        return f"{self.annual_rate} a year for {self.instrument} from {self.from_session}"
