"""Runs a command and ends it when the process that asked for it is gone, however that went.

``python broker_keeper.py PARENT_PID FOLDER COMMAND...``: prints the command's process id, then waits. On SIGTERM the command is
asked to stop, and killed when it does not. FOLDER, where not empty, is removed when the parent vanished, who would have done it.
Started as a file of its own, with nothing but the standard library, so that it costs little time and memory.

Asking who the parent is, instead of Linux' PR_SET_PDEATHSIG or a pipe: it works on macOS too, it does not take the end of a
*thread* for the end of the parent, and no forked sibling can keep a pipe open.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from types import FrameType

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_STOP = 15


def keep(parent: int, folder: str, command: list[str]) -> int:
    """Run ``command`` until it ends, SIGTERM comes or ``parent`` is gone; the exit code is the command's."""
    asked_to_stop = False
    # The command's output goes where this one's errors go: to the log.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True
        child.terminate()

    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(BrokenPipeError):  # the parent may be gone already
        os.write(sys.stdout.fileno(), b"%d\n" % child.pid)
    while os.getppid() == parent and not asked_to_stop:
        try:
            return child.wait(SECONDS_BETWEEN_LOOKS)
        except subprocess.TimeoutExpired:
            continue
    child.terminate()
    try:
        code = child.wait(SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        child.kill()
        code = child.wait()
    if folder and os.getppid() != parent:
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(abs(keep(int(sys.argv[1]), sys.argv[2], sys.argv[3:])))
