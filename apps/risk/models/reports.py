from django.db import models
from django.db.models import Q


class RiskReport(models.Model):
    """A fact: the daily report of a portfolio as it was made, in one form. Append-only; the database holds `sha256` to be that of `content`.

    `market_time` is when its numbers were computed, by the market's clock.
    """

    class Form(models.TextChoices):
        HTML = "html", "HTML"
        PDF = "pdf", "PDF"

    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    session = models.DateField()
    form = models.CharField(max_length=4, choices=Form.choices)
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    market_time = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "session", "form"], name="risk_report_once"),
            models.CheckConstraint(condition=Q(form__in=["html", "pdf"]), name="risk_report_form"),
        ]

    def __str__(self) -> str:
        return f"{self.form} of {self.portfolio} on {self.session}"
