"""When most of a topic is refused, the fault is hardly in the records: the worker stops before it lets them all go to the dead letters. Pure.

A batch that would carry the share of refusals over the limit is not written, so that its records are still to be read when the worker is
started again. Of what is refused for nothing, at most ``share`` of ``WINDOW`` records of each partition have gone by then.
"""

from collections import Counter, deque
from collections.abc import Collection, Mapping

from warehouse.ingest import Chunk, Refused

WINDOW = 1_000
"""The newest records of each partition that are looked at."""

LEAST = 100
"""With fewer, nothing is said yet: one odd record of a quiet topic stops nothing."""


class MostlyRefusedError(Exception):
    """Most of a topic's newest records would be refused; the message says which, why, and what to do."""


Partition = tuple[str, int]
"""The contract's name of a topic, and the number of a partition."""

Newest = Mapping[Partition, deque[bool]]
"""Whether each of a partition's newest records, the newest last, was refused."""


class RefusalLimit:
    """How much of each topic was refused lately. ``before`` gives records and refusals among the newest that an earlier worker wrote."""

    def __init__(self, share: float, before: Mapping[Partition, tuple[int, int]]) -> None:
        self.share = share
        self.newest: Newest = {where: deque([False] * (rows - refused) + [True] * refused, WINDOW) for where, (rows, refused) in before.items()}
        # More than the limit can only be there because somebody let it through; that is not held against what comes after.
        over = {topic for topic, _ in before if self._over(self.newest, topic)}
        self.newest = {where: flags for where, flags in self.newest.items() if where[0] not in over}

    def judge(self, chunks: Collection[Chunk]) -> Newest:
        """The newest records with a batch's among them; to be given to ``keep`` once it is written.

        Raises:
            MostlyRefusedError: the share of a topic's refusals would be over the limit.
        """
        newest = {where: flags.copy() for where, flags in self.newest.items()}
        for chunk in chunks:
            newest.setdefault((chunk.topic, chunk.partition), deque(maxlen=WINDOW)).extend(refused_or_not(chunk))
        for chunk in chunks:
            if chunk.refused and (found := self._over(newest, chunk.topic)):
                raise MostlyRefusedError(_message(chunk, *found))
        return newest

    def keep(self, judged: Newest) -> None:
        """Remember what was written."""
        self.newest = judged

    def _over(self, newest: Newest, topic: str) -> tuple[int, int] | None:
        """How many of a topic's newest records there are, and how many were refused, where these are too many."""
        flags = [flag for (name, _), some in newest.items() if name == topic for flag in some]
        return (len(flags), sum(flags)) if len(flags) >= LEAST and sum(flags) > self.share * len(flags) else None


def refused_or_not(chunk: Chunk) -> list[bool]:
    """Whether each of a chunk's newest ``WINDOW`` records was refused."""
    if not chunk.refused:
        return [False] * min(len(chunk.frame), WINDOW)
    # Both are in the order of their offsets.
    offsets = [(offset, False) for offset in chunk.frame["offset_at"].tail(WINDOW)] + [(refused.offset, True) for refused in chunk.refused[-WINDOW:]]
    return [refused for _, refused in sorted(offsets)[-WINDOW:]]


def _message(chunk: Chunk, rows: int, refused: int) -> str:
    reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(r.reason for r in chunk.refused).most_common())
    example: Refused = chunk.refused[-1]
    return (
        f"STOPPED: {refused} of the last {rows} records of {chunk.topic} would be refused (here {reasons}). "
        f"The newest of them is {chunk.topic}/{chunk.partition}/{example.offset}: {example.detail.removesuffix('.')}. "
        "Nothing of this batch was written or sent to dead-letters; a worker that is started again reads it again. "
        "If the records are right, mend what refuses them (the version of onnuri, ONNURI_CLOCK, ONNURI_TOPIC_PREFIX) and start. "
        "If they are wrong, mend their producer, then start once with ONNURI_REFUSED_SHARE=1, which lets them go to dead-letters."
    )
