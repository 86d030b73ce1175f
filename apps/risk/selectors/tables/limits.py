"""Limits, stops, what was crossed and who halted."""

from typing import Final

from apps.core.tables import Column, Table
from apps.risk.domain.limits import LimitKind
from apps.risk.models import LimitEvent
from apps.risk.selectors.board import RiskBoard
from apps.risk.selectors.state import COMMAND_LINE, state_changes

HISTORY: Final = 50


def limits_table(board: RiskBoard) -> Table:
    """Every limit in force and how far it is used."""
    summary = board.view.summary
    return Table(
        name="limits",
        title="Limits",
        columns=(
            Column(key="kind", label="Limit"),
            Column(key="scope", label="Of"),
            Column(key="subject", label="By"),
            Column(key="unit", data_only=True),
            Column(key="used", label="Used", unit="number", unit_from="unit"),
            Column(key="soft", label="Warns at", unit="number", unit_from="unit"),
            Column(key="hard", label="Limit", unit="number", unit_from="unit"),
            Column(key="utilisation", label="Use", unit="share"),
            Column(key="state", label="State", unit="tag"),
        ),
        rows=[(use.kind, use.scope, use.subject, use.unit, use.used, use.soft, use.hard, use.utilisation, use.state) for use in board.uses],
        empty="Without limits every order is denied. The risk manager sets them.",
        facts={"market_time": summary.market_time, "computed_at": summary.computed_at},
    )


def stops_table(board: RiskBoard) -> Table:
    """Positions below their cost, the nearest to its stop first."""
    stops = board.stops
    known = stops.vix is not None and stops.threshold is not None
    return Table(
        name="stops",
        title="Distance to the stop",
        columns=(
            Column(key="symbol", label="Position"),
            Column(key="drawdown", label="From cost", unit="percent"),
            Column(key="distance", label="Left", unit="percent"),
            Column(key="stop_price", label="Stop price", unit="price"),
            Column(key="state", label="State", unit="tag"),
        ),
        rows=[(one.symbol, one.drawdown, one.distance, one.stop_price, "breach" if one.breached else "ok") for one in stops.positions],
        empty="No long position stands below its average cost."
        if known
        else "The desk has no VIX of the last five days, and nobody is stopped out on a guess.",
        note=f"VIX {stops.vix:.1f}, {stops.regime}: a position may fall {stops.threshold:.0%}" if known else "",
        facts={"vix": stops.vix, "regime": stops.regime, "threshold": stops.threshold},
    )


def crossings_table(board: RiskBoard) -> Table:
    """Levels of limits that were crossed, newest first."""
    events = LimitEvent.objects.filter(portfolio_id=board.portfolio_id).order_by("-id")[:HISTORY]
    return Table(
        name="crossings",
        title="Limits crossed",
        columns=(
            Column(key="kind", label="Limit", unit="wrap"),
            Column(key="part", label="Of", unit="wrap"),
            Column(key="market_time", label="Market time", unit="time"),
            Column(key="level", label="Level"),
            Column(key="change", label="Change", unit="tag"),
            Column(key="unit", data_only=True),
            Column(key="used", label="Used", unit="number", unit_from="unit"),
            Column(key="limit", label="Limit", unit="number", unit_from="unit"),
            Column(key="recorded_at", label="Time (UTC)", unit="time"),
        ),
        rows=[
            (
                LimitKind(event.kind).label,
                event.part,
                event.market_time,
                event.level,
                event.change,
                LimitKind(event.kind).unit,
                event.used,
                event.limit,
                event.recorded_at,
            )
            for event in events
        ],
        empty="No limit of this portfolio was crossed so far.",
        note="newest first",
    )


def halts_table(board: RiskBoard) -> Table:
    """Changes of the portfolio's and of the desk's trading state, newest first."""
    changes = state_changes(board.portfolio_id, limit=HISTORY)
    return Table(
        name="halts",
        title="Trading state",
        columns=(
            Column(key="state", label="State", unit="tag"),
            Column(key="flatten", label="Flatten"),
            Column(key="scope", label="Scope"),
            Column(key="recorded_at", label="Time (UTC)", unit="time"),
            Column(key="reason", label="Reason", unit="wrap"),
            Column(key="changed_by", label="By"),
            Column(key="approved_by", label="Approved by"),
        ),
        rows=[
            (
                change.state,
                "flatten" if change.flatten else "",
                "portfolio" if change.portfolio_id else "desk",
                change.recorded_at,
                change.reason,
                change.changed_by.get_username() if change.changed_by else COMMAND_LINE,
                change.approved_by.get_username() if change.approved_by else "",
            )
            for change in changes
        ],
        empty="Trading was never halted.",
        note="newest first",
    )
