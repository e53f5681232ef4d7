"""What holds the parts together: packages, arrows between them, and the commands and names that files and documents promise."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import click
import pytest
import typer
import yaml
from packaging.requirements import Requirement

from dashboard.settings import DashboardSettings
from streams import kafka_jars
from streams.settings import SettingError, Settings, unknown_names
from streams.standby import refuse_unshared
from warehouse.access import AccessError
from warehouse.analysis.opening import identity

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
UNITS = sorted((ROOT / "docs").glob("onnuri-worker*.service"))
SCALE = dict(line.split("=", 1) for line in (ROOT / "deploy" / "scale.env").read_text().splitlines() if line and not line.startswith("#"))
DOCUMENTS = [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))] if path.is_file()]


def modules(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Every dotted name that a module imports, also within functions; a relative import as its full name."""
    names: set[str] = set()
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = ".".join([*package[: len(package) + 1 - node.level], *([node.module] if node.module else [])]) if node.level else str(node.module)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def offenders(paths: list[Path], forbidden: set[str]) -> list[str]:
    assert paths, "nothing was looked at"
    return [f"{path.relative_to(ROOT)} imports {name}" for path in paths for name in sorted(imported(path)) if name.split(".")[0] in forbidden]


def commands() -> set[str]:
    """``worker``, ``markets import``, …: every command of the typer app."""
    group = typer.main.get_command(importlib.import_module("streams.cli").app)

    def walk(command: click.Command, name: str) -> set[str]:
        below = getattr(command, "commands", None)
        return {name} if below is None else {found for sub, child in below.items() for found in walk(child, f"{name} {sub}".strip())}

    return walk(group, "")


def settings_named(text: str) -> set[str]:
    return set(re.findall(r"\bONNURI_([A-Z_]+)\b", text))


# Arrows


def test_the_warehouse_imports_neither_streams_nor_dashboard():
    assert offenders(modules("warehouse"), {"streams", "dashboard"}) == []


def test_the_dashboard_does_not_import_streams():
    assert offenders(modules("dashboard"), {"streams"}) == []


def test_streams_do_not_import_the_dashboard():
    assert offenders(modules("streams"), {"dashboard"}) == []


def test_the_analysis_is_pure():
    assert offenders(modules("warehouse/analysis"), {"faust", "kafka", "aiokafka", "duckdb", "streamlit"}) == []


def test_decoding_is_pure():
    assert (
        offenders([ROOT / "streams" / f"{name}.py" for name in ("decoding", "scanning", "nesting")], {"faust", "kafka", "aiokafka", "duckdb", "streamlit"})
        == []
    )


def test_only_one_module_opens_databases():
    def opens(path: Path) -> bool:
        calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        attributes = any(isinstance(call, ast.Attribute) and call.attr == "connect" and ast.unparse(call.value) == "duckdb" for call in calls)
        return attributes or "duckdb.connect" in imported(path)

    found = [path.relative_to(ROOT).as_posix() for path in modules("streams", "warehouse", "dashboard", "benchmarks") if opens(path)]
    assert found == ["warehouse/connection.py"]


# Packages


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_are_plain_pins_without_hosts():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []


def test_every_package_that_an_install_brings_is_pinned():
    pinned = {canonical(name) for name in pins()}
    todo = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]
    seen: set[str] = set()
    while todo:
        requirement = Requirement(todo.pop())
        name = canonical(requirement.name)
        if name not in seen and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            seen.add(name)
            todo += metadata.requires(name) or []
    assert seen - pinned == set()


def test_the_wheel_carries_every_file_that_is_read_at_run_time(tmp_path):
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in ("streams", "warehouse", "dashboard")
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".sql", ".toml", ".css", ".typ"}
    }
    program = "from setuptools import setup; setup()"
    for name in ("pyproject.toml", "LICENSE", "streams", "warehouse", "dashboard"):
        (tmp_path / name).symlink_to(ROOT / name)
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, "-q", "build_py", "--build-lib", "built"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    built = {path.relative_to(tmp_path / "built").as_posix() for path in (tmp_path / "built").rglob("*") if path.is_file()}
    assert wanted
    assert wanted - built == set()


def test_what_builds_is_what_is_pinned():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert build == [f"setuptools=={pins()['setuptools']}"]


# Containers


def test_compose_and_dockerfile_name_only_commands_that_exist():
    asked = {service["command"][0] for service in OURS.values()} | {yaml.safe_load(re.search(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE).group(1))[0]}
    assert re.search(r'^ENTRYPOINT \["onnuri"\]$', DOCKERFILE, re.MULTILINE)
    assert PROJECT["scripts"] == {"onnuri": "streams.cli:main"}
    assert asked - commands() == set()


def test_compose_passes_only_options_that_exist():
    group = typer.main.get_command(importlib.import_module("streams.cli").app)
    for service in OURS.values():
        name, *arguments = service["command"]
        group.commands[name].make_context(name, list(arguments), resilient_parsing=False)


def test_compose_dockerfile_and_documents_name_only_settings_that_exist():
    known = {name.upper() for name in Settings.model_fields} | {"TEST_KAFKA", "DATA"}
    for path in [ROOT / "docker-compose.yml", ROOT / "Dockerfile", ROOT / "deploy" / "scale.env", *UNITS, *DOCUMENTS]:
        assert settings_named(path.read_text()) - known == set(), path


def test_no_example_names_an_incident_that_only_some_warehouse_has():
    # An id holds the minute of detection, which another version or another country finds elsewhere: who reads is sent to the list.
    made = re.compile(r"\b\d{8}-\d{4}-[a-z]+-[0-9a-f]{6}\b")
    assert made.fullmatch(identity(29_000_000, "nation", ""))
    assert [str(path.relative_to(ROOT)) for path in [*DOCUMENTS, *modules("streams", "warehouse", "dashboard")] if made.search(path.read_text())] == []
    assert "onnuri incidents" in (ROOT / "docs" / "report.md").read_text().partition("onnuri report INCIDENT")[0]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_systemd_unit_starts_the_worker_again_whatever_ended_it(unit):
    said = [line for line in unit.read_text().splitlines() if line and not line.startswith("#")]
    assert {"ExecStart=/opt/onnuri/.venv/bin/onnuri worker", "Restart=always", "StartLimitIntervalSec=0"} <= set(said)
    # A line without a value would be a slip, and systemd would only warn.
    assert all(line.startswith("[") or line.partition("=")[2] for line in said)


def filled_in(value: object, given: dict[str, str]) -> str:
    """A value as compose makes it of ``${NAME:-default}``."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: given.get(found[1]) or found[2], str(value))


@pytest.mark.parametrize("given", [{}, {**SCALE, "LAKE_SECRET": "s3cret", "LAKE_USER_KEY": "k3y"}], ids=["file", "lake"])
def test_the_values_in_compose_are_valid_settings(monkeypatch, given):
    for service in OURS.values():
        for name, value in service["environment"].items():
            monkeypatch.setenv(name, filled_in(value, given))
        refuse_unshared(Settings.read())


def test_what_scale_env_sets_is_what_compose_asks_for():
    asked = set(re.findall(r"\$\{(\w+):-", (ROOT / "docker-compose.yml").read_text()))
    assert set(SCALE) - asked == {"COMPOSE_PROFILES"}
    assert asked - set(SCALE) == {"ONNURI_CLOCK", "ONNURI_ALERT_URL", "ONNURI_ALERT_SECRET"}
    assert [name for name, value in SCALE.items() if not value] == ["LAKE_SECRET", "LAKE_USER_KEY"]


def test_the_profile_scale_has_two_workers_of_one_lake_and_what_it_stands_on():
    workers = {name: service for name, service in OURS.items() if service["command"] == ["worker"]}
    assert set(workers) == {"worker", "worker-2"}
    first, second = ({key: value for key, value in service.items() if key not in ("ports", "profiles")} for service in workers.values())
    assert first == second
    profiled = {name for name, service in SERVICES.items() if SCALE["COMPOSE_PROFILES"] in service.get("profiles", [])}
    assert profiled == {"worker-2", "catalog", "store"}
    assert {name for name, how in first["depends_on"].items() if not how.get("required", True)} == {"catalog", "store"}
    catalog, store = SERVICES["catalog"]["environment"], SERVICES["store"]
    assert SCALE["ONNURI_WAREHOUSE"] == f"ducklake:postgres:host=catalog dbname={catalog['POSTGRES_DB']} user={catalog['POSTGRES_USER']}"
    assert SCALE["ONNURI_LAKE_DATA"].startswith(f"s3://{store['environment']['S3_BUCKET']}/")
    assert SCALE["STORE_ENDPOINT"].partition(":")[0] == "store" and SCALE["STORE_ENDPOINT"].partition(":")[2] in store["healthcheck"]["test"][-1]
    assert first["environment"]["PGPASSWORD"] == catalog["POSTGRES_PASSWORD"] == store["environment"]["AWS_SECRET_ACCESS_KEY"]


def test_ports_agree_with_the_settings():
    fields = Settings.model_fields
    for service, setting, path in (("worker", "web", "/health"), ("dashboard", "dashboard", "/_stcore/health")):
        port = fields[f"{setting}_port"].default
        assert SERVICES[service]["environment"][f"ONNURI_{setting.upper()}_PORT"] == port
        assert SERVICES[service]["ports"] == [f"127.0.0.1:{port}:{port}"]
        assert f"http://127.0.0.1:{port}{path}" in SERVICES[service]["healthcheck"]["test"][-1]
        assert str(port) in re.search(r"^EXPOSE (.+)$", DOCKERFILE, re.MULTILINE).group(1).split()


def test_published_ports_are_for_this_machine_only():
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_services_meet_at_kafkas_address():
    listeners = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert {f"PLAINTEXT://{service['environment']['ONNURI_KAFKA']}" for service in OURS.values()} == {listeners[0]}
    assert listeners[1].removeprefix("HOST://") == SERVICES["kafka"]["ports"][0].rpartition(":")[0]


def test_the_compose_kafka_is_the_one_that_is_tested():
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka_jars.KAFKA_VERSION}"


def test_volumes_are_declared_and_hold_what_must_last():
    mounted = {volume.split(":")[0]: volume.split(":")[1] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert set(mounted) == set(COMPOSE["volumes"])
    assert mounted["kafka"] == SERVICES["kafka"]["environment"]["KAFKA_LOG_DIRS"]
    for name in ("ONNURI_WAREHOUSE", "ONNURI_PUBLISHED"):
        assert Path(filled_in(SERVICES["worker"]["environment"][name], {})).is_relative_to(mounted["warehouse"])
        assert SERVICES["dashboard"]["environment"][name] == SERVICES["worker"]["environment"][name]


def test_every_service_says_how_it_is_looked_after():
    for name, service in SERVICES.items():
        once = service.get("profiles") == ["demo"]
        assert service["restart"] == ("no" if once else "unless-stopped"), name
        assert ("test" in service["healthcheck"]) is not once, name
        assert service["user"] not in ("", "root", "0"), name
        # Else a signal would not end what has not begun to handle it: the first process of a container ignores it.
        assert service.get("init", False) is (name in OURS), name
    users = re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE)
    assert users == [service["user"] for service in OURS.values()][:1]


def test_the_image_gets_every_file_that_it_copies():
    kept = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name.rstrip("/") for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]}
    assert copied == kept
    assert [name for name in copied if not (ROOT / name).exists()] == []


# What documents promise


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_exists(path):
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", path.read_text(), re.DOTALL))
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][\w-]*)", code)) - targets == set()
    known = commands() | {command.split()[0] for command in commands()}
    named = {found.strip() for found in re.findall(r"(?<![\w./-])onnuri ((?:markets )?[a-z][a-z-]*)", code)}
    assert named - known == set()


def test_every_make_target_is_explained():
    makefile = (ROOT / "Makefile").read_text()
    promised = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE).group(1).split()
    told = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    ).stdout
    assert set(re.findall(r"^  make ([a-z-]+)", told, re.MULTILINE)) == set(promised)
    assert {"demo", "test", "check", "bench", "lint", "clean"} <= set(promised)


def test_an_empty_setting_is_none_for_worker_commands_and_dashboard_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Settings.read()
    for name in Settings.model_fields:
        monkeypatch.setenv(f"ONNURI_{name.upper()}", "")
    assert Settings.read() == bare
    assert Settings.read().published_folder == DashboardSettings.read().published == Path("data/published")
    assert DashboardSettings.read() == DashboardSettings.read({})


@pytest.mark.parametrize("word", ["1", "y", "T", "on", "0", "N", "off", ""])
def test_pages_and_line_take_the_same_words_for_a_switch(word, monkeypatch):
    monkeypatch.setenv("ONNURI_PUBLIC_STATUS", word)
    assert DashboardSettings.read().public_status == Settings.read().public_status


def test_a_misspelt_setting_is_told_with_the_one_that_was_meant():
    given = {"ONNURI_RAW_DAY": "90", "ONNURI_RAW_DAYS": "90", "ONNURI_XYZZY": "", "ONNURI_TEST_KAFKA": "", "PATH": ""}
    assert unknown_names(given) == {"ONNURI_RAW_DAY": "ONNURI_RAW_DAYS", "ONNURI_XYZZY": ""}


def test_a_warehouse_is_not_named_as_its_key_is(tmp_path, monkeypatch):
    monkeypatch.setenv("ONNURI_WAREHOUSE", str(tmp_path / "w.key"))
    with pytest.raises(SettingError, match=r"ONNURI_WAREHOUSE is .*w\.key.*that is the name of the file beside it with the key"):
        Settings.read()


@pytest.mark.parametrize(("name", "value"), [("TOPIC_PREFIX", "온누리."), ("TOPIC_PREFIX", "a" * 201), ("PUBLISH_SECONDS", "inf"), ("BATCH_SECONDS", "nan")])
def test_what_could_never_work_is_refused_at_the_door(name, value, monkeypatch):
    monkeypatch.setenv(f"ONNURI_{name}", value)
    with pytest.raises(SettingError, match=name):
        Settings.read()


@pytest.mark.parametrize("name", ["ONNURI_PUBLIC_STATUS", "ONNURI_LANGUAGE"])
def test_a_word_that_the_pages_do_not_know_is_refused(name):
    with pytest.raises(AccessError, match=f"{name}: expected one of .*; got 'perhaps'"):
        DashboardSettings.read({name: "perhaps"})
