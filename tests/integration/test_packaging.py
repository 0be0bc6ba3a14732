"""The image's recipe, the compose file, the unit and the wheel: as far as they can be tried without an engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from closingbell.settings import Settings
from scripts.rehearse_image import instructions

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
STEPS = instructions((PACKAGING / "Dockerfile").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((PACKAGING / "compose.yaml").read_text())
UNIT = (PACKAGING / "closingbell.service").read_text()


def _values(name: str) -> list[str]:
    return [rest for step, rest in STEPS if step == name]


def _settings_in(text: str) -> set[str]:
    return {name.lower() for name in re.findall(r"CLOSINGBELL_([A-Z_]+)", text)}


# --- image -----------------------------------------------------------------------------------


def test_image_copies_only_what_is_there_and_reaches_the_builder() -> None:
    ignore = (ROOT / ".dockerignore").read_text()
    for rest in _values("COPY"):
        if "--from" in rest:
            continue
        *sources, _ = [word for word in rest.split() if not word.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source.split('/')[0]}" in ignore


def test_image_runs_as_a_user_with_a_fixed_number_that_is_not_root() -> None:
    (user,) = _values("USER")
    assert user == "10001:10001"
    assert "--uid 10001" in " ".join(_values("RUN"))
    # Who that is comes before what runs, and after all that needs to be root.
    names = [name for name, _ in STEPS]
    assert "RUN" not in names[names.index("USER") :]


def test_image_installs_by_hash_alone_and_names_no_registry() -> None:
    text = (PACKAGING / "Dockerfile").read_text() + (PACKAGING / "compose.yaml").read_text()
    assert "://" not in re.sub(r"(http://127\.0\.0\.1|sqlite://|postgresql://)", "", text)
    for line in _values("RUN"):
        for install in re.findall(r"pip install[^&]*", line):
            assert "--require-hashes" in install or "--no-index" in install, install


def _needed_by(name: str) -> set[str]:
    """A distribution and all that it needs here, by the names that locks write."""
    from importlib.metadata import requires

    from packaging.requirements import Requirement

    found = {name}
    for text in requires(name) or ():
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            found |= _needed_by(need.name)
    return found


def test_build_lock_pins_what_builds_the_wheel() -> None:
    lock = (ROOT / "requirements" / "build.txt").read_text()
    dev = (ROOT / "requirements" / "dev.txt").read_text()
    pins = re.findall(r"^([a-z-]+==\S+)", lock, re.MULTILINE)
    names = {pin.split("==")[0] for pin in pins}
    assert names == _needed_by("hatchling")
    assert all(f"\n{pin} " in f"\n{dev}" for pin in pins)
    assert "://" not in lock


def test_entrypoint_takes_the_password_from_its_file_and_becomes_the_program(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("pass word'\n")
    done = subprocess.run(
        ["sh", PACKAGING / "entrypoint.sh", sys.executable, "-c",
         "import os; print(os.environ['PGPASSWORD'], os.getppid())"],
        env={"DATABASE_PASSWORD_FILE": str(secret)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split("\n")[0] == f"pass word' {os.getpid()}"


def test_entrypoint_without_its_secret_starts_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", PACKAGING / "entrypoint.sh", "echo", "started"],
        env={"DATABASE_PASSWORD_FILE": str(tmp_path / "nothing"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "started" not in done.stdout


def test_settings_that_packaging_names_exist() -> None:
    known = set(Settings.__dataclass_fields__)
    texts = [path.read_text() for path in PACKAGING.iterdir() if path.is_file()]
    assert _settings_in("\n".join(texts)) <= known


# --- compose -----------------------------------------------------------------------------------


def test_compose_has_a_service_two_workers_and_a_database_that_is_waited_for() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"service", "worker", "database"}
    assert services["worker"]["deploy"]["replicas"] == 2
    for name in ("service", "worker"):
        assert services[name]["depends_on"]["database"] == {"condition": "service_healthy"}
        assert services[name]["build"]["dockerfile"] == "packaging/Dockerfile"
        assert services[name]["read_only"] is True
        assert services[name]["init"] is True
    assert services["database"]["image"] == "postgres:18"
    assert services["database"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]


def test_compose_commands_are_commands_of_closingbell() -> None:
    from closingbell.cli.main import commands

    names = {
        command.callback.__name__ for command in commands.registered_commands if command.callback
    }
    for name in ("service", "worker"):
        program, command, target = COMPOSE["services"][name]["command"]
        assert (program, target) == ("closingbell", "desk:app")
        assert command in names


def test_compose_keeps_secrets_in_files_and_listens_on_loopback_alone() -> None:
    assert {name: s["file"] for name, s in COMPOSE["secrets"].items()} == {
        "database_password": "./secrets/database_password",
        "admin_token": "./secrets/admin_token",
    }
    for service in COMPOSE["services"].values():
        assert set(service["secrets"]) <= set(COMPOSE["secrets"])
        for name, value in service["environment"].items():
            if re.search("PASSWORD|TOKEN|SECRET", name):
                assert name.endswith("_FILE"), name
                assert value.removeprefix("/run/secrets/") in service["secrets"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    mounted = {v.split(":")[0] for s in COMPOSE["services"].values() for v in s["volumes"]}
    assert mounted - {"./desk"} == set(COMPOSE["volumes"])


def test_compose_and_unit_wait_longer_for_a_stop_than_the_service_drains() -> None:
    grace = Settings().grace_s
    for name in ("service", "worker"):
        assert float(COMPOSE["services"][name]["stop_grace_period"].removesuffix("s")) > grace
    (stop,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert float(stop) > grace


# --- systemd -------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_unit_is_one_that_systemd_understands(tmp_path: Path) -> None:
    unit = tmp_path / "closingbell.service"
    program = shutil.which("true")
    unit.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={program}", UNIT, flags=re.MULTILINE))
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_unit_is_hardened_and_restarts() -> None:
    lines = set(UNIT.splitlines())
    assert {
        "DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes",
        "PrivateTmp=yes", "Restart=always", "KillMode=mixed", "CapabilityBoundingSet=",
    } <= lines  # fmt: skip
    (start,) = re.findall(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)
    assert start.split()[1:] == ["serve", "desk:app"]


# --- wheel ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as the image builds it, from what is in the lock."""
    into = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps",
         "--no-index", "--no-build-isolation", "--wheel-dir", into, source],
        check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    (built,) = into.glob("*.whl")
    return built


def test_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    package = ROOT / "src" / "closingbell"
    there = {
        path.relative_to(ROOT / "src").as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    assert there - packed == set()
    # Some that are not Python, by name: what a build that packs code alone would lose.
    kinds = {Path(name).suffix for name in packed if name.startswith("closingbell/")}
    assert {".py", ".typed"} - kinds <= {".typed"}
    assert any(name.startswith("closingbell/store/migrations/versions/") for name in packed)


def test_wheel_works_where_nothing_of_the_source_is(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    probe = (
        "import closingbell, sys; from closingbell.cli.main import commands;"
        "from closingbell.store.migrate import known_revisions;"
        "from closingbell.triggers import calendar_version;"
        "print(closingbell.__file__, known_revisions(), calendar_version())"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(tmp_path / "site"))
    assert "['0001']" in done.stdout
