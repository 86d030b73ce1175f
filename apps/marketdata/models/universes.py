from django.db import models
from django.db.models import F, Q


class NamedUniverse(models.Model):
    """A named set of instruments whose members are dated: an index, or a list that somebody keeps."""

    name = models.CharField(max_length=50, unique=True)
    price_tier = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Tier of the price bands that its members belong to (1: the large indices); empty: says nothing of it"
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(price_tier__isnull=True) | Q(price_tier__in=[1, 2]), name="universe_price_tier")]

    def __str__(self) -> str:
        return self.name


class UniverseMember(models.Model):
    """An instrument was a member from `added_on` (empty: always) until before `removed_on` (empty: it still is)."""

    universe = models.ForeignKey(NamedUniverse, on_delete=models.PROTECT, related_name="members")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    added_on = models.DateField(null=True, blank=True)
    removed_on = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(added_on__isnull=True) | Q(removed_on__isnull=True) | Q(removed_on__gt=F("added_on")), name="universe_member_range"
            ),
            models.UniqueConstraint(fields=["universe", "instrument", "added_on"], nulls_distinct=False, name="universe_member_once"),
            models.UniqueConstraint(fields=["universe", "instrument"], condition=Q(removed_on__isnull=True), name="universe_member_one_open"),
        ]

    def __str__(self) -> str:
        return f"{self.instrument} in {self.universe}"
