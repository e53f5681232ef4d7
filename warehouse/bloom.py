"""A set that can say for certain that something is not in it: so that looking for duplicates costs no more as more events are kept."""

import mmap
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_MIX = np.uint64(0x9E37_79B9_7F4A_7C15)
_WORDS, _BITS_IN_A_WORD = 4, 4
_PATTERNS = 2**16

Hashes = NDArray[np.uint64]
Words = NDArray[np.intp]


class Places:
    """Where 64-bit hashes, shape (n,), stand in every filter of so many words.

    In four words each, with four bits in each, for the sake of the processor's cache; after Putze, Sanders and Singler (2007). With two words of five bits a filter
    took twenty of a million for known, and each cost a search of all events that the filter is of.
    """

    def __init__(self, hashes: Hashes, words: int) -> None:
        self.count = len(hashes)
        self.pairs: list[tuple[Words, Hashes]] = []
        for _ in range(_WORDS):
            self.pairs.append(_place(hashes, words))
            hashes = (hashes ^ (hashes >> np.uint64(29))) * _MIX


class BloomFilter:
    """Bloom, Communications of the ACM 13(7), 1970. Filled to its capacity, with 32 bits an item, it takes one or two of a million for known that never were added."""

    def __init__(self, capacity: int, bits_an_item: int = 32) -> None:
        self.capacity = capacity
        self.count = 0
        self.words = np.zeros(words(capacity, bits_an_item), np.uint64)
        self.mapped: mmap.mmap | None = None

    @property
    def full(self) -> bool:
        """Whether it was given as much as it was made for: it goes on working, but takes more and more for known."""
        return self.count >= self.capacity

    def add(self, places: Places) -> None:
        """Add these; one that is added again counts again."""
        for word, bits in places.pairs:
            self._set(word, bits)
        self.count += places.count

    def _set(self, word: Words, bits: Hashes) -> None:
        # Of several that go into one word at once only the last one's bits get there. ``bitwise_or.at`` would take three times as long, for all of them.
        while len(word):
            self.words[word] |= bits
            lost = (self.words[word] & bits) != bits
            word, bits = word[lost], bits[lost]

    def move(self, folder: Path) -> None:
        """Keep the words in a file without a name in ``folder``, which goes with the process: nothing more can be added, and only the system's cache grows.

        Raises:
            OSError: there is no room, or no descriptor left; the words stay in memory.
        """
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(self.words.data)
            file.flush()
            self.mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.words = np.frombuffer(self.mapped, np.uint64)

    def among(self, places: Places) -> NDArray[np.intp]:
        """The rows of those that may have been added; the others certainly were not."""
        rows = self._among(places)
        if self.mapped is not None:
            # What was looked at would count as the process's memory, until the system wants it back.
            self.mapped.madvise(mmap.MADV_DONTNEED)
        return rows

    def _among(self, places: Places) -> NDArray[np.intp]:
        (word, bits), *more = places.pairs
        rows = np.flatnonzero((self.words[word] & bits) == bits)
        for word, bits in more:
            wanted = bits[rows]
            rows = rows[(self.words[word[rows]] & wanted) == wanted]
        return np.asarray(rows, np.intp)


def words(capacity: int, bits_an_item: int) -> int:
    """How many words a filter has."""
    return capacity * bits_an_item // 64 + 1


def _place(hashes: Hashes, size: int) -> tuple[Words, Hashes]:
    word = ((hashes >> np.uint64(32)) * np.uint64(size)) >> np.uint64(32)
    return word.astype(np.intp), PATTERNS[hashes.astype(np.uint16)]


def _patterns() -> Hashes:
    chance = np.random.default_rng(1970).integers(0, 64, (_BITS_IN_A_WORD, _PATTERNS), np.uint64)
    return np.asarray(np.bitwise_or.reduce(np.uint64(1) << chance, axis=0), np.uint64)


PATTERNS = _patterns()
"""Words with some bits set: to look one up by a hash takes a third of the time of setting them."""
