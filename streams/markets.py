"""Market lists from files: the official CSV of traditional markets, or one with this project's own column names.

The official list has no ids and repeats names, so an id is made from name and address; the same market keeps it from year to year
as long as neither changes.
"""

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from warehouse.commands import Market
from warehouse.hand_made import EncodingError, decoded
from warehouse.reading import NothingPublishedError, open_snapshot

REGIONS = {"강원도": "강원특별자치도", "전라북도": "전북특별자치도", "제주도": "제주특별자치도"}
"""Old names of regions to those of today."""


class MarketListError(ValueError):
    """The file is not a list of markets."""


@dataclass(frozen=True)
class MarketList:
    """What a file held; ``problems`` name line and reason of what was left out or is incomplete."""

    markets: list[Market]
    problems: list[str]


def read_markets(path: Path) -> MarketList:
    """Read a CSV in UTF-8 or CP949.

    Raises:
        MarketListError: no such file, another encoding, no CSV, or columns that are not those of a market list.
    """
    # Lines may end with a carriage return alone.
    rows = csv.DictReader(io.StringIO(_text(path), newline=None))
    try:
        return _read(path, rows)
    except csv.Error as error:
        raise MarketListError(f"{path}, line {rows.line_num + 1}: {error}. Save it as CSV, one market a line.") from None


def _read(path: Path, rows: "csv.DictReader[str]") -> MarketList:
    columns = set(rows.fieldnames or [])
    if "시장명" in columns:
        fields_of = _official
    elif {"market_id", "name", "region"} <= columns:
        fields_of = _own
    else:
        raise MarketListError(
            f"{path}: expected the columns 시장명, 소재지도로명주소, … of the official list, or market_id, name, region; found {', '.join(sorted(columns)) or 'none'}."
        )
    markets: dict[str, Market] = {}
    problems = []
    for row in rows:
        line, fields = rows.line_num, fields_of(row)
        if fields is None:
            problems.append(f"line {line}: left out: it has fewer fields than the first line has names")
            continue
        try:
            market = msgspec.convert(fields, Market, strict=False)
        except msgspec.ValidationError as error:
            problems.append(f"line {line}: left out: {error}")
            continue
        if market.market_id in markets:
            problems.append(f"line {line}: {market.name} stands twice with the same address; the last one counts")
        if market.latitude is None:
            problems.append(f"line {line}: {market.name} has no coordinates; it is missing on maps only")
        markets[market.market_id] = market
    return MarketList(list(markets.values()), problems)


def unmatched(published: Path, markets: Iterable[Market]) -> list[str]:
    """The market ids that have attempts in what is published and are neither known there nor in ``markets``, most attempts first; none where nothing is published."""
    listed = {market.market_id for market in markets}
    try:
        with open_snapshot(published) as snapshot:
            seen = snapshot.query("markets_in_no_list")["market_id"].to_list()
    except NothingPublishedError:
        return []
    return [name for name in seen if name not in listed]


def _official(row: Mapping[str, str | None]) -> dict[str, object] | None:
    """None where the line breaks off: half a name is another market's."""
    if None in row.values():
        return None
    name = unicodedata.normalize("NFC", (row["시장명"] or "").strip())
    address = _first(row, "소재지도로명주소", "도로명주소", "소재지지번주소", "지번주소")
    words = address.split()
    region = row.get("시도") or (words[0] if words else "unknown")
    return {
        "market_id": row.get("시장코드") or "m" + hashlib.sha256(f"{name}|{address}".encode()).hexdigest()[:15],
        "name": name,
        "region": REGIONS.get(region, region),
        "district": row.get("시군구") or (words[1] if len(words) > 1 else None),
        "latitude": row.get("위도") or None,
        "longitude": row.get("경도") or None,
        "cycle": _cycle(row.get("시장개설주기") or ""),
        "merchants": row.get("점포수") or None,
    }


def _own(row: Mapping[str, str | None]) -> dict[str, object] | None:
    known = [field.name for field in msgspec.structs.fields(Market)]
    return {name: row[name] for name in known if row.get(name)}


def _cycle(text: str) -> str | None:
    """``2일+7일`` becomes ``2,7``; ``5일+10일`` becomes ``5,0``; every day becomes None."""
    days = [day[-1] for day in re.findall(r"(\d+)일", text)]
    return ",".join(days) or None


def _first(row: Mapping[str, str | None], *names: str) -> str:
    return next((text for name in names if (text := (row.get(name) or "").strip())), "")


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise MarketListError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        return decoded(raw)
    except EncodingError as error:
        raise MarketListError(f"{path} {error}") from None
