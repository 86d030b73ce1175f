"""What a process keeps of what it has read or computed: bounded, for all its threads, what was used least recently goes first."""

import threading
import time as wall
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar
from weakref import WeakSet

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
_all: "WeakSet[Kept[Any, Any]]" = WeakSet()


class Kept(Generic[Key, Value]):
    """At most `most` values by key, none of them for longer than `seconds` after it was put (for ever without). Values are shared: nobody
    changes them. Whether one still holds says whoever asks."""

    def __init__(self, *, most: int, seconds: float = float("inf")) -> None:
        self._most, self._seconds = most, seconds
        self._lock = threading.Lock()
        self._values: OrderedDict[Key, tuple[float, Value]] = OrderedDict()
        _all.add(self)

    def get(self, key: Key) -> Value | None:
        """The value, None when it is not there any more."""
        with self._lock:
            found = self._values.get(key)
            if found is None or wall.monotonic() - found[0] > self._seconds:
                return None
            self._values.move_to_end(key)
            return found[1]

    def put(self, key: Key, value: Value) -> None:
        """Keep the value in place of an earlier one."""
        with self._lock:
            self._values[key] = wall.monotonic(), value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()

    def __len__(self) -> int:
        return len(self._values)


class Remembered(Generic[Value]):
    """A function of objects that nobody changes, which answers for the very same ones what it has answered before; for most of them, and no
    equal ones: to compare a thousand numbers would cost as much as to add them up."""

    def __init__(self, work: Callable[..., Value], *, most: int = 64) -> None:
        self._work = work
        self._kept: Kept[tuple[int, ...], tuple[tuple[object, ...], Value]] = Kept(most=most)

    def __call__(self, *objects: object) -> Value:
        key = tuple(map(id, objects))
        found = self._kept.get(key)
        if found is None:
            # The objects are kept with the answer: as long as it stands no other object can have their ids.
            found = objects, self._work(*objects)
            self._kept.put(key, found)
        return found[1]

    def clear(self) -> None:
        """Forget every answer."""
        self._kept.clear()


def forget_everything() -> None:
    """Clear all that the process keeps: what comes next belongs to another database."""
    for kept in tuple(_all):
        kept.clear()
