"""What the last session's result is made of."""

from decimal import Decimal

from apps.core.tables import Column, Table
from apps.risk.domain.pnl_explain import ExplainState, PnlExplain
from apps.risk.selectors.board import RiskBoard


def explain_table(board: RiskBoard) -> Table:
    """Each position's price, trading, income and fees; what currencies did; the residual; and the sum, which is the recorded result."""
    found = board.explained
    rows = [] if found.explain is None else _rows(found.explain)
    money = (("price", "Price"), ("trading", "Trading"), ("income", "Income"), ("fees", "Fees"), ("fx", "Currencies"), ("sum", "Sum"))
    return Table(
        name="pnl-explain",
        title="Profit and loss explained",
        columns=(Column(key="part", label="Part"), *(Column(key=key, label=label, unit="money_signed") for key, label in money)),
        rows=rows,
        empty=f"No closing price of {', '.join(found.missing)}."
        if found.state is ExplainState.PRICE_MISSING
        else f"The value at the close of {found.session} or before it is not recorded.",
        note=f"session of {found.session}; the parts add up to the recorded result",
        facts={}
        if found.explain is None
        else {
            "opened_at": found.opened_at,
            "closed_at": found.closed_at,
            "residual": f"{found.explain.residual:.4f}, which may be {found.explain.bound:.4f}: {found.state}",
        },
    )


def _rows(of: PnlExplain) -> list[tuple[object, ...]]:
    """Symbols, then what belongs to none, the residual and the result."""
    nothing = Decimal(0)
    parts = of.by_symbol.values()
    named = [sum((getattr(part, name) for part in parts), nothing) for name in ("price", "trading", "income", "fees")]
    whole = (of.price, of.trading, of.income, of.fees)
    cash = [all_of_it - known for all_of_it, known in zip(whole, named, strict=True)]
    return [
        *((symbol, part.price, part.trading, part.income, part.fees, nothing, part.total) for symbol, part in of.by_symbol.items()),
        ("Cash and currencies", *cash, of.fx, sum(cash, of.fx)),
        ("Residual", *[nothing] * 5, of.residual),
        ("Result", *whole, of.fx, of.result),
    ]
