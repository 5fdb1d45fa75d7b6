"""What lies under `deploy/`: each file as the program reads it that will, and the same paths under
the same guards."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from io import BytesIO
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec.models import ComposeSpecification, Service
from cronsim import CronSim
from dockerfile_parse import DockerfileParser

from sanityd import clock
from sanityd.authoring.demo import story
from sanityd.rules.load import load
from tests import ROOT
from tests.support.project import RULES, Project

DEPLOY = ROOT / "deploy"
UNITS = sorted(path.name for path in (DEPLOY / "systemd").iterdir())
MANIFESTS = sorted(
    path.name for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name not in ("rules.yaml",)
)
#: From the oldest that is still looked after to the newest that the schemas know.
KUBERNETES = ["1.33", "1.37"]
NOBODY = 65532


@pytest.fixture(scope="module")
def systemd_analyze() -> str:
    """The program that reads units."""
    found = shutil.which("systemd-analyze")
    if found is None and os.environ.get("SANITYD_REQUIRE_SERVICES") == "1":
        pytest.fail("systemd-analyze is not installed")
    return found or pytest.skip("systemd-analyze is not installed")


def test_systemd_takes_the_units(systemd_analyze: str, tmp_path: Path) -> None:
    """With the program where it is here: systemd looks whether it exists."""
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/sanityd/bin/sanityd", sys.executable))
    paths = [str(tmp_path / name) for name in UNITS]
    done = subprocess.run(
        [systemd_analyze, "verify", "--man=no", *paths], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_units_are_hardened(systemd_analyze: str, name: str) -> None:
    """The exposure of a unit without any guard is 9.6 of 10."""
    path = str(DEPLOY / "systemd" / name)
    words = [systemd_analyze, "security", "--offline=true", "--no-pager", "--threshold=15", path]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]


def test_the_daemon_has_time_to_end_and_begins_anew_when_it_is_broken() -> None:
    unit = (DEPLOY / "systemd" / "sanityd.service").read_text()
    for line in (
        "TimeoutStopSec=30",
        "Restart=on-failure",
        "RestartPreventExitStatus=2",
        "StartLimitIntervalSec=0",
    ):
        assert line in unit.splitlines()


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", [name for name in MANIFESTS if name != "kustomization.yaml"])
def test_kubernetes_takes_the_manifests(name: str, version: str) -> None:
    """Strictly: a key that it doesn't know would be ignored in silence."""
    for document in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()):
        kubernetes_validate.validate(document, version, strict=True)


def test_a_manifest_with_a_slip_is_refused() -> None:
    """Else the test above would say nothing."""
    document = yaml.safe_load((DEPLOY / "kubernetes" / "deployment.yaml").read_text())
    document["spec"]["template"]["spec"]["containers"][0]["securityContext"][
        "readOnlyRootFileSystem"
    ] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, KUBERNETES[0], strict=True)


def pods() -> list[dict[str, Any]]:
    """What the manifests want to run."""
    deployment = yaml.safe_load((DEPLOY / "kubernetes" / "deployment.yaml").read_text())
    cronjob = yaml.safe_load((DEPLOY / "kubernetes" / "cronjob.yaml").read_text())
    return [
        deployment["spec"]["template"]["spec"],
        cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"],
    ]


@pytest.mark.parametrize("pod", pods())
def test_pods_keep_the_restricted_profile(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_kustomization_names_what_is_there() -> None:
    found = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    files = [
        *found["resources"],
        *(file for one in found["configMapGenerator"] for file in one["files"]),
    ]
    assert [file for file in files if not (DEPLOY / "kubernetes" / file).exists()] == []
    assert found["configMapGenerator"][0]["name"] == pods()[0]["volumes"][0]["configMap"]["name"]


def test_compose_takes_the_file() -> None:
    document = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())
    ComposeSpecification.model_validate(document)
    known = {field.alias or name for name, field in Service.model_fields.items()}
    for service in document["services"].values():
        assert service.keys() <= known
        assert "privileged" not in service
    ours = document["services"]["sanityd"]
    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]
    assert ours["deploy"]["replicas"] == 2
    context = (DEPLOY / "docker" / ours["build"]["context"]).resolve()
    assert (context / ours["build"]["dockerfile"]).exists()


@pytest.mark.parametrize(
    "path", sorted(DEPLOY.rglob("rules.yaml")), ids=lambda path: path.parent.name
)
def test_rules_that_are_deployed_are_right(path: Path) -> None:
    load(path, {"APP_DATABASE_URL": "postgresql://localhost/app", "SMTP_URL": "smtp://localhost"})


@pytest.fixture
def dockerfile() -> DockerfileParser:
    """As Docker reads it."""
    return DockerfileParser(fileobj=BytesIO((DEPLOY / "docker" / "Dockerfile").read_bytes()))


def test_the_image_runs_as_nobody_and_holds_no_secret(dockerfile: DockerfileParser) -> None:
    steps = [(step["instruction"], step["value"]) for step in dockerfile.structure]
    assert [value for name, value in steps if name == "USER"][-1] == f"{NOBODY}:{NOBODY}"
    assert not {name for name, _ in steps} & {"ADD", "ARG"}
    assert not re.search(
        "password|secret|token", " ".join(value for name, value in steps if name == "ENV"), re.I
    )


def test_the_image_is_made_of_what_is_there(dockerfile: DockerfileParser) -> None:
    steps = [(step["instruction"], step["value"]) for step in dockerfile.structure]
    copied = [
        word
        for name, value in steps
        if name == "COPY" and "--from" not in value
        for word in value.split()[:-1]
    ]
    kept = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert copied
    assert set(copied) == kept
    assert [name for name in copied if not (ROOT / name).exists()] == []
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    [wanted] = [found for _, value in steps if (found := re.search(r"'\.\[(.*)\]'", value))]
    assert set(wanted[1].split(",")) <= extras.keys()


def test_cron_can_read_its_file() -> None:
    lines = [line for line in (DEPLOY / "cron" / "sanityd.cron").read_text().splitlines() if line]
    jobs = [line for line in lines if not line.startswith("#") and not re.match(r"\w+=", line)]
    [(*when, user, command)] = [line.split(maxsplit=6) for line in jobs]
    assert next(CronSim(" ".join(when), clock.now())) > clock.now()
    assert (user, "%" in command) == ("sanityd", False)
    assert subprocess.run(["sh", "-n", "-c", command], check=False).returncode == 0


#: Without its powers root may write only where the mode of a file says so, like anybody else.
POWERLESS = (
    ("setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
    if os.getuid() == 0
    else ()
)


def test_it_works_where_nothing_but_the_state_can_be_written(tmp_path: Path) -> None:
    """As in the container, whose file system is read-only."""
    project, home = Project(tmp_path / "etc"), tmp_path / "var"
    for folder in (project.folder, home):
        folder.mkdir()
    project.rules(RULES.replace("sqlite:///app.db", f"sqlite:///{home}/app.db"))
    story.begin(home / "app.db")
    project.folder.chmod(0o555)
    environment = {
        **os.environ,
        "SANITYD_STATE": f"sqlite:///{home}/state.db",
        "HOME": "/nonexistent",
    }
    words = [*POWERLESS, sys.executable, "-m", "sanityd"]
    writes = subprocess.run(
        [*POWERLESS, "touch", "there"], cwd=project.folder, capture_output=True, check=False
    )
    assert writes.returncode != 0
    checked = subprocess.run(
        [*words, "check"],
        cwd=project.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    log = tmp_path / "log"
    with log.open("w") as stderr:
        daemon = subprocess.Popen(
            [*words, "serve"], cwd=project.folder, env=environment, stderr=stderr
        )
    time.sleep(4)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=25) == 0
    assert "serving 2 rules" in log.read_text()
    assert "could not" not in log.read_text()
    assert [path.name for path in project.folder.iterdir()] == ["rules.yaml"]
