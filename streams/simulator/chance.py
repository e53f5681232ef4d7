"""Random numbers by name: each use has a stream of its own, so that changing one leaves the others as they were.

Columns of a day come from ``draws``; what belongs to a person on every day, such as a card's issuer, comes from ``luck``, a hash of the key.
"""

import zlib

import numpy as np
import polars as pl
import pyarrow as pa


def draws(seed: int, use: str, *numbers: int) -> np.random.Generator:
    """The generator for one use (and day, round, ...) of a scenario's seed."""
    return np.random.default_rng([seed, zlib.crc32(use.encode()), *numbers])


def hashed(keys: np.ndarray, seed: int, use: str) -> np.ndarray:
    """64 well-mixed bits for each key (uint64) by the finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    with np.errstate(over="ignore"):
        salt = _mixed(np.asarray([zlib.crc32(use.encode())], np.uint64) + np.uint64(seed % 2**64))
        return _mixed(keys ^ salt)


def luck(keys: np.ndarray, seed: int, use: str) -> np.ndarray:
    """A uniform number in [0, 1) for each key."""
    return (hashed(keys, seed, use) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uuids(rng: np.random.Generator, count: int) -> pl.Series:
    """``count`` UUIDs of version 8 (RFC 9562: layout by the maker) as text."""
    return _uuid_text(np.frombuffer(rng.bytes(16 * count), np.uint8).reshape(count, 16).copy())


def uuids_of(keys: np.ndarray, seed: int, use: str) -> pl.Series:
    """A UUID of version 8 for each key (uint64) as text."""
    halves = np.stack([hashed(keys, seed, f"{use} {half}") for half in ("high", "low")], axis=1)
    return _uuid_text(halves.astype(">u8").view(np.uint8).reshape(len(keys), 16))


def pick(uniform: np.ndarray, weights: list[float]) -> np.ndarray:
    """Indexes of choices with the given weights, one for each uniform number in [0, 1)."""
    return np.minimum(np.searchsorted(np.cumsum(weights) / np.sum(weights), uniform, side="right"), len(weights) - 1)


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_HIGH = np.array([place for place in range(36) if place not in {8, 13, 18, 23}])[::2]


def _mixed(bits: np.ndarray) -> np.ndarray:
    bits = bits + _GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)))


def _uuid_text(raw: np.ndarray) -> pl.Series:
    raw[:, 6] = raw[:, 6] & 0x0F | 0x80
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    text = np.full((len(raw), 36), ord("-"), np.uint8)
    text[:, _HIGH] = _DIGITS[raw >> 4]
    text[:, _HIGH + 1] = _DIGITS[raw & 15]
    offsets = np.arange(len(raw) + 1, dtype=np.int64) * 36
    array = pa.LargeStringArray.from_buffers(len(raw), pa.py_buffer(offsets), pa.py_buffer(text))
    return pl.Series(pl.from_arrow(array))
