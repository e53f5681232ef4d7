"""A worker that was dealt partitions and does not begin to read them ends, so that its supervisor starts it anew and its partitions are dealt again.

Seen once, in a rebalance while PostgreSQL was away: Faust had ended what seeks, and the worker went on looking well. The cause is mended (``PatientRecovery``);
a part of Faust that ends in another way would look the same, and so does a coordinator of aiokafka's that has ended before any were dealt.
"""

PATIENCE_SECONDS = 300.0
"""Longer than the database thread is ever busy with one thing."""


class IdleError(Exception):
    """Partitions were dealt long ago, and reading has not begun."""


class Idle:
    """Looked at from time to time; ``begun`` is whether reading has begun since partitions were dealt last, or what is waited for is known."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.since: float | None = None

    def look(self, now: float, *, begun: bool) -> bool:
        """Whether it has not begun since the last look; ``now`` in seconds of a clock that only goes on.

        Raises:
            IdleError: it has not begun for longer than ``patience``.
        """
        if begun or self.since is None:
            self.since = None if begun else now
            return False
        if now - self.since > self.patience:
            raise IdleError(
                f"For {now - self.since:.0f} s partitions have been dealt, or should have been, and reading has not begun. The worker ends, to be started anew."
            )
        return True
