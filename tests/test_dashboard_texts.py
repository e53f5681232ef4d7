"""Every visible text exists in both languages, and every text that the code asks for exists."""

import ast
import copy
import json
import pickle
import re
from datetime import date, datetime
from pathlib import Path
from string import Formatter

import pytest

from dashboard.formatting import spanned
from dashboard.remarks import sentence
from dashboard.texts import LANGUAGES, texts_in
from warehouse.analysis import Remark
from warehouse.analysis.remarks import SENTENCES

DASHBOARD = Path(__file__).parents[1] / "dashboard"
FROM_DATA = {"kind", "scope", "remark", "service", "channel", "code", "dictionary", "column", "holiday"}
"""Groups that are looked up by a name from data."""

ASKING = {"texts", "words", "self", "paragraph"}
"""What texts are asked of by their keys: pages have ``texts``, the report's sections ``words``."""


def asked_keys() -> set[str]:
    """Every literal that looks like a text's key in the dashboard's code, and every f-string's possible keys."""
    groups = {key.split(".")[0] for key in texts_in("ko").entries}
    found: set[str] = set()
    for file in DASHBOARD.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and getattr(node.func, "id", getattr(node.func, "attr", "")) in ASKING:
                found |= keys_of(node.args[0])
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(rf"({'|'.join(groups)})\.(?!py$)[a-z_]*[a-z]", node.value):
                found.add(node.value)
    return found


def keys_of(argument: ast.expr) -> set[str]:
    if isinstance(argument, ast.Constant):
        return {str(argument.value)}
    if isinstance(argument, ast.JoinedStr) and isinstance(argument.values[0], ast.Constant):
        prefix = str(argument.values[0].value)
        matching = {key for key in texts_in("ko").entries if key.startswith(prefix)}
        assert matching, f"no text begins with {prefix!r}"
        return matching
    return set()


def test_both_languages_have_the_same_keys() -> None:
    korean, english = (set(texts_in(language).entries) for language in LANGUAGES)
    assert korean == english


def test_both_languages_have_the_same_places_for_values() -> None:
    for key, korean in texts_in("ko").entries.items():
        places = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (korean, texts_in("en").entries[key])]
        assert places[0] == places[1], key


def test_every_text_that_the_code_asks_for_exists() -> None:
    missing = asked_keys() - set(texts_in("ko").entries)
    assert not missing


def test_every_text_is_used() -> None:
    unused = {key for key in texts_in("ko").entries if key.split(".")[0] not in FROM_DATA} - asked_keys()
    assert not unused


def test_views_hold_no_visible_text_of_their_own() -> None:
    hangul = re.compile("[가-힣]")
    for file in (DASHBOARD / "views").glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        docs = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))}
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docs]
        assert not [text for text in texts if hangul.search(text)], file.name


def test_english_counts_read_well_of_one_and_its_ranges_and_shares_are_written_one_way() -> None:
    counted = ("live.people", "markets.merchants_known", "markets.merchants", "data.answer", "data.table_note", "people.without_buyer")
    for key in counted:
        assert not re.search(r"\{(number|rows|columns)\} [a-z]", texts_in("en").entries[key]), key
    for key, text in texts_in("en").entries.items():
        assert not re.search(r"\d %| ~ |[Oo]bserved sales|Expected sales", text), key
    assert (spanned("1", "2", "ko"), spanned("1", "2", "en")) == ("1 ~ 2", "1 to 2")


def test_korean_calls_one_thing_by_one_name() -> None:
    for key, text in texts_in("ko").entries.items():
        assert not re.search("설문|창고|분석자|지각|피해 구매자|예상 매출|분위(?!수)|무게를 준", text), key


def test_one_label_stands_for_one_measure_and_what_is_counted_of_the_queue_is_told_in_times() -> None:
    for language, times in (("ko", "회"), ("en", "times")):
        texts = texts_in(language).entries
        assert texts["live.purchases"].split("(")[0].strip() != texts["measure.never_succeeded"]
        for key in ("live.abandoned", "live.abandoned_today", "live.queue_sentence", "chart.abandoned", "report_harm.abandoned"):
            assert times in texts[key], key
        assert times in texts["people.abandoned"] + texts["app.times"]
        assert not re.search("여력|[Hh]eadroom", texts["ahead.headroom"])
        assert re.search("로그인|login", texts["remark.kept_out"])
    assert texts_in("ko")("severity.major") == "중대"


def test_asking_for_an_unknown_text_says_where_to_add_it() -> None:
    with pytest.raises(LookupError, match=r"texts/en\.toml"):
        texts_in("en")("live.nothing")


def test_a_name_from_data_that_has_no_text_stands_for_itself() -> None:
    assert texts_in("ko").named("kind", "failure_rate") == "결제 실패 급증"
    assert texts_in("ko").named("kind", "brand_new") == "brand_new"


VALUES = {
    **dict.fromkeys(("start", "end", "until", "after"), datetime(2025, 3, 1, 10, 0)),
    **dict.fromkeys(("step", "days", "windows", "needed", "count", "queue"), 12),
    "nearest": date(2025, 2, 14),
    "level": 3.118,
    "confidence": 0.9,
    **dict.fromkeys(("amount", "low", "high"), 123_456_789.0),
    **dict.fromkeys(("factor_low", "factor_high"), 2.5),
    "least": 0.3,
    "most": 2.2,
    **dict.fromkeys(("share", "missed", "taken", "usual"), 0.3),
    "source": "언론 보도",
    "incidents": "20250301T0104-nation",
    "places": "m001, m002",
    "interval": Remark("interval_t", {"windows": 12}),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_an_estimate_may_say_has_a_text_and_no_other(language: str) -> None:
    keys = {key.removeprefix("remark.") for key in texts_in(language).entries if key.startswith("remark.")}
    assert keys == set(SENTENCES)


@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_a_remark_tells_its_values_in_every_language(code: str) -> None:
    names = {name for _, name, _, _ in Formatter().parse(SENTENCES[code]) if name}
    remark = Remark(code, {name: VALUES[name] for name in names})
    for language in LANGUAGES:
        assert names == {name for _, name, _, _ in Formatter().parse(texts_in(language).entries[f"remark.{code}"]) if name}
        assert "{" not in sentence(remark, texts_in(language))
    korean = sentence(remark, texts_in("ko"))
    assert re.search("[가-힣]", korean)
    assert str(remark) != korean


def test_values_of_a_remark_are_written_as_their_readers_write_them() -> None:
    remark = Remark("old_history", {"days": 15, "nearest": date(2025, 2, 14)})
    assert "15일 떨어져 있습니다(2025년 2월 14일 (금))" in sentence(remark, texts_in("ko"))
    amount = Remark("controls_used", {"amount": 123_456_789.0})
    assert "1억 2,346만 원" in sentence(amount, texts_in("ko"))
    assert "KRW 123 million" in sentence(amount, texts_in("en"))
    assert "123,456,789" in str(amount)


def test_a_remark_is_an_english_sentence_that_survives_copies_and_json() -> None:
    remark = Remark("method", {"interval": Remark("interval_t", {"windows": 4})})
    for copied in (pickle.loads(pickle.dumps(remark)), copy.deepcopy(remark)):
        assert copied == remark
        assert (copied.code, copied.values["interval"].code) == ("method", "interval_t")
    assert json.loads(json.dumps([remark])) == [str(remark)]
    assert str(remark).endswith("Interval: Student's t on the relative errors of 4 past windows.")


@pytest.mark.parametrize(("language", "day"), [("ko", "하루"), ("en", "worst")])
def test_the_chance_of_passing_is_called_that_of_one_day_wherever_it_is_shown(language: str, day: str) -> None:
    entries = texts_in(language).entries
    for key in ("ahead.too_small_detail", "ahead.risk", "ahead.head_chance", "ahead.holidays_note", "report_column.ahead_chance"):
        assert day in entries[key], key
