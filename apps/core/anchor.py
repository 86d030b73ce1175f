"""The anchor: heads of the journal's chain in a file outside the database, one JSON line per seal.

Whoever can rewrite the database can recompute the chain; he cannot recompute what has been copied to a second host.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings

from apps.core.domain.chain import GENESIS, timestamp
from apps.core.domain.verification import Anchor
from apps.core.errors import IntegrityBroken


def anchor_directory() -> Path:
    """Where this installation writes its anchors."""
    return Path(settings.JOURNAL_ANCHOR_DIR)


def other_anchors(chain_id: UUID | None) -> list[str]:
    """Names of the chains, besides this one, that have an anchor here."""
    return sorted(path.stem for path in anchor_directory().glob("*.jsonl") if path.stem != str(chain_id))


class AnchorFile:
    """The anchors of one chain, oldest first."""

    def __init__(self, chain_id: UUID) -> None:
        self.chain_id = chain_id
        self.path = anchor_directory() / f"{chain_id}.jsonl"

    def exists(self) -> bool:
        """True once the chain has begun."""
        return self.path.exists()

    def begin(self, *, at: datetime) -> None:
        """Write the first line, before anything is sealed: from then on a missing file is a lost file."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.append(Anchor(seq=0, hash=GENESIS, at=at))
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def lines(self) -> Iterator[Anchor]:
        """All anchors. Raises IntegrityBroken for a line that is none of ours; a last line cut off by a crash is left out."""
        with self.path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith("\n"):
                    yield self._parse(line, number)

    def last(self) -> Anchor | None:
        """The newest anchor, without reading the rest of the file."""
        with self.path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            complete = file.read().rpartition(b"\n")[0]
        return self._parse(complete.rpartition(b"\n")[2].decode(), 0) if complete else None

    def append(self, anchor: Anchor) -> None:
        """Write an anchor and wait until the disk has it. One that is no newer than the last is left out: another sealer was quicker."""
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._drop_torn_line(file.fileno())
            last = self.last()
            if last is not None and last.seq >= anchor.seq:
                return
            text = json.dumps({"chain": str(self.chain_id), "seq": anchor.seq, "hash": anchor.hash, "at": timestamp(anchor.at)})
            file.write(text.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _drop_torn_line(self, descriptor: int) -> None:
        """Cut off what a crash left half-written: nobody was told that it is there."""
        size = os.fstat(descriptor).st_size
        with self.path.open("rb") as file:
            start = max(0, size - 4096)
            file.seek(start)
            tail = file.read()
        if tail and not tail.endswith(b"\n"):
            os.ftruncate(descriptor, start + tail.rfind(b"\n") + 1)

    def _parse(self, line: str, number: int) -> Anchor:
        try:
            found = json.loads(line)
            if found["chain"] != str(self.chain_id):
                raise ValueError(f"it is of chain {found['chain']}")
            return Anchor(seq=int(found["seq"]), hash=str(found["hash"]), at=datetime.fromisoformat(found["at"]))
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityBroken(f"{self.path}, line {number or 'last'}: no anchor of this chain ({error})") from error
