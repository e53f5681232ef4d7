"""A market list is taken as the country: the official CSV in either encoding, names twice and without coordinates too."""

import os
from datetime import date
from pathlib import Path

import msgspec
import pytest

from streams.simulator import ScenarioError, country, load_scenario, play, truth
from streams.simulator.rhythm import market_levels

OFFICIAL = """시장명,소재지도로명주소,시장개설주기,위도,경도,점포수
중앙시장,강원특별자치도 강릉시 금성로21,매일,37.754,128.898,276
중앙시장,대구광역시 중구 큰장로 1,2일+7일,35.869,128.580,40
이름없는곳,대구광역시 북구 길 3,매일,,,
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_the_official_list_is_the_country_in_either_encoding(tmp_path, encoding):
    (tmp_path / "list.csv").write_text(OFFICIAL, encoding=encoding)
    markets = country(load_scenario("smoke", markets=tmp_path / "list.csv"))
    assert sorted(markets["name"]) == ["이름없는곳", "중앙시장", "중앙시장"]
    assert set(markets["region"]) == {"강원특별자치도", "대구광역시"}
    assert markets["cycle"].to_list().count("2,7") == 1
    assert markets["latitude"].null_count() == 1
    assert markets["share"].sum() == pytest.approx(1)


def test_a_list_may_have_more_regions_than_korea_has(tmp_path):
    (tmp_path / "list.csv").write_text("market_id,name,region\n" + "".join(f"m{n},시장{n},지역{n}\n" for n in range(40)))
    markets = country(load_scenario("smoke", markets=tmp_path / "list.csv"))
    levels, _ = market_levels(load_scenario("smoke"), markets, date(2025, 3, 1))
    assert (len(levels), markets["region"].n_unique()) == (40, 40)


def test_a_list_is_played_and_its_truth_names_its_markets(tmp_path):
    (tmp_path / "list.csv").write_text(OFFICIAL, encoding="cp949")
    scenario = load_scenario("smoke", markets=tmp_path / "list.csv")
    sent = {
        msgspec.json.decode(value)["market_id"] for one in play(scenario) for value in (one.records["payments"].values if "payments" in one.records else ())
    }
    assert sent == set(truth(scenario)["market_id"]) == set(country(scenario)["market_id"])


def test_a_list_stands_beside_the_scenario_that_names_it(tmp_path):
    (tmp_path / "list.csv").write_text(OFFICIAL, encoding="utf-8")
    own = 'name = "own"\nlabel = "own"\nseed = 1\nlast_ordinary_day = 2025-02-14\n[country]\nfile = "list.csv"\n'
    (tmp_path / "own.toml").write_text(own, encoding="utf-8")
    assert len(country(load_scenario(tmp_path / "own.toml"))) == 3


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (None, "cannot be read"),
        ("a,b\n1,2\n", "expected the columns"),
        ("market_id,name,region\n,,\n", "at least one market"),
        ('market_id,name,region\n"a""b",x,y\n', "market_id of"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_with_the_reason(tmp_path, text, named):
    if text is not None:
        (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=named):
        country(load_scenario("smoke", markets=tmp_path / "list.csv"))


def test_the_real_list_can_be_the_country():
    file = Path(os.environ.get("ONNURI_DATA", Path(__file__).parents[2] / "shared" / "data")) / "kr_markets" / "standard_markets_20241104.csv"
    if not file.is_file():
        pytest.skip(f"the list of real markets is not there: {file}; set ONNURI_DATA to the folder that holds kr_markets")
    markets = country(load_scenario("ordinary-week", markets=file))
    assert len(markets) > 1_350
    assert markets["market_id"].n_unique() == len(markets)
    assert 0.2 < markets["cycle"].is_not_null().mean() < 0.4
    assert markets["latitude"].null_count() < 20
