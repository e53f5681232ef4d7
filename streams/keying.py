"""What is kept in the place of ids: keys of 16 bytes, and those of buyers so that nobody can tell whose they are. Pure."""

import hashlib
from collections.abc import Callable

import polars as pl

from warehouse.keys import keys_of

Hide = Callable[[str], bytes]


def hider(key: bytes) -> Hide:
    """A function from a user id to the first 128 bits of its HMAC-SHA-256 (RFC 2104).

    The two hashes that the key begins are made once and copied: half the time of ``hmac.digest``, which a test holds it against.
    """
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))

    def hide(user: str) -> bytes:
        first, second = inner.copy(), outer.copy()
        first.update(user.encode())
        second.update(first.digest())
        return second.digest()[:16]

    return hide


def keyed(frame: pl.DataFrame, hide: Hide) -> pl.DataFrame:
    """The records of a chunk with keys for ids, and what ``hide`` makes of buyers; each distinct buyer once. Commands keep their ids."""
    made = [keys_of(frame[name]) for name in ("event_id", "purchase_id", "reverses") if name in frame.columns]
    if "user_id" in frame.columns:
        users = frame["user_id"].to_list()
        hidden = {user: hide(user) for user in set(users) if user is not None}
        made.append(pl.Series("user_id", map(hidden.get, users), dtype=pl.Binary))
    return frame.with_columns(made)
