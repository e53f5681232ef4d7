"""A set that can say for certain that something is not in it: so that looking for duplicates costs no more as more events are kept."""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST_WORDS = 2**32
_MIX = np.uint64(0x9E37_79B9_7F4A_7C15)
_SIX_BITS = [np.uint64(shift) for shift in (0, 6, 12, 18, 24)]

Hashes = NDArray[np.uint64]


class BloomFilter:
    """Items are 64-bit hashes, shape (n,). Filled to its capacity, with 32 bits an item, it takes twenty of a million for known that never were added.

    Bloom, Communications of the ACM 13(7), 1970; in two words an item with five bits in each, for the sake of the processor's cache, after Putze, Sanders
    and Singler (2007).
    """

    def __init__(self, capacity: int, bits_an_item: int = 32) -> None:
        self.capacity = capacity
        self.count = 0
        self.writing = threading.Lock()
        self.words = np.zeros(min(capacity * bits_an_item // 64 + 1, MOST_WORDS), np.uint64)

    @property
    def full(self) -> bool:
        """Whether it was given more than it was made for: it goes on working, but takes more and more for known."""
        return self.count > self.capacity

    def add(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Add these, from any thread; says for each whether it may have been there before: False is certain. One that is added again counts again."""
        places = self._places(hashes)
        known = self._set(places)
        self._write(places)
        return known

    def fill(self, hashes: Hashes) -> None:
        """Add these without a look, from any thread."""
        self._write(self._places(hashes))

    def _write(self, places: Sequence[tuple[Hashes, Hashes]]) -> None:
        with self.writing:
            for word, bits in places:
                np.bitwise_or.at(self.words, word, bits)
            self.count += len(places[0][0])

    def may_have(self, hashes: Hashes) -> NDArray[np.bool_]:
        """For each: False where it was certainly never added."""
        return self._set(self._places(hashes))

    def _set(self, places: Sequence[tuple[Hashes, Hashes]]) -> NDArray[np.bool_]:
        (word, bits), (other, more) = places
        return np.asarray(((self.words[word] & bits) == bits) & ((self.words[other] & more) == more), np.bool_)

    def _places(self, hashes: Hashes) -> list[tuple[Hashes, Hashes]]:
        return [self._place(hashes), self._place((hashes ^ (hashes >> np.uint64(29))) * _MIX)]

    def _place(self, hashes: Hashes) -> tuple[Hashes, Hashes]:
        bits = np.zeros(len(hashes), np.uint64)
        for shift in _SIX_BITS:
            bits |= np.uint64(1) << ((hashes >> shift) & np.uint64(63))
        return ((hashes >> np.uint64(32)) * np.uint64(len(self.words))) >> np.uint64(32), bits
