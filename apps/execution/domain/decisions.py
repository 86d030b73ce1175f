"""What a trading engine does about a signal: the rule of the event engine, in words that live trading and the dry run share.

Long only. BUY opens a position where there is none, SELL closes it and withdraws a buy that still waits; everything else orders nothing.
"""

from uuid import UUID, uuid5

#: Names the orders of engines: the same signal gives the same client order id on every host, for ever.
ENGINE_ORDERS = UUID("5b3f6f0a-6a55-5c0e-8d64-3f7c1f0d9a10")


def ordered_quantity(*, signal: int, held: float, leaves: float, affordable: float) -> float | None:
    """The signed quantity to order, None for nothing. `signal` is +1, -1 or 0; `leaves` is the signed quantity that still waits.

    `affordable` is what a new position may have, in shares. Zero means that the engine decided, but there is nothing to trade.
    """
    if signal > 0 and held == 0.0 and leaves == 0.0:
        return affordable
    if signal < 0 and leaves >= 0.0 and (held > 0.0 or leaves > 0.0):
        return -held
    return None


def engine_order_id(*, strategy: str, book_id: int, symbol: str, bar: str, attempt: int = 1) -> UUID:
    """The client order id of what a strategy orders in its book about one symbol after one bar (its start, ISO 8601), at an attempt."""
    tried = "" if attempt == 1 else f"|{attempt}"
    return uuid5(ENGINE_ORDERS, f"{strategy}|{book_id}|{symbol}|{bar}{tried}")
