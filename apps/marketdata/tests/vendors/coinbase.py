"""Coinbase Exchange: candles newest first, numbers as text in the stream."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from websockets.sync.server import ServerConnection

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import BarTick, QuoteTick, Tick, TradeTick
from apps.marketdata.tests.vendors.server import Answer, Request, VendorServer

MOST = 300


class CoinbaseServer(VendorServer):
    name = "coinbase"
    symbol = "BTC-USD"
    data_variables = ("COINBASE_DATA_URL",)
    stream_variables = ("COINBASE_STREAM_URL",)

    def respond(self, request: Request) -> Answer:
        _, _, symbol, what = request.path.split("/")
        if not self.market.knows(symbol) or what != "candles":
            return Answer(status=404, body={"message": "NotFound"})
        start, end = (datetime.fromisoformat(request.query[name]) for name in ("start", "end"))
        seconds = int(request.query["granularity"])
        if (end - start).total_seconds() / seconds > MOST:
            return Answer(
                status=400, body={"message": "granularity too small for the requested time range. Count of aggregations requested exceeds 300"}
            )
        rows = self.rows(symbol, Timeframe(seconds // 60), lambda row: start <= row.ts <= end)
        candles = [[int(row.ts.timestamp()), row.low, row.high, row.open, row.close, row.volume] for row in rows]
        return Answer(body=candles[::-1])

    def greet(self, connection: ServerConnection) -> bool:
        asked = json.loads(connection.recv())
        if asked["type"] != "subscribe" or not set(asked["channels"]) <= {"ticker", "matches", "heartbeat"}:
            connection.send(json.dumps({"type": "error", "message": "Failed to subscribe", "reason": f"{asked} is not valid"}))
            return False
        if unknown := [item for item in asked["product_ids"] if not self.market.knows(item)]:
            connection.send(json.dumps({"type": "error", "message": "Failed to subscribe", "reason": f"{unknown[0]} is not a valid product"}))
            return False
        channels = [{"name": name, "product_ids": asked["product_ids"]} for name in asked["channels"]]
        connection.send(json.dumps({"type": "subscriptions", "channels": channels}))
        return True

    def frames(self, ticks: Sequence[Tick | BarTick]) -> list[str | bytes]:
        return [json.dumps(_message(tick)) for tick in ticks]


def _message(tick: Tick | BarTick) -> dict[str, Any]:
    at = tick.ts.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(tick, QuoteTick):
        sides = {"best_bid": tick.bid, "best_bid_size": tick.bid_size, "best_ask": tick.ask, "best_ask_size": tick.ask_size}
        texts = {name: f"{value}" for name, value in sides.items()}
        traded = {"price": f"{tick.ask}", "last_size": "0.01", "open_24h": "11000", "volume_24h": "9000.1", "side": "buy", "trade_id": 1}
        return {"type": "ticker", "sequence": 37475248783, "product_id": tick.symbol, "time": at, **texts, **traded}
    assert isinstance(tick, TradeTick)
    ids = {
        "trade_id": int(tick.trade_id),
        "maker_order_id": "ac928c66-ca53-498f-9c13-a110027a60e8",
        "taker_order_id": "132fb6ae-456b-4654-b4e0-d681ac05cea1",
    }
    return {
        "type": "match",
        **ids,
        "sequence": 50,
        "time": at,
        "product_id": tick.symbol,
        "size": f"{tick.size}",
        "price": f"{tick.price}",
        "side": "sell",
    }
