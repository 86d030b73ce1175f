"""A vendor of ticks for the benchmark, as a process of its own: Coinbase Exchange's format on loopback, at a given rate.

    python -m benchmarks.vendor SYMBOLS RATE SECONDS OUT

Prints its port, waits for a subscription to all symbols, sends, and writes what it sent to OUT (NumPy): number of the symbol, and the
time of each tick (seconds, the machine's clock), taken just before it is sent. Half quotes, half trades.
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime

import numpy as np
from websockets.asyncio.server import ServerConnection, serve

BURSTS_PER_SECOND = 200
WARM_UP_SECONDS = 3.0


def symbol(number: int) -> str:
    return f"LIVE{number:03d}"


def message(number: int, sent: int, at: float) -> str:
    head = {"product_id": symbol(number), "time": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")}
    price = 100 + sent % 1000 / 100
    if sent % 2:
        return json.dumps({"type": "match", "trade_id": sent, "price": f"{price}", "size": "1.5", "side": "buy", **head})
    sides = {"best_bid": f"{price}", "best_bid_size": "100", "best_ask": f"{price + 0.01:.2f}", "best_ask_size": "200"}
    return json.dumps({"type": "ticker", "price": f"{price}", **sides, **head})


async def run(symbols: int, rate: int, seconds: float, out: str) -> None:
    ended = asyncio.Event()
    burst = rate // BURSTS_PER_SECOND

    async def serve_client(client: ServerConnection) -> None:
        await client.recv()
        sent: list[tuple[int, float]] = []
        order = np.random.default_rng(7).integers(0, symbols, int(rate * (seconds + WARM_UP_SECONDS)) + burst)
        begun = time.monotonic()
        for step in range(int((seconds + WARM_UP_SECONDS) * BURSTS_PER_SECOND)):
            await asyncio.sleep(max(0.0, begun + step / BURSTS_PER_SECOND - time.monotonic()))
            for _ in range(burst):
                number, at = int(order[len(sent)]), time.time()
                await client.send(message(number, len(sent), at))
                sent.append((number, at))
        np.save(out, np.array(sent))
        await asyncio.sleep(1.0)
        ended.set()

    async with serve(serve_client, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
