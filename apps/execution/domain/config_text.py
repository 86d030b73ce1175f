"""A configuration's text as flat keys ("stop_loss.position_stop_pct"), each with where it stands, for messages that say so."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apps.core.errors import InvalidInput

DEEPEST = 3
#: How like a known name another one is (1 is equal) when it can only be that one, misspelt.
NEAR = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value as it was written: `where` is its line, `name` what people call its key."""

    value: Any
    where: str
    name: str


def yaml_values(text: str) -> dict[str, Given]:
    """The values of a YAML document that is a mapping of scalars, lists of scalars and mappings.

    Raises InvalidInput with the line for what is no such document, and for a key that stands there twice.
    """
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise InvalidInput(f"{line}{getattr(error, 'problem', None) or error}", field="config", line=mark.line + 1 if mark else None) from error
    if root is None:
        return {}
    found: dict[str, Given] = {}
    loader = yaml.SafeLoader("")
    for key, node in _walk(root, ""):
        line = node.start_mark.line + 1
        if key in found:
            raise InvalidInput(f"line {line}: {key} stands there twice", field=key, line=line)
        found[key] = Given(value=loader.construct_object(node, deep=True), where=f"line {line}", name=key)
    return found


def env_values(environment: Mapping[str, str], keys: Mapping[str, str], prefixes: tuple[str, ...]) -> dict[str, Given]:
    """The variables that `keys` knows by the key that each sets. Empty is not given.

    One with a prefix that nearly is a known one keeps its own name, so that it is refused; the rest of the environment belongs to others.
    """
    found = {}
    for name, value in sorted(environment.items()):
        misspelt = name.startswith(prefixes) and difflib.get_close_matches(name, keys, 1, NEAR)
        if value.strip() and (name in keys or misspelt):
            found[keys.get(name, name)] = Given(value=value, where="", name=name)
    return found


def _walk(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    import yaml

    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        if not prefix or (isinstance(node, yaml.SequenceNode) and not all(isinstance(one, yaml.ScalarNode) for one in node.value)):
            name = prefix.rstrip(".")
            raise InvalidInput(f"line {line}: {name or 'the file'} is no mapping of keys to values", field=name or "config")
        yield prefix.rstrip("."), node
        return
    if prefix.count(".") >= DEEPEST:
        raise InvalidInput(f"line {line}: {prefix.rstrip('.')} is nested too deeply", field=prefix.rstrip("."))
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise InvalidInput(f"line {key.start_mark.line + 1}: a key is no text", field=prefix.rstrip(".") or "config")
        yield from _walk(value, f"{prefix}{key.value}.")
