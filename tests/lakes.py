"""Stores to run the same tests on. A lake is skipped in words where DuckDB has no extension for it, or where there is no PostgreSQL."""

import secrets
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from tests.postgres_server import Postgres, programs
from warehouse.connection import connect
from warehouse.lake import Lake, LakeExtensionError, load_extensions

STORES = ["file", "sqlite", "postgres"]


def make_lake(request: pytest.FixtureRequest, folder: Path) -> Lake | None:
    """A lake of a test's own by the fixture's parameter; None for a file."""
    if request.param == "file":
        return None
    if request.param == "sqlite":
        lake = Lake(f"ducklake:sqlite:{folder / 'catalog.sqlite'}", str(folder / "data"))
        need_extensions(lake)
    else:
        need_postgres()
        need_extensions(Lake("ducklake:postgres:", ""))
        server: Postgres = request.getfixturevalue("postgres")
        database = f"lake_{secrets.token_hex(4)}"
        server.sql(f"CREATE DATABASE {database}", "postgres")
        lake = Lake(f"ducklake:postgres:{server.dsn(database=database)}", str(folder / "data"))
    return lake


def need_postgres() -> None:
    """Skip the test where there is no PostgreSQL."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian's package postgresql has it)")


def need_extensions(lake: Lake) -> None:
    """Skip the test where DuckDB has no extension for that lake."""
    lacking = _lacking(lake.target.split(":")[1])
    if lacking:
        pytest.skip(lacking)


@cache
def _lacking(kind: str) -> str | None:
    """What a catalog of a ``kind`` lacks; asked once, as a fetch that fails takes seconds."""
    with closing(connect(memory_limit="100MB", threads=1)) as connection:
        try:
            load_extensions(connection, Lake(f"ducklake:{kind}:", ""))
        except LakeExtensionError as error:
            return str(error).splitlines()[0]
    return None
