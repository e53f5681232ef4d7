"""Ids are any text; a key is the UUID that the text is, or one made from its hash. 16 bytes, so that they are compared and kept as numbers. Pure."""

import hashlib
import re
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

TEXT, DASHES = 36, (8, 13, 18, 23)
"""Characters of a UUID as RFC 9562 writes it, and where it has dashes."""

_DIGITS = re.compile("[0-9a-fA-F]{32}")
_NO_DIGITS = 256


def key_of(text: str) -> bytes:
    """The key of one id. As DuckDB reads UUIDs, dashes may stand anywhere, and braces around it; other texts have the beginning of their SHA-256."""
    if len(text) == TEXT:
        digits = (text[1:-1] if text[0] + text[-1] == "{}" else text).replace("-", "")
        if _DIGITS.fullmatch(digits):
            return bytes.fromhex(digits)
    return hashlib.sha256(text.encode()).digest()[:16]


def keys_of(ids: pl.Series) -> pl.Series:
    """The key of each id of a column of String, as Binary; null where there is none. UUIDs, which most ids are, all at once."""
    held: Any = ids.to_arrow(compat_level=pl.CompatLevel.oldest())
    there = _present(ids)
    ends = np.frombuffer(held.buffers()[1], np.int64, len(ids) + 1, held.offset * 8)
    lengths = np.diff(ends)
    usual = lengths == TEXT
    text = np.frombuffer(held.buffers()[2] or b"", np.uint8)[ends[0] : ends[-1]]
    letters = text.reshape(-1, TEXT) if usual.sum() * TEXT == len(text) else text[np.repeat(usual, lengths)].reshape(-1, TEXT)
    keys = np.zeros((len(ids), 16), np.uint8)
    known = usual.copy()
    keys[usual], known[usual] = _digits(letters)
    odd = there & ~known
    if odd.any():
        keys[odd] = np.frombuffer(b"".join(map(key_of, ids.filter(pl.Series(odd)))), np.uint8).reshape(-1, 16)
    return _binary(ids.name, keys, there)


def placed(ids: pl.Series, keys: NDArray[np.uint8]) -> pl.Series:
    """These keys, shape (n, 16), where the n ids that are none of them null stand, as Binary under the column's name."""
    there = _present(ids)
    every = np.zeros((len(ids), 16), np.uint8)
    every[there] = keys
    return _binary(ids.name, every, there)


def _present(column: pl.Series) -> NDArray[np.bool_]:
    """Which rows of a column are no null."""
    return column.is_not_null().to_numpy() if column.null_count() else np.ones(len(column), np.bool_)


def _digits(letters: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The bytes that texts of 36 bytes each, shape (n, 36), stand for, shape (n, 16), and for which of them they do."""
    whole = (letters[:, DASHES] == ord("-")).all(axis=1)
    groups = [letters[:, low:high] for low, high in ((0, 8), (9, 13), (14, 18), (19, 23), (24, 36))]
    pairs = PAIRS.take(np.concatenate(groups, axis=1).view("<u2"))
    if (pairs >= _NO_DIGITS).any():
        whole &= (pairs < _NO_DIGITS).all(axis=1)
    return pairs.astype(np.uint8), whole


def _binary(name: str, keys: NDArray[np.uint8], there: NDArray[np.bool_]) -> pl.Series:
    # By way of Arrow: an expression of Polars would wait for another thread, and where the machine is busy, for a processor.
    valid = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
    return pl.Series(name, pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(keys), [valid, pa.py_buffer(keys)]))


def _pairs() -> NDArray[np.uint16]:
    """What two characters, the first in the lower byte, stand for as hexadecimal digits."""
    values = np.full(2**16, _NO_DIGITS, np.uint16)
    digits = {ord(digit): int(digit, 16) for digit in "0123456789abcdefABCDEF"}
    for first, high in digits.items():
        for second, low in digits.items():
            values[first | second << 8] = high << 4 | low
    return values


PAIRS = _pairs()
