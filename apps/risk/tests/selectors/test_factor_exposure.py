"""Today's positions and the stored factors."""

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from apps.marketdata.domain import calendars
from apps.marketdata.services.reference import columns_plan, series_import
from apps.marketdata.tests.factories import InstrumentFactory, store_closes
from apps.risk.selectors.factor_exposure import factor_exposure

pytestmark = pytest.mark.django_db

SESSIONS = calendars.sessions("XNYS", date(2019, 12, 31), date(2023, 12, 29))
ENDS = [n for n, day in enumerate(SESSIONS) if n + 1 == len(SESSIONS) or SESSIONS[n + 1].month != day.month]
BETAS = {"TILTED": (1.5, 0.5, -0.25), "HEDGE": (1.0, 0.0, 0.0)}
VALUES = {"TILTED": 60_000.0, "HEDGE": -30_000.0, "FRESH": 10_000.0}


@pytest.fixture
def risk() -> SimpleNamespace:
    """What the exposure is computed from: two positions with four years of closes, one without any."""
    InstrumentFactory(symbol="FRESH")
    return SimpleNamespace(values=VALUES, as_of=datetime(2023, 12, 29, 21, tzinfo=UTC))


def store(folder: Path) -> None:
    """Four years of factors, and closes that are made of them to the last digit."""
    factors = np.random.default_rng(20_261_126).normal(0.005, 0.03, (len(ENDS) - 1, 3))
    rows = [f"{SESSIONS[at]},{','.join(repr(float(one)) for one in row)},0.001" for at, row in zip(ENDS[1:], factors, strict=True)]
    path = folder / "factors.csv"
    path.write_text("\n".join(["date,mkt_rf,smb,hml,rf", *rows]))
    plan = columns_plan(path, prefix="ff.", unit="fraction per month", frequency="D", source="made", licence="none")
    series_import(file=path, plan=plan, recorded_at=datetime(2024, 1, 2, tzinfo=UTC))
    for symbol, betas in BETAS.items():
        monthly = np.ones(len(SESSIONS))
        monthly[ENDS[1:]] = 1 + 0.001 + factors @ np.array(betas)
        store_closes({symbol: (100 * np.cumprod(monthly)).tolist()}, start=SESSIONS[0])


def test_it_is_the_sum_of_value_times_beta_and_says_what_it_covers(risk: SimpleNamespace, tmp_path: Path) -> None:
    store(tmp_path)
    found = factor_exposure(risk)  # type: ignore[arg-type]
    expected = {f"ff.{name}": 60_000 * BETAS["TILTED"][n] - 30_000 * BETAS["HEDGE"][n] for n, name in enumerate(("mkt_rf", "smb", "hml"))}
    assert found.money == pytest.approx(expected, abs=1e-6)
    assert (found.coverage, found.unknown) == (pytest.approx(0.9), ("FRESH",))


def test_only_what_had_been_seen_by_the_day_counts(risk: SimpleNamespace, tmp_path: Path) -> None:
    store(tmp_path)
    early = factor_exposure(SimpleNamespace(values=VALUES, as_of=date(2021, 6, 30)))  # type: ignore[arg-type]
    assert (early.money, early.coverage) == ({}, 0.0)


def test_without_stored_factors_nothing_is_covered(risk: SimpleNamespace) -> None:
    found = factor_exposure(risk)  # type: ignore[arg-type]
    assert (found.money, found.coverage, found.unknown) == ({}, 0.0, ("FRESH", "HEDGE", "TILTED"))
