"""``make audit``: a bill of materials of what is installed, and the known vulnerabilities of what is pinned.

``python deploy/audit.py PYTHON CONSTRAINTS FOLDER``: writes ``sbom.json`` (CycloneDX) on the packages of the interpreter PYTHON and ``audit.json`` on the pins
into FOLDER. Exit code: 0 where no vulnerability is known or nobody could be asked, which is then said; 1 where one is known. ``--strict``: 2 where nobody could be asked.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

UNASKED = 2


def bill_of_materials(python: str, out: Path) -> int:
    """Write the bill of materials; returns the number of packages on it."""
    out.unlink(missing_ok=True)
    made = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", "pyproject.toml", "--output-reproducible", "--output-file", str(out), python]
    subprocess.run(made, check=True)
    return len(json.loads(out.read_text(encoding="utf-8"))["components"])


def vulnerabilities(constraints: Path, out: Path) -> tuple[list[dict[str, Any]] | None, str]:
    """The packages with what is known of each; None where the database could not be asked, with its last words."""
    out.unlink(missing_ok=True)
    asked = ["--requirement", str(constraints), "--no-deps", "--disable-pip", "--format", "json", "--output", str(out), "--progress-spinner", "off"]
    run = subprocess.run([sys.executable, "-m", "pip_audit", *asked], capture_output=True, text=True, check=False)
    if not out.exists():
        # It ends with 1 for a vulnerability and for a network that is away; only the former writes the file.
        return None, (run.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
    found: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))["dependencies"]
    if found and all("skip_reason" in package for package in found):
        # A mirror of the packages without the database answers like this.
        return None, f"it knows none of the {len(found)} pins: {found[0]['skip_reason']}"
    return found, ""


def verdict(packages: list[dict[str, Any]]) -> tuple[list[str], bool]:
    """Lines to print, and whether a vulnerability is known. Packages that the database has no answer about are named."""
    lines = [
        f"{package['name']} {package['version']}: {known['id']}, mended in {', '.join(known['fix_versions']) or 'no version yet'}"
        for package in packages
        for known in package.get("vulns", [])
    ]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if unknown:
        lines.append(f"Nothing is known of {len(unknown)} pins, which the database does not have: {', '.join(unknown)}.")
    looked_up = len(packages) - len(unknown)
    vulnerable = any(package.get("vulns") for package in packages)
    lines.append(f"{looked_up} of {len(packages)} pins were looked up: {'see above' if vulnerable else 'no vulnerability is known of them'}.")
    return lines, vulnerable


def main(python: str, constraints: str, folder: str, *options: str) -> int:
    """Do both, and say what came of it."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    print(f"{bill_of_materials(python, out / 'sbom.json')} packages are listed in {out / 'sbom.json'} (CycloneDX).")
    packages, said = vulnerabilities(Path(constraints), out / "audit.json")
    if packages is None:
        print(f"The database of vulnerabilities could not be asked ({said}), so nothing is known of the pins. Ask again from where there is a network.")
        return UNASKED if "--strict" in options else 0
    lines, vulnerable = verdict(packages)
    print("\n".join(lines), f"All of it: {out / 'audit.json'}.", sep="\n")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
