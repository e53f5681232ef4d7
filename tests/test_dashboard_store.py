"""What many viewers of the live page share."""

import threading
from types import SimpleNamespace

from dashboard.store import _Newest


def state(sequence: int) -> SimpleNamespace:
    return SimpleNamespace(sequence=sequence)


def test_a_state_is_worked_out_once_for_all_viewers() -> None:
    newest, worked = _Newest(), []
    for _ in range(3):
        newest.of(state(1), lambda: worked.append(1))
    assert worked == [1]


def test_while_one_viewer_works_out_a_new_state_the_others_see_the_one_before() -> None:
    newest, begun, end = _Newest(), threading.Event(), threading.Event()
    newest.of(state(1), lambda: "first")

    def slowly() -> str:
        begun.set()
        end.wait(30)
        return "second"

    one = threading.Thread(target=newest.of, args=(state(2), slowly))
    one.start()
    begun.wait(30)
    shown, figures = newest.of(state(2), lambda: "nobody asks for this")
    assert (shown.sequence, figures) == (1, "first")
    end.set()
    one.join()
    assert newest.of(state(2), lambda: "nor for this")[1] == "second"


def test_a_state_that_cannot_be_read_does_not_hold_up_the_next() -> None:
    newest = _Newest()

    def broken() -> str:
        raise OSError("gone")

    for _ in range(2):
        try:
            newest.of(state(1), broken)
        except OSError:
            continue
    assert newest.of(state(2), lambda: "next")[1] == "next"
