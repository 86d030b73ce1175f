from django.conf import settings
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from apps.core.money import MONEY_DIGITS, MONEY_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.core.trading import Side, TradingMode
from apps.execution.domain.cycles import CycleStep, Purpose, Trigger


class TradingEngine(models.Model):
    """A strategy that trades in a book of its own. What it is and whether people want it to run; where it stands says EngineState."""

    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    book = models.ForeignKey("portfolios.Book", on_delete=models.PROTECT, related_name="+")
    strategy = models.CharField(max_length=100)
    symbols = models.JSONField(help_text="What it trades")
    parameters = models.JSONField(default=dict, help_text="The strategy's")
    configuration = models.JSONField(default=dict, help_text="Stops, limits and sizer; no secrets")
    config_digest = models.CharField(max_length=64, help_text="Of all that it may do: an approval for live trading holds for this alone")
    mode = models.CharField(max_length=5, choices=[(mode.value, mode.name.title()) for mode in TradingMode])
    wanted = models.BooleanField(default=False, help_text="People want it to run: whichever host is free runs it")
    runs_as = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", help_text="Whose orders they are")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    history = HistoricalRecords()

    class Meta:
        permissions = [
            ("control_engine", "Can start and stop live engines"),
            ("reset_breaker", "Can reset the circuit breaker of a live engine"),
            ("approve_live", "Can approve an engine for live trading, as the second person"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "strategy"], name="engine_once"),
            models.CheckConstraint(condition=Q(mode__in=[mode.value for mode in TradingMode]), name="engine_mode"),
        ]

    def __str__(self) -> str:
        return f"{self.strategy} in {self.portfolio}"


class EngineState(models.Model):
    """Where an engine stands: who runs it, what its stops remember, how it is. It changes every second, so it is no journalled fact.

    `token` is the fencing token: it grows with each take-over, stop and revocation, and what is written under an older one is refused.
    """

    engine = models.OneToOneField(TradingEngine, primary_key=True, on_delete=models.PROTECT, related_name="state")
    token = models.BigIntegerField(default=0)
    holder = models.CharField(max_length=200, blank=True, help_text="Host and process that runs it; empty when nobody does")
    heartbeat_at = models.DateTimeField(null=True)
    cycles = models.BigIntegerField(default=0, help_text="Looks so far, of which those that did something are kept")
    last_cycle_at = models.DateTimeField(null=True)
    last_bar = models.DateTimeField(null=True)
    marks = models.JSONField(default=dict, help_text="Highest price of each position as a multiple of its average cost")
    peak = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, null=True, help_text="Highest value of the portfolio")
    flows = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default=0, help_text="Net deposits that the peak counts in")
    tripped = models.BooleanField(default=False, help_text="The circuit breaker is open: no signals until a person resets it")
    trip_reason = models.CharField(max_length=500, blank=True)
    tripped_at = models.DateTimeField(null=True)
    waiting = models.JSONField(default=dict, help_text="What was said last of a symbol (buy, sell) and still waits for an order or a lasting refusal")
    failure = models.CharField(max_length=500, blank=True, help_text="Why the strategy could not say anything about the last bar")
    health = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(tripped=True, tripped_at__isnull=False) | Q(tripped=False, tripped_at__isnull=True), name="engine_tripped_at"
            )
        ]

    def __str__(self) -> str:
        return f"state of {self.engine}"


class EngineEventKind(models.TextChoices):
    CONFIGURED = "configured"
    STARTED = "started"
    STOPPED = "stopped"
    TAKEN = "taken"
    RELEASED = "released"
    TRIPPED = "tripped"
    FAILED = "failed"
    RESET = "reset"
    LIVE_REQUESTED = "live_requested"
    LIVE_APPROVED = "live_approved"
    LIVE_REVOKED = "live_revoked"


class EngineEvent(models.Model):
    """A fact about an engine: who started, stopped or reset it, which host took it, why its breaker tripped. Append-only."""

    engine = models.ForeignKey(TradingEngine, on_delete=models.PROTECT, related_name="events")
    kind = models.CharField(max_length=14, choices=EngineEventKind.choices)
    reason = models.CharField(max_length=500, blank=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", help_text="Empty: the engine itself")
    token = models.BigIntegerField()
    data = models.JSONField(default=dict)
    recorded_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["engine", "-id"], name="engine_event_engine")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.engine}"


class EngineCycle(models.Model):
    """A look of an engine at the market which did something. Append-only; its steps say what, and the database lets only the holder of
    the current token add one. One cycle per bar, so that no bar is acted upon twice."""

    engine = models.ForeignKey(TradingEngine, on_delete=models.PROTECT, related_name="kept_cycles")
    number = models.BigIntegerField(help_text="From 1, without gaps")
    token = models.BigIntegerField()
    trigger = models.CharField(max_length=5, choices=[(x.value, x.name.title()) for x in Trigger])
    bar_ts = models.DateTimeField(null=True, help_text="Start of the bar that it acted upon")
    market_time = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["engine", "number"], name="engine_cycle_once"),
            models.UniqueConstraint(fields=["engine", "bar_ts"], name="engine_cycle_once_per_bar"),
            models.CheckConstraint(
                condition=Q(trigger=Trigger.BAR.value, bar_ts__isnull=False) | Q(trigger=Trigger.PRICE.value, bar_ts__isnull=True),
                name="engine_cycle_bar",
            ),
        ]

    def __str__(self) -> str:
        return f"cycle {self.number} of {self.engine}"


class EngineStep(models.Model):
    """One of the eleven steps of a cycle, with its inputs and what came of it. Append-only. A cycle without its eleventh was cut short:
    whoever runs the engine next finishes it, under a token of its own."""

    cycle = models.ForeignKey(EngineCycle, on_delete=models.PROTECT, related_name="steps")
    number = models.PositiveSmallIntegerField(choices=[(step.value, step.label) for step in CycleStep])
    token = models.BigIntegerField()
    outcome = models.CharField(max_length=500)
    data = models.JSONField(default=dict)
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["cycle", "number"], name="engine_step_once"),
            models.CheckConstraint(condition=Q(number__gte=1, number__lte=11), name="engine_step_number"),
        ]

    def __str__(self) -> str:
        return f"step {self.number} of {self.cycle}"


class EngineDecision(models.Model):
    """An order that an engine has decided on, committed before it is sent. Append-only. Its client order id is the order's: however often
    and by whomever it is sent, there is one order. `attempt` counts the decisions upon one signal: another follows only where the one
    before it came to nothing."""

    cycle = models.ForeignKey(EngineCycle, on_delete=models.PROTECT, related_name="decisions")
    engine = models.ForeignKey(TradingEngine, on_delete=models.PROTECT, related_name="decisions")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    purpose = models.CharField(max_length=14, choices=[(x.value, x.name.replace("_", " ").title()) for x in Purpose])
    side = models.CharField(max_length=4, choices=[(x.value, x.name) for x in Side])
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES)
    client_order_id = models.UUIDField(unique=True)
    bar_ts = models.DateTimeField(null=True)
    attempt = models.PositiveSmallIntegerField(default=1)
    reason = models.CharField(max_length=500)
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["engine", "instrument", "bar_ts", "attempt"], name="engine_decision_once_per_bar"),
            models.UniqueConstraint(fields=["cycle", "instrument"], name="engine_decision_once_per_cycle"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="engine_decision_quantity"),
            models.CheckConstraint(
                condition=Q(purpose=Purpose.SIGNAL.value, bar_ts__isnull=False)
                | (~Q(purpose=Purpose.SIGNAL.value) & Q(bar_ts__isnull=True, side=Side.SELL.value)),
                name="engine_decision_purpose",
            ),
        ]
        indexes = [models.Index(fields=["engine", "instrument", "-id"], name="engine_decision_newest")]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.instrument} ({self.purpose})"


class LiveApproval(models.Model):
    """One person asks that an engine trades live, as it is configured now; another one approves. Holds for that configuration alone, until
    somebody takes it back."""

    engine = models.ForeignKey(TradingEngine, on_delete=models.PROTECT, related_name="approvals")
    config_digest = models.CharField(max_length=64)
    reason = models.CharField(max_length=500)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="Until then it may be approved")
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("requested_by")), name="live_approval_by_two"),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True, approved_at__isnull=True)
                | Q(approved_by__isnull=False, approved_at__isnull=False, approved_at__lt=F("expires_at")),
                name="live_approval_in_time",
            ),
            models.CheckConstraint(
                condition=Q(revoked_by__isnull=True, revoked_at__isnull=True) | Q(revoked_by__isnull=False, revoked_at__isnull=False),
                name="live_approval_revoked",
            ),
            models.UniqueConstraint(fields=["engine"], condition=Q(revoked_at__isnull=True), name="live_approval_one_open"),
        ]

    def __str__(self) -> str:
        return f"live trading of {self.engine}"
