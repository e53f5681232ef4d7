"""Files of people's own: as Korean spreadsheets save them, and what is said of a cell that cannot be read."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from streams.detecting import detect_in_file
from streams.estimating import estimate_from_file
from streams.forecasting import forecast_from_file
from streams.settings import SettingError
from streams.tables import read_table
from warehouse.hand_made import time_of

MORNING = datetime(2025, 3, 1, 9, 5)


def table(folder: Path, text: str, encoding: str = "utf-8") -> pl.DataFrame:
    (folder / "mine.csv").write_bytes(text.encode(encoding))
    return read_table(folder / "mine.csv", "--sales")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_a_file_is_read_in_the_encodings_that_spreadsheets_save(tmp_path, encoding):
    found = table(tmp_path, "at,market_id,sales\n2025-03-01 9:05,서문시장,1234000\n", encoding)
    assert found.rows() == [(MORNING, "서문시장", 1_234_000)]


def test_names_that_look_like_numbers_are_names(tmp_path):
    found = table(tmp_path, "at,market_id,region,sales\n2025-03-01 09:05,0012,02,1\n2025-03-01 09:05,12,2,1\n")
    assert found.select("market_id", "region").rows() == [("0012", "02"), ("12", "2")]


def test_a_file_in_another_encoding_is_told_with_what_to_do(tmp_path):
    with pytest.raises(SettingError, match=r"^--sales .*mine\.csv is neither UTF-8 nor CP949\. Save it as one of them\.$"):
        table(tmp_path, "at,sales\n2025-03-01,1\n", "utf-16")


def test_thousands_separators_are_read_wherever_they_begin(tmp_path):
    late = "2025-03-01 09:05,900\n" * 200 + '2025-03-01 09:05,"1,234,000"\n2025-03-01 09:05," 1,234.5 "\n'
    assert table(tmp_path, "at,sales\n" + late)["sales"].to_list()[199:] == [900, 1_234_000, 1_234.5]
    whole = table(tmp_path, 'at,sales\n2025-03-01 09:05,"1,234"\n2025-03-01 09:05,\n')["sales"]
    assert (whole.dtype, whole.to_list()) == (pl.Int64, [1_234, None])


@pytest.mark.parametrize("text", ["1,23", "1.234.000", "십만", "12,345,6"])
def test_a_number_that_is_none_is_told_with_its_row_and_what_to_do(tmp_path, text):
    with pytest.raises(SettingError) as raised:
        table(tmp_path, f'at,sales\n2025-03-01 09:05,1\n2025-03-01 09:06,"{text}"\n')
    assert f"row 3: 'sales' is {text!r}: expected a number such as 1234000 or 1,234,000. Correct it there" in str(raised.value)


@pytest.mark.parametrize(
    "text",
    ["2025-03-01 9:05", "2025-03-01T09:05", "2025/3/1 09:05:00", "2025. 3. 1. 오전 9:05", "2025-03-01 오전 9:05", "2025. 3. 1 9:05 AM", "2025년 3월 1일 9:05"],
)
def test_a_time_is_read_as_people_write_it(tmp_path, text):
    assert table(tmp_path, f"at,sales\n{text},1\n")["at"].to_list() == [MORNING]


@pytest.mark.parametrize(
    ("text", "hour"),
    [("오전 12:00", 0), ("오전 1:00", 1), ("오후 12:00", 12), ("오후 1:00", 13), ("오후 11:00", 23), ("1:00 PM", 13), ("24:00", None), ("오후 13:00", None)],
)
def test_the_two_twelves_of_a_day_are_noon_and_midnight(text, hour):
    assert time_of(f"2025-03-01 {text}") == (None if hour is None else datetime(2025, 3, 1, hour))


def test_times_of_several_ways_and_offsets_are_one_column(tmp_path):
    zoned = table(tmp_path, "at,sales\n2025-03-01T10:00+09:00,1\n2025-03-01 오전 1:30Z,1\n")["at"]
    assert (zoned.dtype, zoned.to_list()) == (pl.Datetime("us", "UTC"), [datetime(2025, 3, 1, hour, minute, tzinfo=UTC) for hour, minute in ((1, 0), (1, 30))])
    assert table(tmp_path, "at,sales\n2025. 3. 1.,1\n20250302,1\n")["at"].to_list() == [date(2025, 3, 1), date(2025, 3, 2)]
    assert table(tmp_path, "at,sales\n2025. 3. 1.,1\n2025-03-01 오전 9:05,1\n")["at"].to_list() == [datetime(2025, 3, 1), MORNING]


@pytest.mark.parametrize("text", ["어제", "10:00", "45717.5", "2025-02-30 10:00", "3/1 10:00"])
def test_a_time_that_is_none_is_told_with_its_row_and_what_to_do(tmp_path, text):
    with pytest.raises(SettingError) as raised:
        table(tmp_path, "at,sales\n" + "2025-03-01 09:05,1\n" * 200 + f"{text},1\n")
    assert f"row 202: 'at' is {text!r}: expected a time such as 2025-03-01 09:00. Correct it there" in str(raised.value)


def test_times_with_an_offset_and_without_are_not_mixed(tmp_path):
    with pytest.raises(SettingError, match=r"row 3: 'at' is '2025-03-01T11:00': expected a time with its offset as in '2025-03-01T10:00Z', or none with any"):
        table(tmp_path, "at,sales\n2025-03-01T10:00Z,1\n2025-03-01T11:00,1\n")


def test_a_row_with_too_many_fields_is_told_with_its_line(tmp_path):
    with pytest.raises(SettingError, match=r"line 3 has 3 fields, the first line 2\. Put texts that hold commas in quotes\."):
        table(tmp_path, "at,sales\n2025-03-01 10:00,1\n2025-03-01 11:00,1,234\n")


def test_texts_in_parquet_are_read_alike(tmp_path):
    pl.DataFrame({"at": ["2025. 3. 1. 오전 9:05"], "sales": ["1,234"]}).write_parquet(tmp_path / "mine.parquet")
    assert read_table(tmp_path / "mine.parquet", "--sales").rows() == [(MORNING, 1_234)]


def test_a_spreadsheet_s_file_gives_what_the_same_file_of_a_program_gives(tmp_path):
    at = [datetime(2025, 1, 1) + timedelta(minutes=30 * n) for n in range(60 * 48)]
    hours = ["오후 " if moment.hour >= 12 else "오전 " for moment in at]
    by_hand = [f"{moment:%Y}. {moment.month}. {moment.day}. {half}{(moment.hour + 11) % 12 + 1}:{moment:%M}" for moment, half in zip(at, hours, strict=True)]
    own, program = tmp_path / "own.csv", tmp_path / "program.csv"
    program.write_text("at,market_id,sales\n" + "".join(f"{moment.isoformat()},서문시장,1200\n" for moment in at), "utf-8")
    own.write_text("at,market_id,sales\n" + "".join(f'{text},서문시장,"1,200"\n' for text in by_hand), "cp949")
    said = [estimate_from_file(file, "2025-02-20T10:00", "2025-02-20T12:00", 0.9, None, {})[0] for file in (own, program)]
    assert said[0].equals(said[1])
    assert detect_in_file(own, {}).equals(detect_in_file(program, {}))
    plain = {"as_of": None, "beside": {}}
    assert forecast_from_file(own, 3, "nation", "day", **plain)[0].equals(forecast_from_file(program, 3, "nation", "day", **plain)[0])
