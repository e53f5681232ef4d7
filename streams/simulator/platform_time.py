"""The steps in which the platform's day is reckoned."""

STEP_MS = 10_000
STEPS = 8_640
STEPS_A_MINUTE = 6
