from django.conf import settings
from django.db import models

from apps.core.money import MONEY_DIGITS, MONEY_PLACES, PRICE_DIGITS, PRICE_PLACES
from apps.execution.models.orders import Order


class OrderPreview(models.Model):
    """What somebody was told of an order before it was sent: every check, and what it was expected to cost. Append-only.

    `terms_digest` is that of the intent without its client order id: it finds the preview of an order that was sent under an id of its own.
    """

    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    client_order_id = models.UUIDField()
    intent_digest = models.CharField(max_length=64)
    terms_digest = models.CharField(max_length=64)
    allowed = models.BooleanField()
    estimated_price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True)
    commission = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    content = models.JSONField(help_text="All that was answered: checks with their numbers, cost, cash and position after")
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["portfolio", "terms_digest", "-id"], name="preview_of_terms")]

    def __str__(self) -> str:
        return f"preview {self.pk} of {self.client_order_id}"


class OrderApproval(models.Model):
    """A second person's word on one exact order that is worth more than may be sent alone. Append-only, one for each order."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="approval")
    intent_digest = models.CharField(max_length=64)
    approved = models.BooleanField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=200)
    decided_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        permissions = [("approve_order", "Can approve orders of others that are worth more than may be sent alone")]
        constraints = [models.CheckConstraint(condition=~models.Q(reason=""), name="approval_reason")]

    def __str__(self) -> str:
        return f"{'approval' if self.approved else 'refusal'} of order {self.order_id}"
