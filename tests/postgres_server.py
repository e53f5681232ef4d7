"""A PostgreSQL of a test's own, as a lake's catalog: made in a temporary folder, on a free port, ended with the test."""

import os
import pwd
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from streams.ports import free_port

PLACES = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), *map(Path, os.environ["PATH"].split(os.pathsep))]
USER = "onnuri"


def programs() -> Path | None:
    """Where ``initdb`` and ``pg_ctl`` are; None where they are not installed."""
    return next((place for place in PLACES if all((place / program).is_file() for program in ("initdb", "pg_ctl", "psql"))), None)


class Postgres:
    """One server with a database ``lake``. Root may not run it, so then it belongs to the user ``postgres``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.bin = programs()
        assert self.bin is not None, "PostgreSQL is not installed (Debian's package postgresql has it)"
        self.owner: dict[str, Any] = {}
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            folder.mkdir(parents=True, exist_ok=True)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            self.owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}

    def __enter__(self) -> Self:
        self.run("initdb", "--pgdata", str(self.folder / "data"), "--auth", "trust", "--username", USER, "--no-sync")
        self.start()
        self.sql("CREATE DATABASE lake", "postgres")
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def dsn(self, port: int = 0, database: str = "lake") -> str:
        """How to reach it; by a ``port`` of a cable's, where one is between."""
        return f"host=127.0.0.1 port={port or self.port} user={USER} dbname={database}"

    def start(self) -> None:
        """Up, and answering."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=on"
        self.run("pg_ctl", "--pgdata", str(self.folder / "data"), "--log", str(self.folder / "log"), "--options", options, "--wait", "start")

    def stop(self, how: str = "fast") -> None:
        """``immediate`` is as if the power went."""
        self.run("pg_ctl", "--pgdata", str(self.folder / "data"), "--mode", how, "--wait", "stop")

    def sql(self, text: str, database: str = "lake") -> str:
        """What ``psql`` answers, without heads."""
        return self.run("psql", "--host", "127.0.0.1", "--port", str(self.port), "--username", USER, "--no-psqlrc", "-Atc", text, database)

    def run(self, program: str, *arguments: str) -> str:
        """One of PostgreSQL's programs, as its owner."""
        assert self.bin is not None
        done = subprocess.run(
            [str(self.bin / program), *arguments], cwd="/", capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **self.owner
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stdout}{done.stderr}"
        return str(done.stdout).strip()
