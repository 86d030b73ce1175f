from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from apps.core.domain.chain import GENESIS, Entry, canonical_json, chain, entry_digest, entry_event, link_hash
from apps.core.errors import InvalidInput

EVENTS = [
    {
        "action": "ORDER_NEW",
        "actor": "u:alice",
        "data": {"qty": "100", "side": "B", "sym": "AAPL"},
        "object": "order:O-1",
        "seq": 1,
        "ts": "2026-11-20T14:30:00.000000Z",
    },
    {
        "action": "ORDER_APPROVE",
        "actor": "u:bob",
        "data": {"decision": "approve"},
        "object": "order:O-1",
        "seq": 2,
        "ts": "2026-11-20T14:30:01.250000Z",
    },
]
HASHES = [
    "7c14506600d031c47068322bd85b55e1da0a72e20ca9e9721d5a6367649bcaf7",
    "580897b7f65b25e47f3d4499b693ea00c96a8521fe35647cd4c8416c1f26aa30",
]


def make_entry(**changes: object) -> Entry:
    values = {
        "id": 7,
        "transaction": 900,
        "recorded_at": datetime(2026, 11, 20, 14, 30, tzinfo=UTC),
        "table_name": "core_user",
        "operation": "update",
        "row_id": "3",
        "actor": "user:alice",
        "request_id": "r",
        "old": '{"a": 1.50}',
        "new": None,
        "digest": "d" * 64,
    }
    return Entry(**{**values, **changes})


class TestCanonicalJson:
    def test_keys_are_sorted_at_every_depth_without_white_space(self) -> None:
        assert canonical_json({"b": [{"z": 1, "a": None}], "a": True}) == '{"a":true,"b":[{"a":null,"z":1}]}'

    def test_text_is_utf8_unescaped(self) -> None:
        assert canonical_json("zoë 😀") == '"zoë 😀"'

    def test_decimals_are_strings_and_times_are_utc_with_six_digits(self) -> None:
        at = datetime(2026, 11, 20, 9, 30, tzinfo=timezone(timedelta(hours=-5)))
        assert canonical_json([Decimal("1.50"), at]) == '["1.50","2026-11-20T14:30:00.000000Z"]'

    @pytest.mark.parametrize("value", [1.5, {"a": [0.1]}, Decimal("NaN"), object()])
    def test_what_has_no_exact_form_is_refused(self, value: object) -> None:
        with pytest.raises(InvalidInput):
            canonical_json(value)


class TestChain:
    def test_it_agrees_with_the_published_vector(self) -> None:
        assert chain(EVENTS) == HASHES

    def test_one_changed_byte_changes_its_hash_and_all_after_it(self) -> None:
        changed = [{**EVENTS[0], "actor": "u:alicf"}, EVENTS[1]]
        assert all(now != before for now, before in zip(chain(changed), HASHES, strict=True))

    def test_it_begins_with_sixty_four_zeros(self) -> None:
        assert link_hash(GENESIS, EVENTS[0]) == HASHES[0]
        assert chain([]) == []


class TestEntryDigest:
    @pytest.mark.parametrize(
        "changes",
        [
            {"id": 8},
            {"transaction": 901},
            {"recorded_at": datetime(2026, 11, 20, 14, 30, 0, 1, tzinfo=UTC)},
            {"table_name": "core_use"},
            {"row_id": ""},
            {"actor": "user:alicer", "request_id": ""},
            {"old": None, "new": '{"a": 1.50}'},
            {"old": '{"a": 1.5}'},
            {"new": "null"},
        ],
    )
    def test_every_column_counts(self, changes: dict[str, object]) -> None:
        assert entry_digest(make_entry(**changes)) != entry_digest(make_entry())

    def test_it_can_be_asked_for_another_id(self) -> None:
        assert entry_digest(make_entry(), entry_id=8) == entry_digest(make_entry(id=8))

    def test_an_event_carries_fractions_as_strings(self) -> None:
        event = entry_event(make_entry(), 1)
        assert event["data"] == {"new": None, "old": {"a": "1.50"}}
        assert (event["object"], event["seq"], event["ts"]) == ("core_user:3", 1, "2026-11-20T14:30:00.000000Z")
