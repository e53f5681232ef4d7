"""What decoders pass over in a JSON text: a key that stands twice, and how deep its objects and lists lie in one another. Pure."""

import json
import re
from collections.abc import Collection, Iterable
from itertools import accumulate

SIGNS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:]', re.DOTALL)
"""Texts, which may hold signs that mean nothing, and the signs that nest and that end a key."""

STEPS = {"{": 1, "[": 1, "}": -1, "]": -1}


def signs_of(text: str) -> list[str]:
    """What nests in a JSON text, and its texts, in their order."""
    return SIGNS.findall(text)


def depth(signs: Iterable[str]) -> int:
    """How many objects and lists lie in one another, in what is known to be JSON."""
    return max(accumulate(STEPS.get(sign, 0) for sign in signs), default=0)


def key_twice(signs: Iterable[str], fields: Collection[str] | None = None) -> str | None:
    """A key that stands twice in one object, in what is known to be an object of JSON; of ``fields``, where given, and the outermost object alone."""
    met: list[set[str]] = []
    last = ""
    for sign in signs:
        step = STEPS.get(sign)
        if step == 1:
            met.append(set())
        elif step == -1:
            met.pop()
        elif sign != ":":
            last = sign
        elif fields is None or len(met) == 1:
            key = json.loads(last) if "\\" in last else last[1:-1]
            if key in met[-1] and (fields is None or key in fields):
                return str(key)
            met[-1].add(key)
    return None
