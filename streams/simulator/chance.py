"""Random numbers by name: each use has a stream of its own, so that changing one leaves the others as they were."""

import zlib

import numpy as np
import polars as pl


def draws(seed: int, use: str, *numbers: int) -> np.random.Generator:
    """The generator for one use (and day, round, ...) of a scenario's seed."""
    return np.random.default_rng([seed, zlib.crc32(use.encode()), *numbers])


def uuids(rng: np.random.Generator, count: int) -> pl.Series:
    """``count`` UUIDs of version 8 (RFC 9562: layout by the maker) as text."""
    raw = np.frombuffer(rng.bytes(16 * count), np.uint8).reshape(count, 16).copy()
    raw[:, 6] = raw[:, 6] & 0x0F | 0x80
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = np.full((count, 36), ord("-"), np.uint8)
    text[:, _HIGH] = digits[raw >> 4]
    text[:, _HIGH + 1] = digits[raw & 15]
    return pl.Series(text.view("S36").ravel().tolist(), dtype=pl.Binary).cast(pl.String)


def pick(uniform: np.ndarray, weights: list[float]) -> np.ndarray:
    """Indexes of choices with the given weights, one for each uniform number in [0, 1)."""
    return np.minimum(np.searchsorted(np.cumsum(weights) / np.sum(weights), uniform, side="right"), len(weights) - 1)


_HIGH = np.array([place for place in range(36) if place not in {8, 13, 18, 23}])[::2]
