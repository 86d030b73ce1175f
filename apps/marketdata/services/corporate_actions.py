"""Splits and dividends into the desk. What the bars contradict is kept in quarantine, where it moves no price, until a person decides."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import transaction

from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.core.locks import lock_transaction
from apps.core.models import User
from apps.marketdata.domain.action_checks import action_check
from apps.marketdata.domain.vendor import ActionKind, ActionRecord
from apps.marketdata.models import ActionStatus, CorporateAction
from apps.marketdata.selectors.corporate_actions import Action, action_view, latest_actions
from apps.marketdata.selectors.instruments import instruments_get
from apps.marketdata.selectors.surroundings import surroundings
from apps.marketdata.services.storing import bar_source_id

PERMISSION = "marketdata.decide_corporateaction"
PLACES = Decimal("1e-10")
#: Below 10^14, so that a value fits into its column.
LARGEST = Decimal("1e14")
LOCK_TIMEOUT_MS = 60_000

Key = tuple[int, ActionKind, date]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionsReport:
    """What storing actions did: numbers of those that were new, that became a new revision, and that were known with the same value.

    `quarantined` are those among the first two which are not applied, each with its doubt and reason.
    """

    inserted: int
    revised: int
    unchanged: int
    quarantined: tuple[Action, ...]


def actions_store(*, records: Sequence[ActionRecord], source: str, recorded_at: datetime) -> ActionsReport:
    """Store what a vendor says about splits and dividends, in one transaction, all or nothing. Doing it again changes nothing.

    Several dividends of one day add up, repetitions count once. A value that differs from the newest known is a new revision; one that
    somebody withdrew stays withdrawn while the vendor repeats it. Each new value is compared with the bars around its ex-date
    (`domain.action_checks`), and quarantined when they contradict it or when there are none yet.

    Raises NotFound for an unknown symbol, and InvalidInput for a value that is not positive or for two different splits of one day.
    """
    if not source.strip() or len(source) > 100:
        raise InvalidInput("a source has a name of 1 to 100 characters", field="source")
    instruments = instruments_get(record.symbol for record in records)
    given = _by_key(records, {symbol: item.pk for symbol, item in instruments.items()})
    counts = {"inserted": 0, "revised": 0, "unchanged": 0}
    rows = []
    with transaction.atomic():
        ids = [item.pk for item in instruments.values()]
        _lock(ids)
        actions_recheck(instrument_ids=ids, recorded_at=recorded_at)
        known = _known(ids)
        source_id = bar_source_id(source.strip())
        ratios = _ratios(known)
        for key, record in sorted(given.items(), key=_splits_first):
            before = known.get(key)
            if before is not None and (before.value, before.currency) == (record.value, record.currency):
                counts["unchanged"] += 1
                continue
            counts["inserted" if before is None else "revised"] += 1
            rows.append(_judged(_row(key, before, record.value, record.currency, source_id, recorded_at), ratios))
        CorporateAction.objects.bulk_create(rows)
    return ActionsReport(**counts, quarantined=tuple(action_view(row) for row in rows if row.status == ActionStatus.QUARANTINED))


def actions_recheck(*, instrument_ids: Iterable[int], recorded_at: datetime) -> tuple[Action, ...]:
    """Look again at quarantined actions, because bars have come. Returns those that the bars now bear out, which are applied."""
    ids = list(instrument_ids)
    if not CorporateAction.objects.filter(instrument_id__in=ids, status=ActionStatus.QUARANTINED).exists():
        return ()
    rows = []
    with transaction.atomic():
        _lock(ids)
        known = _known(ids)
        ratios = _ratios(known)
        for key, before in sorted(known.items(), key=_splits_first):
            if before.status == ActionStatus.QUARANTINED:
                row = _judged(_row(key, before, before.value, before.currency, before.source_id, recorded_at), ratios)
                if row.doubt != before.doubt:
                    rows.append(row)
        CorporateAction.objects.bulk_create(rows)
    return tuple(action_view(row) for row in rows if row.status == ActionStatus.APPLIED)


def action_release(*, action_id: int, reason: str, user: User, recorded_at: datetime) -> Action:
    """Apply a quarantined action although the bars do not bear it out, because a person knows why.

    Raises NotPermitted without the permission, NotFound, InvalidInput without a reason, and Conflict when the action is not in
    quarantine or a newer revision exists.
    """
    return _decide(action_id, ActionStatus.APPLIED, (ActionStatus.QUARANTINED,), reason, user, recorded_at)


def action_withdraw(*, action_id: int, reason: str, user: User, recorded_at: datetime) -> Action:
    """Take an action out of all prices: it never happened, or is no split or dividend. Raises as `action_release` does."""
    return _decide(action_id, ActionStatus.WITHDRAWN, (ActionStatus.QUARANTINED, ActionStatus.APPLIED), reason, user, recorded_at)


def _decide(action_id: int, status: ActionStatus, expected: Sequence[ActionStatus], reason: str, user: User, recorded_at: datetime) -> Action:
    if not user.has_perm(PERMISSION):
        raise NotPermitted("only operators decide about corporate actions")
    if not reason.strip() or len(reason) > 500:
        raise InvalidInput("a decision has a reason of 1 to 500 characters", field="reason")
    with transaction.atomic():
        asked = CorporateAction.objects.filter(pk=action_id).first()
        if asked is None:
            raise NotFound(f"there is no corporate action {action_id}", field="action")
        _lock([asked.instrument_id])
        key = (asked.instrument_id, ActionKind(asked.kind), asked.ex_date)
        before = _known([asked.instrument_id])[key]
        if before.pk != asked.pk:
            raise Conflict(f"revision {asked.revision} is not the newest of {asked}", field="action")
        if before.status not in expected:
            raise Conflict(f"{asked} is {before.status}", field="action")
        row = _row(key, before, before.value, before.currency, before.source_id, recorded_at)
        row.status, row.reason, row.decided_by = status, reason.strip(), user
        row.save(force_insert=True)
    return action_view(row)


def _by_key(records: Sequence[ActionRecord], ids: dict[str, int]) -> dict[Key, ActionRecord]:
    """One record per action, its value as the database keeps it."""
    found: dict[Key, dict[Decimal, ActionRecord]] = {}
    for record in records:
        if not (record.value.is_finite() and PLACES / 2 < record.value < LARGEST):
            raise InvalidInput(f"{record.symbol} {record.ex_date}: a {record.kind} of {record.value}", field="value")
        if len(record.currency) != 3:
            raise InvalidInput(f"{record.symbol} {record.ex_date}: {record.currency!r} is no currency", field="currency")
        value = record.value.quantize(PLACES)
        found.setdefault((ids[record.symbol], record.kind, record.ex_date), {})[value] = record
    return {key: _one(values) for key, values in found.items()}


def _one(values: dict[Decimal, ActionRecord]) -> ActionRecord:
    first = next(iter(values.values()))
    if len(values) > 1 and first.kind is ActionKind.SPLIT:
        said = " and ".join(f"{value.normalize():f}" for value in values)
        raise InvalidInput(f"{first.symbol} {first.ex_date}: splits of {said} on the same day", field="value")
    if len({record.currency for record in values.values()}) > 1:
        raise InvalidInput(f"{first.symbol} {first.ex_date}: dividends in several currencies", field="currency")
    return ActionRecord(symbol=first.symbol, kind=first.kind, ex_date=first.ex_date, value=sum(values, Decimal(0)), currency=first.currency)


def _lock(instrument_ids: Iterable[int]) -> None:
    lock_transaction(*(f"marketdata.actions:{pk}" for pk in instrument_ids), timeout_ms=LOCK_TIMEOUT_MS)


def _known(instrument_ids: Iterable[int]) -> dict[Key, CorporateAction]:
    return {(row.instrument_id, ActionKind(row.kind), row.ex_date): row for row in latest_actions(instrument_ids=list(instrument_ids))}


def _splits_first(item: tuple[Key, object]) -> tuple[bool, Key]:
    """A dividend is compared with the price after a split of the same day, so that is looked at before."""
    return item[0][1] is not ActionKind.SPLIT, item[0]


def _ratios(known: dict[Key, CorporateAction]) -> dict[tuple[int, date], Decimal]:
    return {(pk, day): row.value for (pk, kind, day), row in known.items() if kind is ActionKind.SPLIT and row.status == ActionStatus.APPLIED}


def _row(key: Key, before: CorporateAction | None, value: Decimal, currency: str, source_id: int, recorded_at: datetime) -> CorporateAction:
    pk, kind, ex_date = key
    return CorporateAction(
        instrument_id=pk,
        kind=kind.value,
        ex_date=ex_date,
        revision=0 if before is None else before.revision + 1,
        value=value,
        currency=currency,
        source_id=source_id,
        recorded_at=recorded_at,
    )


def _judged(row: CorporateAction, ratios: dict[tuple[int, date], Decimal]) -> CorporateAction:
    """The row with its status by the bars; an applied split is added to `ratios`."""
    key = (row.instrument_id, row.ex_date)
    kind = ActionKind(row.kind)
    ratio = Decimal(1) if kind is ActionKind.SPLIT else ratios.get(key, Decimal(1))
    finding = action_check(kind, row.value, surroundings(*key), ratio=ratio)
    row.status = ActionStatus.APPLIED if finding.doubt is None else ActionStatus.QUARANTINED
    row.doubt = finding.doubt or ""
    row.reason = finding.text
    if kind is ActionKind.SPLIT and row.status == ActionStatus.APPLIED:
        ratios[key] = row.value
    return row
