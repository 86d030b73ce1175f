"""Every table of the desk is guarded by the database, or says here why not."""

import pytest
from django.apps import apps
from django.db import connection

#: Tables without triggers, and why. A new model must be journalled, append-only, or named here.
EXEMPT = {
    # core
    "core_jobrun": "progress of work, written several times a second; what the work changed is journalled",
    "core_idempotentrequest": "receipts of requests, purged after a day",
    # time series and projections
    "portfolios_portfoliovalue": "time series that the ledger and the bars can rebuild",
    "portfolios_lot": "projection of the ledger, rebuilt and compared",
    "portfolios_position": "projection of the ledger, rebuilt and compared",
    "portfolios_cashbalance": "projection of the ledger, rebuilt and compared",
    "marketdata_feedstate": "where a feed stands, written with each step",
    "marketdata_feedhealth": "counters of a feed, written every second; what went wrong is append-only in its faults",
    "marketdata_feedspool": "up to where a feed's spool is stored, moved with each batch of ticks",
    "risk_monitorstate": "where the live monitor stands, written every second; what it saw and did is append-only in limit events and states",
    "execution_enginestate": "where a live engine stands, written every second; what it did is append-only in its cycles and events",
    "marketdata_barsource": "names of files and vendors; the bars that refer to them are append-only",
    # Django and libraries
    "auth_permission": "derived from the code",
    "django_content_type": "derived from the code",
    "django_session": "sessions",
    "django_admin_log": "Django's own log; the journal has the change itself",
    "token_blacklist_outstandingtoken": "tokens, until they expire",
    "token_blacklist_blacklistedtoken": "tokens, until they expire",
}
EXEMPT_APPS = {"django_celery_beat": "beat's bookkeeping"}


def tables() -> dict[str, type]:
    return {model._meta.db_table: model for model in apps.get_models(include_auto_created=True) if model._meta.managed and not model._meta.proxy}


@pytest.fixture
def triggers(db: None) -> dict[str, set[str]]:
    """Enabled triggers of each table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select relname, tgname from pg_trigger join pg_class on pg_class.oid = tgrelid where not tgisinternal and tgenabled in ('O', 'A')"
        )
        found: dict[str, set[str]] = {}
        for table, name in cursor.fetchall():
            found.setdefault(table, set()).add(name)
    return found


def guards(table: str, names: set[str]) -> set[str]:
    kinds = {
        "journalled": {f"journal_{table}"},
        "append-only": {f"append_only_rows_{table}", f"append_only_all_{table}"},
        "no truncate": {f"no_truncate_{table}"},
    }
    short = {name[:63] for name in names}
    return {kind for kind, needed in kinds.items() if {name[:63] for name in needed} <= short}


def guarded(table: str, names: set[str]) -> bool:
    found = guards(table, names)
    return "append-only" in found or {"journalled", "no truncate"} <= found


def test_every_table_is_journalled_or_append_only_or_says_why_not(triggers: dict[str, set[str]]) -> None:
    bare = [
        f"{table}: {sorted(guards(table, triggers.get(table, set()))) or 'nothing'}"
        for table, model in tables().items()
        if not guarded(table, triggers.get(table, set())) and table not in EXEMPT and model._meta.app_label not in EXEMPT_APPS
    ]
    assert not bare, f"neither journalled (and safe from TRUNCATE) nor append-only: {bare}"


def test_every_history_is_append_only(triggers: dict[str, set[str]]) -> None:
    histories = [table for table, model in tables().items() if model.__name__.startswith("Historical")]
    assert histories
    assert [table for table in histories if "append-only" not in guards(table, triggers.get(table, set()))] == []


def test_no_exemption_is_stale(triggers: dict[str, set[str]]) -> None:
    known = tables()
    assert set(EXEMPT) <= set(known), set(EXEMPT) - set(known)
    assert set(EXEMPT_APPS) <= {model._meta.app_label for model in known.values()}
    assert [table for table in EXEMPT if guarded(table, triggers.get(table, set()))] == []


def test_the_journal_is_not_journalled_into_itself(triggers: dict[str, set[str]]) -> None:
    own = [table for table in triggers if table.startswith("core_journal")]
    assert len(own) == 4
    assert all("journalled" not in guards(table, triggers[table]) for table in own)
