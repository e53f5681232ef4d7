"""When does a worker that does not read end?"""

import pytest

from streams.idle import Idle, IdleError


def test_a_worker_that_does_not_begin_to_read_ends_after_its_patience() -> None:
    idle = Idle(patience=300)
    idle.look(1_000, begun=False)
    idle.look(1_300, begun=False)
    with pytest.raises(IdleError, match="For 301 s"):
        idle.look(1_301, begun=False)


def test_time_counts_from_the_last_rebalance() -> None:
    idle = Idle(patience=300)
    idle.look(1_000, begun=False)
    idle.look(1_200, begun=True)
    idle.look(1_400, begun=False)
    idle.look(1_700, begun=False)
    with pytest.raises(IdleError):
        idle.look(1_701, begun=False)
