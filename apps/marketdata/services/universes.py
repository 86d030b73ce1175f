"""Universes into the desk: files of dated membership."""

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from django.db import transaction

from apps.core.errors import InvalidInput
from apps.marketdata.models import NamedUniverse, UniverseMember
from apps.marketdata.selectors.instruments import instruments_known

NEEDED = ("symbol", "date_added")


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseReport:
    """What a file did to a universe; `unknown` are symbols that no instrument has, which are left out."""

    name: str
    added: int
    changed: int
    unchanged: int
    unknown: tuple[str, ...]


def universe_import(*, name: str, file: Path, price_tier: int | None = None) -> UniverseReport:
    """Store the membership of a CSV file: symbol, date_added, and date_removed where a member left. Doing it again changes nothing.

    Members that the file does not name stay. `price_tier` (1 or 2) says to which tier of the price bands members belong; None leaves it.
    Raises InvalidInput, naming file and line, for what cannot be read, before anything is stored.
    """
    if not name.strip() or len(name) > 50:
        raise InvalidInput("a universe has a name of 1 to 50 characters", field="name")
    if price_tier not in (None, 1, 2):
        raise InvalidInput(f"there is no tier {price_tier} of the price bands: 1 or 2", field="price_tier")
    rows = _rows(file)
    known = instruments_known({symbol for symbol, _, _ in rows})
    counts = {"added": 0, "changed": 0, "unchanged": 0}
    with transaction.atomic():
        universe, _ = NamedUniverse.objects.get_or_create(name=name.strip())
        if price_tier is not None and universe.price_tier != price_tier:
            universe.price_tier = price_tier
            universe.save(update_fields=["price_tier"])
        for symbol, added_on, removed_on in rows:
            if symbol not in known:
                continue
            member, made = UniverseMember.objects.get_or_create(
                universe=universe, instrument=known[symbol], added_on=added_on, defaults={"removed_on": removed_on}
            )
            counts["added" if made else "unchanged" if member.removed_on == removed_on else "changed"] += 1
            if member.removed_on != removed_on:
                member.removed_on = removed_on
                member.save(update_fields=["removed_on"])
    return UniverseReport(name=universe.name, unknown=tuple(sorted({symbol for symbol, _, _ in rows} - set(known))), **counts)


def _rows(file: Path) -> list[tuple[str, date | None, date | None]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            if missing := [title for title in NEEDED if title not in (reader.fieldnames or ())]:
                raise InvalidInput(f"{file}: no column {', '.join(missing)} among {', '.join(reader.fieldnames or ()) or 'nothing'}", field="file")
            return [_row(file, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}", field="file") from error


def _row(file: Path, line: int, row: dict[str, str]) -> tuple[str, date | None, date | None]:
    symbol = (row["symbol"] or "").strip()
    if not symbol:
        raise InvalidInput(f"{file}:{line}: there is no symbol", field="file")
    days = []
    for title in ("date_added", "date_removed"):
        text = (row.get(title) or "").strip()
        try:
            days.append(date.fromisoformat(text) if text else None)
        except ValueError as error:
            raise InvalidInput(f"{file}:{line}: {title} {text!r} is no date like 2012-01-03", field="file") from error
    added_on, removed_on = days
    if added_on and removed_on and removed_on <= added_on:
        raise InvalidInput(f"{file}:{line}: {symbol} is removed on {removed_on}, not after it was added on {added_on}", field="file")
    return symbol, added_on, removed_on
