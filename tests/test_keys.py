"""Ids become keys as DuckDB would make them, one by one or a column at a time."""

import hashlib
import uuid

import duckdb
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from warehouse.keys import key_of, keys_of

DIGITS = "0123456789abcdefABCDEF-{} "
DATABASE = duckdb.connect()
A_UUID = "7f0c9f33-41b3-45ee-8407-4d616380411a"

IDS = st.one_of(
    st.uuids().map(str),
    st.uuids().map(lambda known: str(known).upper()),
    st.text(alphabet=DIGITS, min_size=34, max_size=38),
    st.text(min_size=1, max_size=64).filter(lambda text: not any(0xD800 <= ord(letter) < 0xE000 for letter in text)),
)


def by_duckdb(text: str) -> bytes:
    """As every warehouse so far has made its keys."""
    asked = "SELECT coalesce(CASE WHEN length($1) = 36 THEN try_cast($1 AS UUID) END, left(sha256($1), 32)::UUID)"
    ((made,),) = DATABASE.execute(asked, [text]).fetchall()
    key: uuid.UUID = made
    return key.bytes


@given(IDS)
@example(A_UUID)
@example("{" + A_UUID.replace("-", "") + "--}")
@example("{" + A_UUID.replace("-", "") + "---")
@example("----" + A_UUID.replace("-", ""))
@example(A_UUID[:-1] + "g")
@example(A_UUID[:-1] + "가")
@example("가" * 12)
@example("가" * 36)
@example(" " * 4 + A_UUID.replace("-", ""))
@example("\u0661" * 36)
def test_an_id_has_the_key_that_duckdb_gives_it(text: str) -> None:
    assert key_of(text) == by_duckdb(text)


@given(st.lists(st.none() | IDS, max_size=30))
def test_a_column_has_the_keys_of_its_ids(ids: list[str | None]) -> None:
    made = keys_of(pl.Series("id", ids, dtype=pl.String))
    assert (made.name, made.dtype) == ("id", pl.Binary)
    assert made.to_list() == [None if text is None else key_of(text) for text in ids]


@pytest.mark.parametrize("ids", [[], [None], [A_UUID], ["p-1", None, A_UUID, A_UUID[:-1] + "-"]])
def test_a_slice_of_a_column_has_the_keys_of_the_slice(ids: list[str | None]) -> None:
    around = pl.Series("id", [A_UUID, "x", *ids, None, "y"], dtype=pl.String)
    assert keys_of(around[2 : 2 + len(ids)]).to_list() == [None if text is None else key_of(text) for text in ids]


def test_what_is_no_uuid_has_the_beginning_of_its_hash() -> None:
    assert key_of("payment-1") == hashlib.sha256(b"payment-1").digest()[:16]
    assert key_of(A_UUID) == uuid.UUID(A_UUID).bytes
