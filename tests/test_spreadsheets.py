"""No cell of a file that a spreadsheet opens may run, and its times say whose they are."""

import io
import re
import zipfile
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from dashboard.files import written
from warehouse.spreadsheets import neutralised, with_offsets, workbook


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|' /C calc'!A0",
        '=HYPERLINK("http://127.0.0.1","서문시장")',
        "+82",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "\u3000=1",
        "\ufeff=1",
        "\u200f=1",
        "\u202e=1",
        "\u200b\u2066-1",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff20SUM(A1)",
        "\x00=1",
    ],
)
def test_a_text_that_may_run_as_a_formula_gets_an_apostrophe_in_cells_and_heads(text: str) -> None:
    safe = neutralised(pl.DataFrame({text: [text], "category": pl.Series([text], dtype=pl.Categorical)}))
    assert safe.columns == ["'" + text, "category"]
    assert safe.row(0) == ("'" + text, "'" + text)


@pytest.mark.parametrize("text", ["서문시장", "m0001", "a=1", "5-1", "'=1", "", "{'a': 1}", "[1]", "1,400", "אבג", "2025-03-01"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    frame = pl.DataFrame({"name": [text]})
    assert neutralised(frame).equals(frame)


def test_numbers_times_and_nulls_are_no_texts() -> None:
    frame = pl.DataFrame({"amount": [-5, None], "share": [-0.5, None], "name": [None, None]}, schema_overrides={"name": pl.String})
    assert neutralised(frame).equals(frame)


def cells(book: bytes) -> list[list[str | datetime | float | None]]:
    """The rows of a workbook's sheet, its head first; numbers in a column whose head names an offset are times."""
    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        sheet, strings = (parts.read(f"xl/{name}.xml").decode() for name in ("worksheets/sheet1", "sharedStrings"))
    texts = re.findall(r"<t[^>]*>([^<]*)</t>", strings)
    found: list[list[str | datetime | float | None]] = []
    for row in re.findall(r"<row .*?</row>", sheet):
        line: list[str | datetime | float | None] = []
        for attributes, value in re.findall(r"<c ([^>]*?)(?:/>|><v>([^<]*)</v></c>)", row):
            if not value:
                line.append(None)
            elif 't="s"' in attributes:
                line.append(texts[int(value)])
            elif ":" in str(found[0][len(line)]):
                line.append(datetime(1899, 12, 30) + timedelta(seconds=round(float(value) * 86_400)))
            else:
                line.append(float(value))
        found.append(line)
    return found


def test_a_sheet_has_the_times_of_their_clock_and_its_offset_in_the_head() -> None:
    noon, morning = datetime(2025, 3, 1, 3, tzinfo=UTC), datetime(2025, 3, 1, 12, tzinfo=UTC)
    times = pl.DataFrame({"name": ["서문시장", "칠성시장"], "onset_at": [noon, morning], "ended_at": pl.Series([None, None], dtype=pl.Datetime("us", "UTC"))})
    head, first, second = cells(workbook(times.with_columns(pl.col("onset_at", "ended_at").dt.convert_time_zone("Asia/Seoul"))))
    assert head == ["name", "onset_at (+09:00)", "ended_at (+09:00)"]
    assert first[:2] == ["서문시장", datetime(2025, 3, 1, 12)]
    assert second[:2] == ["칠성시장", datetime(2025, 3, 1, 21)]


def test_a_column_of_two_offsets_is_of_utc_in_a_sheet() -> None:
    times = pl.Series("at", [datetime(2025, month, 1, 11, tzinfo=UTC) for month in (1, 7)]).dt.convert_time_zone("Europe/Paris")
    assert cells(workbook(times.to_frame())) == [["at (+00:00)"], [datetime(2025, 1, 1, 11)], [datetime(2025, 7, 1, 11)]]


def test_a_csv_has_times_of_iso_8601_with_their_offset() -> None:
    times = pl.DataFrame({"at": [datetime(2025, 3, 1, 1, tzinfo=UTC)], "minute_at": [datetime(2025, 3, 1)]}).with_columns(
        pl.col("at").dt.convert_time_zone("Asia/Seoul")
    )
    assert with_offsets(times).row(0) == ("2025-03-01T10:00:00+09:00", datetime(2025, 3, 1))
    assert written(times, "csv").decode("utf-8-sig").splitlines()[1].startswith("2025-03-01T10:00:00+09:00,")


def test_times_that_have_no_zone_keep_their_head() -> None:
    assert cells(workbook(pl.DataFrame({"minute_at": [datetime(2025, 3, 1)], "n": [3]})))[0] == ["minute_at", "n"]
