"""Markets that do not exist but might: as many as there are in each region, heavy-tailed in size, some on a 5-day cycle."""

import numpy as np
import polars as pl

from streams.simulator.chance import draws
from streams.simulator.places import Region, regions
from streams.simulator.scenario import Scenario

CYCLES = ("1,6", "2,7", "3,8", "4,9", "5,0")
"""5-day cycles: the last digits of the days of the month that are market days."""

GIANT_REGION = "대구광역시"
GIANT_SHARE = 0.15
"""What the two largest sites of that region take of the nation's sales."""

_WORDS = (
    *["중앙", "동부", "서부", "남부", "북부", "역전", "새마을", "큰", "골목", "종합", "풍물", "한마음", "강변", "언덕", "샘터"],
    *["별빛", "햇살", "버드나무", "다리목", "우물가", "돌담", "느티", "솔밭", "은행나무", "새벽", "모퉁이", "장승", "물레", "나루", "들녘"],
)


def invented(scenario: Scenario) -> pl.DataFrame:
    """The scenario's invented markets, columns as in ``country``."""
    rng = draws(scenario.seed, "country")
    places = regions()
    counts = _whole(np.array([region.markets for region in places]), scenario.country.markets)
    rows = [(region, *_site(region, count, rng)) for region, count in zip(places, counts, strict=True) if count]
    region_at = np.concatenate([np.full(len(district), places.index(region)) for region, district, _ in rows])
    district_at = np.concatenate([district for _, district, _ in rows])
    points = np.concatenate([point for _, _, point in rows])
    size = np.empty(len(region_at))
    for index in np.unique(region_at):
        size[region_at == index] = sizes(places[index], int(counts[index]), rng)
    size /= size.sum()
    merchants = size**0.5
    merchants = np.maximum(3, np.round(merchants / merchants.mean() * scenario.country.merchants)).astype(int)
    districts = [places[r].districts[d][0] for r, d in zip(region_at, district_at, strict=True)]
    cycle = _cycles(np.array([places[r].cycle for r in region_at]), size, scenario.country.cycle_share, rng)
    return pl.DataFrame(
        {
            "market_id": [f"m{number:04d}" for number in range(1, len(size) + 1)],
            "name": _names(districts, cycle),
            "region": [places[r].name for r in region_at],
            "district": districts,
            "latitude": points[:, 0].round(5),
            "longitude": points[:, 1].round(5),
            "cycle": pl.Series(cycle, dtype=pl.String),
            "merchants": merchants,
            "share": size,
            "card_share": rng.beta(20 * scenario.demand.card_share, 20 * (1 - scenario.demand.card_share), len(size)),
        }
    )


def _whole(shares: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers near the shares that add up to ``total`` (largest remainders)."""
    exact = shares / shares.sum() * total
    counts: np.ndarray = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    return counts


def _site(region: Region, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Each market's district and its point: within a kilometre or two of the town hall."""
    weight = rng.gamma(3.0, 1.0, len(region.districts))
    district = np.sort(rng.choice(len(region.districts), count, p=weight / weight.sum()))
    centre = np.array([place[1:] for place in region.districts])[district]
    return district, centre + np.clip(rng.normal(0, 0.007, (count, 2)), -0.015, 0.015)


def sizes(region: Region, count: int, rng: np.random.Generator) -> np.ndarray:
    """Heavy-tailed shares of the nation's sales, largest not first; in one region two sites take a fixed share."""
    size = np.exp(1.2 * np.minimum(rng.normal(0.0, 1.0, count), 2.2))  # cut, so that no other site grows as large as the two
    if region.name != GIANT_REGION or count < 3:
        return np.asarray(size / size.sum() * region.sales)
    giants = np.argsort(size)[-2:]
    others = np.setdiff1d(np.arange(count), giants)
    size[others] *= (region.sales - GIANT_SHARE) / size[others].sum()
    size[giants] = GIANT_SHARE * np.array([0.42, 0.58])
    return size


def _cycles(affinity: np.ndarray, size: np.ndarray, share: float, rng: np.random.Generator) -> list[str | None]:
    """Which markets keep a cycle: exactly the national share of them, mostly where cycles are usual, never the nation's largest."""
    score = rng.random(len(affinity)) ** (1 / np.maximum(affinity, 0.001))  # weighted without replacement (Efraimidis and Spirakis, 2006)
    score[size > 0.02] = -1.0
    chosen = set(np.argsort(-score, kind="stable")[: round(share * len(score))].tolist())
    drawn = rng.integers(0, len(CYCLES), len(score))
    return [CYCLES[drawn[index]] if index in chosen else None for index in range(len(score))]


def _names(districts: list[str], cycle: list[str | None]) -> list[str]:
    """``<district> <word>시장``; a word comes again, with a number, only where a district has more markets than there are words."""
    seen: dict[str, int] = {}
    names = []
    for district, days in zip(districts, cycle, strict=True):
        number = seen[district] = seen.get(district, -1) + 1
        again = f" {number // len(_WORDS) + 1}" if number >= len(_WORDS) else ""
        names.append(f"{district} {_WORDS[number % len(_WORDS)]}{'오일장' if days else '시장'}{again}")
    return names
