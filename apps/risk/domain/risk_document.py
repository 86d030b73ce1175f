"""A portfolio's risk as commands, REST and files show it: rows instead of arrays, and no history of profit and loss."""

from dataclasses import asdict
from typing import Any

from apps.risk.domain.contributions import Contributions
from apps.risk.domain.portfolio_risk import PortfolioRisk


def risk_document(risk: PortfolioRisk) -> dict[str, Any]:
    """Everything that was found, by the names of `PortfolioRisk`. Contributions are a list of one object for each confidence."""
    found = {
        "state": risk.state,
        "as_of": risk.as_of,
        "fingerprint": risk.fingerprint,
        "window": risk.window,
        "n": risk.n,
        "equity": risk.equity,
        "missing": risk.missing,
        "stale": risk.stale,
        "without_history": risk.without_history,
        "shortest_history": risk.shortest and {"symbol": risk.shortest[0], "n": risk.shortest[1]},
        "var": [asdict(number) for number in risk.var],
        "es": [asdict(number) for number in risk.es],
        "simulation_error": [asdict(number) for number in risk.simulation_error],
        "contributions": [_contributions(parts) for parts in risk.contributions.values()],
        "volatility": [asdict(number) for number in risk.volatility],
        "beta": asdict(risk.beta),
        "exposure": asdict(risk.exposure),
        "concentration": {
            "hhi": risk.concentration.hhi,
            "effective": risk.concentration.effective,
            "largest": [{"symbol": symbol, "share": share} for symbol, share in risk.concentration.largest],
            "top": [{"positions": count, "share": share} for count, share in risk.concentration.top.items()],
        },
        "liquidity": {
            "participation": risk.liquidity.participation,
            "days": [{"symbol": symbol, "days": days} for symbol, days in sorted(risk.liquidity.days.items(), key=lambda item: (-item[1], item[0]))],
            "within": [{"sessions": at, "share": share} for at, share in risk.liquidity.within.items()],
            "unknown": risk.liquidity.unknown,
        },
        "drawdown": risk.drawdown and asdict(risk.drawdown),
        "correlation": None,
    }
    if risk.correlation is not None:
        names = ("symbols", "clusters", "repaired", "left_out")
        found["correlation"] = {name: getattr(risk.correlation, name) for name in names} | {"matrix": risk.correlation.matrix.tolist()}
    return found


def _contributions(parts: Contributions) -> dict[str, Any]:
    names = ("values", "marginal", "component", "standalone", "incremental", "shortfall")
    columns = zip(parts.symbols, *(getattr(parts, name).tolist() for name in names), strict=True)
    rows = [dict(zip(("symbol", "value", *names[1:]), row, strict=True)) for row in columns]
    return {
        "confidence": parts.confidence,
        "total": parts.total,
        "diversification": parts.diversification,
        "shortfall_total": parts.shortfall_total,
        "positions": sorted(rows, key=lambda row: (-row["component"], row["symbol"])),
    }
