"""How feeds split the symbols."""

from hypothesis import given
from hypothesis import strategies as st

from apps.marketdata.domain.sharding import fair_share, shard_of, symbols_of, to_release, to_take

SYMBOLS = [f"SYM{n}" for n in range(500)]


def test_a_shard_is_the_same_for_ever() -> None:
    assert [shard_of(symbol, 16) for symbol in ("AAPL", "IBM", "BTC-USD")] == [4, 14, 4]


def test_every_symbol_belongs_to_one_shard_and_the_shards_are_about_equal() -> None:
    parts = [symbols_of(SYMBOLS, [shard], 16) for shard in range(16)]
    assert sorted(symbol for part in parts for symbol in part) == sorted(SYMBOLS)
    assert max(map(len, parts)) < 2 * len(SYMBOLS) / 16


@given(st.integers(1, 64), st.integers(1, 20), st.randoms(use_true_random=False))
def test_feeds_that_act_one_after_the_other_come_to_hold_every_shard_once(shards: int, feeds: int, chance: object) -> None:
    held: list[set[int]] = [set() for _ in range(feeds)]
    held[0] = set(range(shards))  # one feed had them all, then the others came
    share = fair_share(shards, feeds)
    for _ in range(2):
        for mine in held:
            mine -= set(to_release(mine, share))
        for mine in held:
            busy = set().union(*held)
            for shard in to_take(mine, share, shards, first=chance.randrange(shards)):  # type: ignore[attr-defined]
                if len(mine) < share and shard not in busy:
                    mine.add(shard)
    assert sorted(shard for mine in held for shard in mine) == list(range(shards))
    assert max(map(len, held)) <= share
