"""``python -m dashboard.report INCIDENT --out DIR``: write the report; what ``onnuri report`` starts.

Prints one JSON object: the files, and the payload that ``onnuri`` sends when the edition is issued. Errors are one line and exit code 1.
"""

import argparse
import json
import sys
from pathlib import Path

from dashboard.report.author import AuthorError, read_author
from dashboard.report.gathering import STAGES, UnfinishedError
from dashboard.report.wording import Wording, why_unfinished
from dashboard.report.writing import issued, write_report
from dashboard.settings import DashboardSettings
from dashboard.texts import LANGUAGES, texts_in
from warehouse.reading import NothingPublishedError, NotKnownError


def main() -> None:
    """Write the files and say so."""
    parser = argparse.ArgumentParser(prog="python -m dashboard.report", description="Write the loss report on an incident as PDF, HTML and XLSX.")
    parser.add_argument("incident", help="Id of the incident, from: onnuri incidents.")
    parser.add_argument("--out", type=Path, required=True, help="Folder for the files.")
    parser.add_argument("--lang", choices=LANGUAGES, default=None, help="Language (default: ONNURI_LANGUAGE).")
    parser.add_argument("--stage", choices=STAGES, default="draft", help="Stage of the edition (default: %(default)s).")
    parser.add_argument("--author", type=Path, default=None, help="Folder of causes.toml, measures.csv, … (default: ONNURI_REPORT_FILES).")
    parser.add_argument("--note", default="", help="A note for the revision log.")
    parser.add_argument("--snapshot", type=int, default=None, help="Number of a lake's snapshot to make it from (default: the newest).")
    given = parser.parse_args()
    settings = DashboardSettings.read()
    try:
        written = write_report(
            settings.published,
            given.incident,
            read_author(given.author or settings.report_files),
            given.lang or settings.language,
            stage=given.stage,
            snapshot=given.snapshot,
        )
        given.out.mkdir(parents=True, exist_ok=True)
        files = [given.out / f"{written.name}.{ending}" for ending in written.files]
        for file, content in zip(files, written.files.values(), strict=True):
            file.write_bytes(content)
    except UnfinishedError as error:
        words = Wording(texts_in(given.lang or settings.language))
        sys.exit(f"{words('report_page.final_refused')} {why_unfinished(error, words)}")
    except (AuthorError, NothingPublishedError, NotKnownError, OSError) as error:
        sys.exit(str(error))
    print(json.dumps({"files": [str(file) for file in files], "edition": issued(written, given.note)}, ensure_ascii=False))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
