"""How several feeds split the symbols: stable shards by hash, and a fair share for each feed."""

import hashlib
from collections.abc import Iterable


def shard_of(symbol: str, shards: int) -> int:
    """The shard of a symbol, 0 to shards - 1: the same on every host and for ever."""
    return int.from_bytes(hashlib.blake2b(symbol.encode(), digest_size=8).digest()) % shards


def symbols_of(symbols: Iterable[str], owned: Iterable[int], shards: int) -> tuple[str, ...]:
    """The symbols that belong to the owned shards, in their order."""
    mine = set(owned)
    return tuple(symbol for symbol in symbols if shard_of(symbol, shards) in mine)


def fair_share(shards: int, members: int) -> int:
    """The most shards that a feed may hold when `members` feeds run: together they can hold all."""
    return -(-shards // max(1, members))


def to_release(held: Iterable[int], share: int) -> list[int]:
    """Shards that a feed gives up to come down to its share: the highest numbers, so that the feeds agree on who keeps what."""
    return sorted(held)[share:]


def to_take(held: Iterable[int], share: int, shards: int, *, first: int) -> list[int]:
    """Shards to try, in order, until the share is reached. `first` tells feeds apart, so that they do not all try the same ones."""
    mine = set(held)
    return [shard for n in range(shards) if (shard := (first + n) % shards) not in mine] if len(mine) < share else []
