"""Programs that run beside a measurement or a test and end with it."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from streams.ports import free_port

REPOSITORY = Path(__file__).parents[1]
PATIENCE_SECONDS = 20
HEALTHY_WITHIN_SECONDS = 60


@contextmanager
def running(arguments: Sequence[str], environment: Mapping[str, str], output: IO[bytes] | int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
    """A program with more in its environment; asked to end at the end, and killed where it does not."""
    process = subprocess.Popen(arguments, cwd=REPOSITORY, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def dashboard(published: Path, environment: Mapping[str, str] | None = None, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The dashboard over ``published`` once it is healthy: its address and its process.

    Raises:
        RuntimeError: it ended, or did not answer.
    """
    port = port or free_port()
    address = f"http://127.0.0.1:{port}"
    with running([sys.executable, "-m", "dashboard", "--port", str(port)], {"ONNURI_PUBLISHED": str(published), **(environment or {})}) as process:
        _wait_until_healthy(address, process)
        yield address, process


def _wait_until_healthy(address: str, process: subprocess.Popen[bytes]) -> None:
    gives_up = time.monotonic() + HEALTHY_WITHIN_SECONDS
    while time.monotonic() < gives_up:
        if process.poll() is not None:
            raise RuntimeError(f"The dashboard ended with exit code {process.returncode} before it answered at {address}.")
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1) as answer:  # noqa: S310 - our own address
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"The dashboard did not answer at {address} within {HEALTHY_WITHIN_SECONDS} seconds.")
