"""A vendor of ticks for the benchmark, as a process of its own: Coinbase Exchange's format on loopback, at a given rate.

    python -m benchmarks.vendor SYMBOLS RATE SECONDS OUT [JUMPS]

Prints its port, waits for a subscription to all symbols, sends, and writes what it sent to OUT (NumPy): number of the symbol, and the
time of each tick (seconds, the machine's clock), taken just before it is sent. Half quotes, half trades. The frames are made before
the first is sent, so that the vendor, which a real desk has elsewhere, takes next to nothing of the machine.

With JUMPS, the first so many symbols trade once each, at `JUMP_PRICE`, evenly in the measured time; the other symbols share the rest.
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode

BURSTS_PER_SECOND = 200
WARM_UP_SECONDS = 3.0
JUMP_PRICE = 130.0


def symbol(number: int) -> str:
    return f"LIVE{number:03d}"


def frame(number: int, sent: int, at: float, *, jumps: int = 0) -> bytes:
    head = {"product_id": symbol(number), "time": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")}
    price = JUMP_PRICE if number < jumps else 100 + sent % 1000 / 100
    if sent % 2:
        message = {"type": "match", "trade_id": sent, "price": f"{price}", "size": "1.5", "side": "buy", **head}
    else:
        sides = {"best_bid": f"{price}", "best_bid_size": "100", "best_ask": f"{price + 0.01:.2f}", "best_ask_size": "200"}
        message = {"type": "ticker", "price": f"{price}", **sides, **head}
    return Frame(Opcode.TEXT, json.dumps(message).encode()).serialize(mask=False)


async def run(symbols: int, rate: int, seconds: float, out: str, jumps: int = 0) -> None:
    ended = asyncio.Event()
    burst = rate // BURSTS_PER_SECOND
    steps = int((seconds + WARM_UP_SECONDS) * BURSTS_PER_SECOND)
    order = np.random.default_rng(7).integers(jumps, symbols, (steps, burst))
    # The second tick of a burst is a trade.
    order[(WARM_UP_SECONDS * BURSTS_PER_SECOND + (np.arange(jumps) + 0.5) / max(1, jumps) * seconds * BURSTS_PER_SECOND).astype(int), 1] = np.arange(
        jumps
    )

    async def serve_client(client: ServerConnection) -> None:
        await client.recv()
        begin = time.time() + 1.0  # about what it takes to make the frames
        due = begin + np.arange(steps) / BURSTS_PER_SECOND
        bursts = [b"".join(frame(int(order[step, n]), step * burst + n, due[step], jumps=jumps) for n in range(burst)) for step in range(steps)]
        times = np.empty(steps)
        for step in range(steps):
            await asyncio.sleep(max(0.0, due[step] - time.time()))
            times[step] = time.time()
            client.transport.write(bursts[step])
        np.save(out, np.column_stack([order.ravel(), np.repeat(times, burst)]))
        await asyncio.sleep(1.0)
        ended.set()

    async with serve(serve_client, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], *map(int, sys.argv[5:])))
