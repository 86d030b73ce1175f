"""How a live engine is: one document, in a file for monitors of the host, and in the database for the endpoint and the page."""

import json
import logging
import os
import socket
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.core.documents import plain
from apps.execution.domain.engine_config import engine_config_load
from apps.execution.domain.protection import drawdown
from apps.execution.models import EngineState, TradingEngine
from apps.execution.selectors.engines import engine_status
from apps.execution.services.engine_view import EngineView, engine_view, position_row

logger = logging.getLogger(__name__)


def health_path(engine_id: int) -> Path:
    """Where the host's monitors find it."""
    return Path(settings.VAR) / "engines" / f"engine-{engine_id}.json"


def health_write(engine: TradingEngine, *, token: int, at: datetime) -> Path | None:
    """Say how the engine is, that it lives, and who runs it. Nothing is said by a process that no longer runs it; None when the file
    could not be written."""
    state = EngineState.objects.get(engine=engine)
    state.heartbeat_at = at
    document = plain(health_document(engine, state, at))
    if not EngineState.objects.filter(engine=engine, token=token).update(heartbeat_at=at, health=document):
        return None
    return _written(health_path(engine.pk), document)


def health_leave(engine_id: int, *, at: datetime) -> Path | None:
    """Say how an engine is that this process no longer runs: the file's last word of it, unless a process of this host goes on with it."""
    engine = TradingEngine.objects.get(pk=engine_id)
    state = EngineState.objects.get(engine=engine)
    if state.holder.startswith(f"{socket.gethostname()}:"):
        return None
    document = plain(health_document(engine, state, at))
    EngineState.objects.filter(engine=engine, token=state.token, holder="").update(health=document)
    return _written(health_path(engine_id), document)


def health_document(engine: TradingEngine, state: EngineState, at: datetime) -> dict[str, Any]:
    """Positions with the keys of seed 003, the portfolio's value and result, stops, breaker, and when it last looked."""
    config = engine_config_load(engine.configuration)
    view = engine_view(portfolio_id=engine.portfolio_id, book_id=engine.book_id, symbols=tuple(engine.symbols), stops=config.stop_loss, at=at)
    newest = max((price.market_time for price in view.prices.values()), default=None)
    return {
        "engine": engine.pk,
        "strategy": engine.strategy,
        "symbols": engine.symbols,
        "portfolio": engine.portfolio_id,
        "mode": engine.mode,
        "status": engine_status(engine, state, at),
        "timestamp": at,
        "holder": state.holder,
        "pid": os.getpid(),
        "token": state.token,
        "cycles": state.cycles,
        "last_cycle_at": state.last_cycle_at,
        "last_bar": state.last_bar,
        "market_time": view.market.market_time,
        "market_open": view.market.is_open,
        "next_change": view.market.next_change,
        "last_price_at": newest,
        "enable_trading": config.enable_trading,
        "circuit_breaker": {"active": state.tripped, "reason": state.trip_reason, "since": state.tripped_at},
        "failure": state.failure,
        **_money(view, state),
    }


def _money(view: EngineView, state: EngineState) -> dict[str, Any]:
    look = view.look
    return {
        "positions": [position_row(position) for position in look.positions],
        "equity": look.equity,
        "day_return": look.day_return,
        "peak": state.peak,
        "drawdown": drawdown(state.peak, look.equity),
        "working_orders": len(view.working),
        "missing_prices": view.valuation.missing,
    }


def _written(path: Path, document: dict[str, Any]) -> Path | None:
    """Whole or not at all: a monitor never reads half a file."""
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(document, indent=1))
        fresh.replace(path)
    except OSError as error:
        logger.warning("the health file %s could not be written: %s", path, error)
        return None
    return path
