"""Market lists: the official CSV as it comes, one's own, and what is no market list."""

import json
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams.markets import MarketList, MarketListError, read_markets, unmatched
from streams.saying import MARKETS_A_COMMAND, market_commands
from tests.dashboard_data import publish_launch_day
from warehouse.commands import Market, MarketsImported, parse

DATA = Path(os.environ.get("ONNURI_DATA", Path(__file__).parents[2] / "shared" / "data"))

OFFICIAL = """\
시장명,시장유형,소재지도로명주소,소재지지번주소,시장개설주기,위도,경도,점포수
서문시장,상설장,대구광역시 중구 큰장로28길 45,대구광역시 중구 대신동 115-378,매일,35.8690,128.5806,4000
간성전통시장,상설장+5일장,강원도 고성군 간성시장3길 7-2,강원도 고성군 간성읍 신안리 311-10,2일+7일,38.37994273,128.4694508,66
중앙시장,상설장,강원특별자치도 강릉시 금성로21,강원특별자치도 강릉시 성남동 50,매일,37.754,128.898,276
중앙시장,상설장,,충청북도 제천시 중앙로1가 98,5일+10일,,,
"""


def read(folder: Path, text: str, encoding: str = "utf-8") -> MarketList:
    path = folder / "markets.csv"
    path.write_bytes(text.encode(encoding))
    return read_markets(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_the_official_list_is_read_in_the_encodings_that_it_comes_in(tmp_path, encoding):
    found = read(tmp_path, OFFICIAL, encoding)
    seomun = found.markets[0]
    assert (seomun.name, seomun.region, seomun.district) == ("서문시장", "대구광역시", "중구")
    assert (seomun.latitude, seomun.longitude, seomun.merchants, seomun.cycle) == (35.869, 128.5806, 4000, None)
    assert found == read(tmp_path, OFFICIAL)


def test_market_days_are_the_last_digits_of_their_days(tmp_path):
    assert [market.cycle for market in read(tmp_path, OFFICIAL).markets] == [None, "2,7", None, "5,0"]


def test_a_region_has_its_name_of_today(tmp_path):
    regions = [market.region for market in read(tmp_path, OFFICIAL).markets]
    assert regions == ["대구광역시", "강원특별자치도", "강원특별자치도", "충청북도"]


def test_markets_of_the_same_name_in_two_towns_are_two(tmp_path):
    central = [market for market in read(tmp_path, OFFICIAL).markets if market.name == "중앙시장"]
    assert [market.district for market in central] == ["강릉시", "제천시"]
    assert len({market.market_id for market in central}) == 2


def test_a_market_keeps_its_id_when_others_come_and_go(tmp_path):
    lines = OFFICIAL.splitlines(keepends=True)
    ids = {market.market_id for market in read(tmp_path, OFFICIAL).markets}
    assert {market.market_id for market in read(tmp_path, lines[0] + lines[4] + lines[2]).markets} < ids


def test_a_market_without_coordinates_stays_and_is_told(tmp_path):
    found = read(tmp_path, OFFICIAL)
    assert (found.markets[3].latitude, found.markets[3].longitude) == (None, None)
    assert found.problems == ["line 5: 중앙시장 has no coordinates; it is missing on maps only"]


def test_the_same_market_twice_counts_once_and_is_told(tmp_path):
    found = read(tmp_path, OFFICIAL + OFFICIAL.splitlines()[1].replace("4000", "4100"))
    assert [market.merchants for market in found.markets if market.name == "서문시장"] == [4100]
    assert [problem for problem in found.problems if "twice" in problem] == ["line 6: 서문시장 stands twice with the same address; the last one counts"]


def test_a_line_that_is_no_market_is_left_out_and_told_with_its_line(tmp_path):
    found = read(tmp_path, OFFICIAL + "북쪽시장,상설장,서울특별시 중구 길 1,,매일,137.5,127.0,10\n")
    assert len(found.markets) == 4
    assert any(problem.startswith("line 6: left out:") and "latitude" in problem for problem in found.problems)


@pytest.mark.parametrize("cut", ["동문시장,상설장\n", "동문", "동문시장,상설장,대구광역시 중구 큰장로28길 45,,매일,35.8690,128.5806"])
def test_a_line_that_breaks_off_is_left_out_and_told(tmp_path, cut):
    found = read(tmp_path, OFFICIAL + cut)
    assert len(found.markets) == 4
    assert found.problems[-1] == "line 6: left out: it has fewer fields than the first line has names"


def test_lines_may_end_as_on_any_system(tmp_path):
    for end in ("\r", "\r\n"):
        assert read(tmp_path, OFFICIAL.replace("\n", end)) == read(tmp_path, OFFICIAL)


def test_what_is_no_csv_is_an_error_with_its_line(tmp_path):
    with pytest.raises(MarketListError, match=r"markets\.csv, line 2: field larger than field limit.*Save it as CSV"):
        read(tmp_path, OFFICIAL.replace("서문시장", "서" * 200_000))
    with pytest.raises(MarketListError, match=r"markets\.csv, line 1: field larger"):
        read(tmp_path, "서" * 200_000)


def test_codes_of_a_list_that_has_them_are_the_ids(tmp_path):
    (market,) = read(tmp_path, "시장코드,시장명,도로명주소,시도,시군구\na31370007,청평여울시장,경기도 가평군 청평면 시장중앙로19,경기도,가평군\n").markets
    assert (market.market_id, market.region, market.district) == ("a31370007", "경기도", "가평군")


def test_a_list_of_one_s_own_has_this_project_s_column_names(tmp_path):
    (market,) = read(tmp_path, 'market_id,name,region,cycle,merchants,remark\nm1,서문 시장,대구광역시,"2,7",12,x\n').markets
    assert (market.market_id, market.name, market.region, market.cycle, market.merchants) == ("m1", "서문 시장", "대구광역시", "2,7", 12)


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "market_id,name\nm1,x\n", ""])
def test_other_columns_are_an_error_that_names_what_was_expected_and_found(tmp_path, text):
    with pytest.raises(MarketListError, match=r"expected the columns 시장명.*market_id, name, region; found"):
        read(tmp_path, text)


def test_another_encoding_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(MarketListError, match=r"neither UTF-8 nor CP949\. Save it as one of them"):
        read(tmp_path, OFFICIAL, "utf-16")


def test_a_file_that_is_not_there_is_an_error_with_its_name(tmp_path):
    with pytest.raises(MarketListError, match=r"no\.csv cannot be read: No such file"):
        read_markets(tmp_path / "no.csv")


@pytest.mark.parametrize(("name", "bearers_of_one_name"), [("semas_markets_20240719.csv", 1), ("standard_markets_20241104.csv", 12)])
def test_the_real_lists_become_commands_that_a_worker_takes(name, bearers_of_one_name):
    path = DATA / "kr_markets" / name
    if not path.exists():
        pytest.skip(f"kr_markets/{name} is not in the folder of real data: set ONNURI_DATA to one that has it")
    found = read_markets(path)
    assert 1_300 < len(found.markets) < 1_500
    assert len({market.region for market in found.markets}) == 17
    assert not [problem for problem in found.problems if "left out" in problem]
    names = Counter(market.name for market in found.markets)
    assert names.most_common(1)[0][1] >= bearers_of_one_name
    commands = list(market_commands(found.markets))
    assert len(commands) == -(-len(found.markets) // MARKETS_A_COMMAND)
    parsed = [parse(kind, json.dumps(payload), datetime.now(UTC)) for kind, payload in commands]
    assert all(isinstance(payload, MarketsImported) for payload in parsed)
    assert [market for payload in parsed for market in payload.markets] == found.markets


def test_ids_that_have_attempts_and_are_in_no_list_are_told_and_none_where_nothing_is_published(tmp_path):
    published = publish_launch_day(tmp_path / "published")
    assert unmatched(published, []) == []
    manifest = published / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "files": {**content["files"], "market": []}}))
    listed = [Market(market_id=f"M{number:03d}", name="시장", region="서울특별시") for number in range(28)]
    assert sorted(unmatched(published, listed)) == ["M028", "M029"]
    assert unmatched(tmp_path / "nothing", listed) == []
