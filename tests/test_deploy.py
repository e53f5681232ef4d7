"""Files that operators take over: they ask only for what the worker tells, and are what Prometheus and Grafana read."""

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from streams.health import metrics
from tests.test_health import LATER, NOON, manifest

ROOT = Path(__file__).parent.parent
BOARD = json.loads((ROOT / "deploy" / "grafana" / "onnuri.json").read_text())
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
UNITS_AND_COUNTS = ("_total", "_seconds", "_bytes", "_records", "_info", "_up", "_waiting", "_ranges", "_refusals", "_names")


def told() -> str:
    """Everything that a worker may tell."""
    lost = {"topic": "payments", "partition": 0, "from_offset": 1, "to_offset": 5, "cause": "gone", "found_at": NOON.isoformat()}
    source = {"topic": "payments", "partition": 0, "lag": 3, **dict.fromkeys(("accepted", "duplicate", "late", "refused", "lost"), 1)}
    return metrics("running", manifest(sources=[source], refusals={"malformed": 1}, lost_ranges=[lost]), 0, LATER).decode()


def names(text: str) -> set[str]:
    return set(re.findall(r"\b(?:onnuri|process)_\w+", text))


def asked() -> list[tuple[str, str]]:
    shown = [(panel["title"], target["expr"]) for panel in BOARD["panels"] for target in panel["targets"]]
    return shown + [(rule["alert"], rule["expr"]) for group in RULES for rule in group["rules"]]


@pytest.mark.parametrize(("title", "expression"), asked())
def test_what_a_panel_or_an_alert_asks_for_the_worker_tells(title, expression):
    series = {re.split(r"[{ ]", line)[0] for line in told().splitlines() if not line.startswith("#")}
    wanted = names(expression)
    assert wanted or "up{" in expression
    assert wanted - series == set()


def test_an_operator_is_told_of_every_metric_by_its_name():
    ours = {line.split()[2] for line in told().splitlines() if line.startswith("# TYPE onnuri_")}
    assert ours - names((ROOT / "docs" / "operations.md").read_text()) == set()


def test_metrics_are_named_as_prometheus_asks():
    kinds = dict(line.split()[2:] for line in told().splitlines() if line.startswith("# TYPE"))
    assert [name for name, kind in kinds.items() if (kind == "counter") != name.endswith("_total")] == []
    assert [name for name in kinds if name.startswith("onnuri_") and not name.endswith(UNITS_AND_COUNTS)] == []


def test_what_an_operator_must_hear_of_has_an_alert_with_what_to_do():
    rules = {rule["alert"]: rule for group in RULES for rule in group["rules"]}
    assert {"OnnuriWorkerDown", "OnnuriLagGrows", "OnnuriPublishedStateStale", "OnnuriRecordsLost", "OnnuriRefusedShare"} <= rules.keys()
    assert [name for name, rule in rules.items() if not {"summary", "description"} <= rule["annotations"].keys() or "severity" not in rule["labels"]] == []


def test_prometheus_takes_the_rules_and_alarms_as_meant():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")
    folder = ROOT / "deploy" / "prometheus"
    run = subprocess.run([promtool, "test", "rules", str(folder / "alerts_test.yml")], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture
def audit(monkeypatch):
    spec = importlib.util.spec_from_file_location("audit", ROOT / "deploy" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "bill_of_materials", lambda python, out: 3)
    return module


def test_a_database_that_cannot_be_asked_is_told_and_no_clean_bill(audit, tmp_path, capsys):
    # The tests' environment has no pip-audit, so nobody can be asked; what an earlier run found must not be taken for an answer.
    (tmp_path / "audit.json").write_text('{"dependencies": []}')
    assert audit.main("python", "constraints.txt", str(tmp_path)) == 0
    assert audit.main("python", "constraints.txt", str(tmp_path), "--strict") == 2
    assert capsys.readouterr().out.count("could not be asked (") == 2


def test_a_mirror_that_knows_no_package_is_no_database(audit, tmp_path, monkeypatch):
    def answers(command, **_):
        Path(command[command.index("--output") + 1]).write_text('{"dependencies": [{"name": "one", "skip_reason": "not found"}]}')
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(audit.subprocess, "run", answers)
    assert audit.vulnerabilities(Path("constraints.txt"), tmp_path / "audit.json") == (None, "it knows none of the 1 pins: not found")


def test_a_known_vulnerability_is_named_and_fails(audit, tmp_path, capsys, monkeypatch):
    found = [
        {"name": "one", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]},
        {"name": "two", "version": "2.0", "vulns": []},
        {"name": "three", "skip_reason": "not there"},
    ]
    monkeypatch.setattr(audit, "vulnerabilities", lambda constraints, out: (found, ""))
    assert audit.main("python", "constraints.txt", str(tmp_path)) == 1
    said = capsys.readouterr().out
    assert "one 1.0: PYSEC-1, mended in 1.1" in said and "1 pins, which the database does not have: three." in said and "2 of 3 pins were looked up" in said
    monkeypatch.setattr(audit, "vulnerabilities", lambda constraints, out: (found[1:], ""))
    assert audit.main("python", "constraints.txt", str(tmp_path)) == 0


def test_the_evidence_that_the_threat_model_names_is_there():
    text = (ROOT / "docs" / "security.md").read_text()
    named = set(re.findall(r"[`(](?:\.\./)?((?:streams|warehouse|dashboard|tests|deploy)/[\w/.-]+\.\w+)[`)]", text))
    assert len(named) > 30
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_the_threat_model_looks_at_every_chapter_of_the_standard():
    rows = re.findall(r"^\| V(\d+) [^|]+\| (\S+) \|", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 18))
    assert {state for _, state in rows} <= {"holds", "partly", "does", "–"}


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md", "docker-compose.yml"])
def test_the_demo_in_containers_is_told_with_the_clock_that_it_needs(page):
    told = re.findall(r"(?:\w+=\S+ )*docker compose [^`\n]*?--profile demo", (ROOT / page).read_text(), re.MULTILINE)
    simulator, worker = (COMPOSE["services"][name]["environment"]["ONNURI_CLOCK"] for name in ("simulator", "worker"))
    # Days that are long past are refused by a worker on the wall's clock, which is what compose gives it where nothing is said.
    assert (simulator, worker) == ("replay", "${ONNURI_CLOCK:-wall}")
    assert told
    assert [command for command in told if not command.startswith(f"ONNURI_CLOCK={simulator} ")] == []
    assert (ROOT / page).read_text().count("--profile demo") == len(told)
