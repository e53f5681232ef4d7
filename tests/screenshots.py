"""Pictures of the pages for the documentation, from what a demo has published.

    python -m tests.screenshots --published data/demo/published --out docs/pictures

The live page and the public status are taken in the middle of the outage: the published Parquet is copied to a temporary folder, cut there to what had
occurred before ``--at``, and given a manifest of that moment. The other pages show the published state as it is. Ages are counted
from now: both copies get the present as the time of their publication.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.dashboard_browser import browser, missing_browser, served
from warehouse.connection import open_memory
from warehouse.states import HOURLY

PATIENCE = 120
OUTAGE = datetime.fromisoformat("2025-03-01T13:00+09:00")
IN_OUTAGE = ("live", "status")
"""What is taken in the middle of the outage."""

PAGES = {
    "live": ("/?", "[data-figure=sales]", 4),
    "incident": ("/incidents?", "[data-figure=lost]", 8),
    "market": ("/markets?market=m0374&", "[data-figure=market_sales]", 2),
    "failures": ("/failures?", "[data-figure=failure]", 1),
    "forecast": ("/forecast?", "[data-figure=needed]", 1),
    "compare": ("/compare?", ".st-key-compare_card table", 0),
    "status": ("/status?", ".st-key-status_now_card", 0),
    "data": ("/data?part=sql&sql=FROM%20market&", "[data-testid=stDataFrame]", 0),
}
"""A picture's name: the page's link, something that it shows, and how many charts."""


def published_until(published: Path, moment: datetime, folder: Path) -> Path:
    """A copy of the published state in ``folder``, as it stood at ``moment`` (aware)."""
    manifest = json.loads((published / "manifest.json").read_bytes())
    before = moment.astimezone(UTC).replace(tzinfo=None)
    connection = open_memory()
    files: dict[str, list[str]] = {}
    for table, names in manifest["files"].items():
        files[table] = []
        for name in names:
            made = folder / name
            made.parent.mkdir(parents=True, exist_ok=True)
            query = _cut(table, before)
            if query is None or not _newer(name, before):
                shutil.copyfile(published / name, made)
            else:
                quoted = [str(path).replace("'", "''") for path in (published / name, made)]
                connection.execute(f"COPY ({query.format(source=quoted[0])}) TO '{quoted[1]}' (FORMAT parquet)")
            files[table].append(name)
    connection.close()
    watermark = (moment - timedelta(minutes=1)).astimezone(UTC).isoformat()
    cut = {"files": files, "now": moment.astimezone(UTC).isoformat(), "watermark": watermark, "detected_through": watermark}
    _write_manifest(folder, {**manifest, **cut})
    return folder


def published_now(published: Path, folder: Path) -> Path:
    """A copy of the published state in ``folder``, published just now."""
    shutil.copytree(published, folder, dirs_exist_ok=True)
    _write_manifest(folder, json.loads((published / "manifest.json").read_bytes()))
    return folder


def _cut(table: str, before: datetime) -> str | None:
    moment = f"TIMESTAMP '{before:%Y-%m-%d %H:%M:%S}'"
    if table == "incident":
        seen = f"least(last_seen_at, {moment} - INTERVAL 1 MINUTE)"
        ended = f"CASE WHEN ended_at < {moment} THEN ended_at END"
        return f"SELECT * REPLACE ({seen} AS last_seen_at, {ended} AS ended_at) FROM read_parquet('{{source}}') WHERE detected_at < {moment}"
    if table == "failed_purchase":
        back = f"recovered_at < {moment}"
        known = f"CASE WHEN {back} THEN recovered_at END AS recovered_at, CASE WHEN {back} THEN recovered_amount END AS recovered_amount"
        return f"SELECT * REPLACE ({known}) FROM read_parquet('{{source}}') WHERE first_failure_at < {moment}"
    if table in HOURLY:
        return f"SELECT * FROM read_parquet('{{source}}') WHERE {HOURLY[table]} < {moment}"
    return None


def _newer(name: str, before: datetime) -> bool:
    """Whether a file may hold anything after ``before``; names of hours and days say so, others may."""
    day = Path(name).name[:10]
    return not (day[:4].isdigit() and day < f"{before - timedelta(days=2):%Y-%m-%d}")


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    # In the future, so that however long the pictures take the state is not called old.
    manifest["published_at"] = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def pictures(address: str, name: str, out: Path, profiles: Path) -> Iterator[Path]:
    """Take one page in both languages, at a desk and on a phone."""
    for width, language, file in ((1280, "ko", f"{name}-ko"), (1280, "en", f"{name}-en"), (390, "ko", f"{name}-phone-ko"), (390, "en", f"{name}-phone-en")):
        with browser(profiles / file, width=width) as driver:
            yield _picture(driver, address, name, language, out / f"{file}.png", width)


def _picture(driver: webdriver.Chrome, address: str, name: str, language: str, file: Path, width: int) -> Path:
    link, shown, charts = PAGES[name]
    driver.get(f"{address}{link}lang={language}")
    drawn = "[data-testid=stVegaLiteChart] :is(svg.marks, canvas.marks)"
    WebDriverWait(driver, PATIENCE).until(lambda d: d.find_elements(By.CSS_SELECTOR, shown))
    WebDriverWait(driver, PATIENCE).until(lambda d: len(d.find_elements(By.CSS_SELECTOR, drawn)) >= charts)
    return photograph(driver, file, width)


def photograph(driver: webdriver.Chrome, file: Path, width: int) -> Path:
    """A picture of the whole page as it stands."""
    height = _settled_height(driver)
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    # Charts and tables are drawn anew at the new size.
    time.sleep(2)
    driver.save_screenshot(str(file))
    # A palette keeps a picture of a page at a third of its size, and looks the same.
    with Image.open(file) as taken:
        drawn_with = taken.convert("RGB").quantize(192, dither=Image.Dither.NONE)
    drawn_with.save(file, optimize=True)
    return file


def _settled_height(driver: webdriver.Chrome) -> int:
    """The height of the whole page once it has stopped growing."""
    script = "return Math.ceil(document.querySelector('.stMainBlockContainer').getBoundingClientRect().height)"
    heights: list[int] = []
    for _ in range(PATIENCE):
        heights.append(int(driver.execute_script(script)))
        if len(heights) >= 4 and len(set(heights[-4:])) == 1:
            break
        time.sleep(0.5)
    return heights[-1] + 8


def main() -> None:
    """Take all pictures."""
    options = argparse.ArgumentParser(prog="python -m tests.screenshots", description="Pictures of the pages from what a demo has published.")
    options.add_argument("--published", type=Path, required=True, help="folder of a finished demo, e.g. data/demo/published")
    options.add_argument("--out", type=Path, default=Path("docs/pictures"), help="where the pictures go (default: %(default)s)")
    options.add_argument("--only", nargs="+", choices=list(PAGES), default=list(PAGES), help="these pages alone")
    options.add_argument("--at", type=datetime.fromisoformat, default=OUTAGE, help="moment of the live page and the public status (default: %(default)s)")
    given = options.parse_args()
    if missing_browser():
        sys.exit(f"Pictures need a browser, but there is {missing_browser()}.")
    if not (given.published / "manifest.json").is_file():
        sys.exit(f"Expected manifest.json in {given.published}, found none. Run first: onnuri demo --headless")
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        outage, present = published_until(given.published, given.at, folder / "outage"), published_now(given.published, folder / "present")
        for state, names in ((outage, IN_OUTAGE), (present, [name for name in PAGES if name not in IN_OUTAGE])):
            wanted = [name for name in names if name in given.only]
            if not wanted:
                continue
            with served(state) as address:
                for name in wanted:
                    for file in pictures(address, name, given.out, folder / "profiles"):
                        print(f"{file}  {file.stat().st_size // 1024} KB", flush=True)


if __name__ == "__main__":
    main()
