from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand, ExitCode
from apps.core.documents import plain
from apps.core.errors import InvalidInput
from apps.portfolios.selectors.portfolios import portfolio_by_name
from apps.risk.domain.portfolio_risk import PortfolioRisk, RiskNumber
from apps.risk.domain.risk_document import risk_document
from apps.risk.selectors.portfolio_risk import portfolio_risk_at, portfolio_risk_now


class Command(DeskCommand):
    help = """The whole risk of a portfolio: value at risk and expected shortfall by every method, whose risk it is, and what it stands on.

    manage.py risk_report Alpha
    manage.py risk_report Alpha --as-of 2026-11-13 --json

    Without --as-of, what is held now at the latest prices. With it, what was held at that session's close, at its closes.
    Ends with 0 when every number has a value, and with 3 when some have none (a price is missing, too little history); they say why.
    """

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("portfolio", metavar="PORTFOLIO", help="name or id")
        parser.add_argument("--as-of", metavar="DATE", help="a session, YYYY-MM-DD")

    def run(self, **options: Any) -> CommandResult:
        portfolio = portfolio_by_name(options["portfolio"])
        session = _day(options["as_of"])
        if session is None:
            risk = portfolio_risk_now(portfolio_id=portfolio.pk, now=clock.now())
        else:
            risk = portfolio_risk_at(portfolio_id=portfolio.pk, session=session)
        data = {"portfolio": portfolio.name, "currency": portfolio.base_currency, **plain(risk_document(risk))}
        code = ExitCode.OK if risk.state.has_value else ExitCode.PARTIAL
        return CommandResult(data=data, text=_text(portfolio.name, portfolio.base_currency, risk), exit_code=code)


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date: write it as 2026-11-13", field="as-of") from error


def _text(name: str, currency: str, risk: PortfolioRisk) -> str:
    equity = "unknown" if risk.equity is None else f"{risk.equity:,.2f} {currency}"
    lines = [f"{name}, equity {equity}, as of {risk.as_of:%Y-%m-%d %H:%M}", f"{_state(risk)}; {risk.n} of {risk.window} sessions", ""]
    lines.append(f"{'method':<22}{'confidence':>11}{'sessions':>9}{f'VaR {currency}':>18}{f'ES {currency}':>18}  note")
    for var, es in zip(risk.var, risk.es, strict=True):
        lines.append(f"{var.method:<22}{var.confidence or 0:>11.0%}{var.horizon:>9}{_money(var):>18}{_money(es):>18}  {var.note}")
    lines += [
        "",
        *(f"volatility, {one.method}: {_share(one)}" for one in risk.volatility),
        f"beta: {'-' if risk.beta.value is None else f'{risk.beta.value:.3f}'}",
    ]
    if parts := risk.contributions.get(0.99):
        lines += ["", f"{'position':<12}{f'value {currency}':>18}{'standalone':>16}{'component':>16}{'incremental':>16}   (normal, 99 %)"]
        for at in parts.component.argsort()[::-1].tolist():
            numbers = (parts.standalone[at], parts.component[at], parts.incremental[at])
            lines.append(f"{parts.symbols[at]:<12}{parts.values[at]:>18,.2f}" + "".join(f"{number:>16,.2f}" for number in numbers))
        lines.append(f"total {parts.total:,.2f}, diversification {parts.diversification:,.2f}")
    return "\n".join(lines)


def _state(risk: PortfolioRisk) -> str:
    named = {"no price": risk.missing, "old price": risk.stale, "no history": risk.without_history}
    return "; ".join([risk.state.value.replace("_", " "), *(f"{what}: {', '.join(symbols)}" for what, symbols in named.items() if symbols)])


def _money(number: RiskNumber) -> str:
    return "-" if number.value is None else f"{number.value:,.2f}"


def _share(number: RiskNumber) -> str:
    return "-" if number.value is None else f"{number.value:.2%} a year {number.note}".rstrip()
