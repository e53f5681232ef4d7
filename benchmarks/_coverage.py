"""Whether intervals hold less than they claim by more than chance explains."""

from math import comb

CHANCE = 0.05
"""So seldom would intervals that hold what they claim be called too few."""


def too_few(held: int, of: int, level: float = 0.9) -> bool:
    """Whether intervals of ``level``, each independent of the others, would hold so few ``of`` as ``held`` or fewer with a probability below ``CHANCE`` (binomial)."""
    return sum(comb(of, n) * level**n * (1 - level) ** (of - n) for n in range(held + 1)) < CHANCE


def failing(rows: list[tuple[str, int, int]], level: float = 0.9) -> list[str]:
    """A sentence for each of ``rows`` (what, held, of) that holds too few."""
    return [
        f"Expected {what} to hold {level:.0%}: {held} of {of} are fewer than chance explains (binomial, {CHANCE:.0%})."
        for what, held, of in rows
        if too_few(held, of, level)
    ]
