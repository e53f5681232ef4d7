"""No cell of a file that a spreadsheet opens may run."""

import polars as pl
import pytest

from warehouse.spreadsheets import neutralised


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
