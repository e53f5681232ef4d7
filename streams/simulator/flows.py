"""Mean flows of people over the steps of a day: what comes now, and what will come back later."""

import numpy as np


class Flow:
    """People by generation (how often they have tried) and step; what is put beyond the last step is gone.

    ``first`` are the newcomers, one number a step; everybody moves to the next generation when coming back, and the last generation does not.
    """

    def __init__(self, first: np.ndarray, generations: int) -> None:
        self._steps = len(first)
        self._at = np.zeros((generations, self._steps))
        self._at[0] = first
        self._change = np.zeros((generations, self._steps))
        self._evenly = np.zeros(generations)

    def now(self, step: int) -> np.ndarray:
        """Who comes in a step, by generation; steps are asked for in order, each once."""
        self._evenly += self._change[:, step]
        return np.maximum(self._at[:, step] + self._evenly, 0.0)  # a running sum ends a hair below nothing

    def put(self, step: int, people: np.ndarray) -> None:
        """Let people of the same generations come in one step."""
        if step < self._steps:
            self._at[:, step] += people

    def come_back(self, people: np.ndarray, step: int, kernel: np.ndarray) -> None:
        """Let people come back from a step on, shared over the following steps as the kernel says."""
        part = self._at[1:, step : step + len(kernel)]
        part += people[:-1, None] * kernel[: part.shape[1]]

    def come_back_evenly(self, people: np.ndarray, first: int, end: int) -> None:
        """Let people come back in equal parts from step ``first`` until before ``end``."""
        each = people[:-1] / (end - first)
        if first < self._steps:
            self._change[1:, first] += each
        if end < self._steps:
            self._change[1:, end] -= each
