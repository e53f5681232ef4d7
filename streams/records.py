"""The records of a fetch, column by column: none of what comes after asks one record for its fields."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Records:
    """Consecutive records of a partition, n of each: their offsets, rising; when they were sent, epoch ms, 0 where they do not tell; keys; and values.

    ``leaders`` are the leader epochs of the first and the last batch: how often the partition had another leader when it took them, -1 where it does not tell.
    """

    offsets: NDArray[np.int64]
    times: NDArray[np.int64]
    keys: list[bytes | None]
    values: list[bytes | None]
    leaders: tuple[int, int] = (-1, -1)

    @classmethod
    def of(cls, records: Sequence[Any], leader: int = -1) -> Self:
        """Of records with ``offset``, ``timestamp``, ``key`` and ``value``, at least one, of one leader. Of offsets that do not rise above those before them there is nothing new."""
        offsets = np.array([record.offset for record in records], np.int64)
        times = np.array([record.timestamp or 0 for record in records], np.int64)
        made = cls(offsets, np.maximum(times, 0), [record.key for record in records], [record.value for record in records], (leader, leader))
        reached = np.maximum.accumulate(offsets[:-1])
        return made if (offsets[1:] > reached).all() else made.at(np.flatnonzero(np.append([True], offsets[1:] > reached)))

    @classmethod
    def together(cls, some: Iterable[Self]) -> Self:
        """All of these, at least one."""
        all_of_them = list(some)
        if len(all_of_them) == 1:
            return all_of_them[0]
        return cls(
            np.concatenate([one.offsets for one in all_of_them]),
            np.concatenate([one.times for one in all_of_them]),
            [key for one in all_of_them for key in one.keys],
            [value for one in all_of_them for value in one.values],
            (all_of_them[0].leaders[0], all_of_them[-1].leaders[1]),
        )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def offset(self) -> int:
        """The last one's."""
        return int(self.offsets[-1])

    def since(self, offset: int) -> Self:
        """Those from this offset on."""
        return self if self.offsets[0] >= offset else self.at(np.flatnonzero(self.offsets >= offset))

    def at(self, rows: NDArray[np.intp]) -> Self:
        """Those in these places."""
        return replace(
            self, offsets=self.offsets[rows], times=self.times[rows], keys=[self.keys[row] for row in rows], values=[self.values[row] for row in rows]
        )
