"""A set that can say for certain that something is not in it: so that looking for duplicates costs no more as more events are kept."""

import numpy as np
from numpy.typing import NDArray

_MIX = np.uint64(0x9E37_79B9_7F4A_7C15)
_SIX_BITS = [np.uint64(shift) for shift in (0, 6, 12, 18, 24)]

Hashes = NDArray[np.uint64]


class Places:
    """Where 64-bit hashes, shape (n,), stand in every filter of so many words.

    In two words each, with five bits in each, for the sake of the processor's cache; after Putze, Sanders and Singler (2007).
    """

    def __init__(self, hashes: Hashes, words: int) -> None:
        self.count = len(hashes)
        self.pairs = [_place(hashes, words), _place((hashes ^ (hashes >> np.uint64(29))) * _MIX, words)]


class BloomFilter:
    """Bloom, Communications of the ACM 13(7), 1970. Filled to its capacity, with 32 bits an item, it takes twenty of a million for known that never were added."""

    def __init__(self, capacity: int, bits_an_item: int = 32) -> None:
        self.capacity = capacity
        self.count = 0
        self.words = np.zeros(words(capacity, bits_an_item), np.uint64)

    @property
    def full(self) -> bool:
        """Whether it was given as much as it was made for: it goes on working, but takes more and more for known."""
        return self.count >= self.capacity

    def add(self, places: Places) -> None:
        """Add these; one that is added again counts again."""
        for word, bits in places.pairs:
            np.bitwise_or.at(self.words, word, bits)
        self.count += places.count

    def among(self, places: Places) -> NDArray[np.intp]:
        """The rows of those that may have been added; the others certainly were not."""
        (word, bits), (other, more) = places.pairs
        rows = np.flatnonzero((self.words[word] & bits) == bits)
        return np.asarray(rows[(self.words[other[rows]] & more[rows]) == more[rows]], np.intp)


def words(capacity: int, bits_an_item: int) -> int:
    """How many words a filter has."""
    return capacity * bits_an_item // 64 + 1


def _place(hashes: Hashes, size: int) -> tuple[Hashes, Hashes]:
    bits = np.zeros(len(hashes), np.uint64)
    for shift in _SIX_BITS:
        bits |= np.uint64(1) << ((hashes >> shift) & np.uint64(63))
    return ((hashes >> np.uint64(32)) * np.uint64(size)) >> np.uint64(32), bits
