"""What tries come to, as columns."""

from dataclasses import dataclass

import numpy as np

APPROVED, DECLINED, FAILED, HELD = range(4)
"""Outcomes of a try; a held buyer never got as far as an attempt to pay."""

HOLD_STAGES = ("queue", "login", "registration")


@dataclass(frozen=True)
class Tries:
    """A day's tries as parallel arrays, round by round.

    ``purchase`` is a row of the wishes, ``number`` counts a purchase's tries from 0. ``leg`` counts its checkouts from 0, and ``attempt`` the attempts to pay in
    one of them from 1 (0: held before one); ``amount`` is KRW, ``channel`` an index of CHANNELS, ``market`` a row of the country. A buyer comes at ``came_at``
    and the outcome is known ``at`` (milliseconds since midnight), after a wait in the queue. ``reason`` is an index of FAILURE_CODES or HOLD_STAGES,
    ``approved_at`` when an approval came, else -1: a failed try that has one is a timeout that was approved after all. ``cancelled_at`` is when such an
    approval was taken back automatically, else -1.
    """

    purchase: np.ndarray
    number: np.ndarray
    leg: np.ndarray
    attempt: np.ndarray
    amount: np.ndarray
    channel: np.ndarray
    market: np.ndarray
    came_at: np.ndarray
    at: np.ndarray
    outcome: np.ndarray
    reason: np.ndarray
    approved_at: np.ndarray
    cancelled_at: np.ndarray

    @property
    def stands(self) -> np.ndarray:
        """Which tries ended in an approval that stands."""
        return np.asarray((self.approved_at >= 0) & (self.cancelled_at < 0))

    def where(self, rows: np.ndarray) -> "Tries":
        """Some of the tries."""
        return Tries(*(getattr(self, name)[rows] for name in Tries.__dataclass_fields__))

    def bought(self, purchases: int) -> np.ndarray:
        """KRW that each of the day's purchases came to."""
        return np.bincount(self.purchase, self.amount * self.stands, purchases).astype(np.int64)


def together(rounds: list[Tries]) -> Tries:
    """Rounds one after another."""
    return Tries(*(np.concatenate([getattr(one, name) for one in rounds]) for name in Tries.__dataclass_fields__))
