"""Do what packaging/Dockerfile says, step by step, in a folder instead of an image.

    python scripts/rehearse_image.py

For machines without a container engine. As root it needs an interpreter that others may read. Its RUN and COPY lines are carried out as they are written, with
/build, /opt, /desk, /data and /usr/local/bin under the folder; then the service is started as the
image starts it, as user 10001 where this is root, and asked by the image's own health check. Needs a package
registry, as building the image does. What it cannot show: the base image, its user, its namespaces.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "packaging" / "Dockerfile"
USER = 10001
_PLACES = ("/build", "/opt/closingbell", "/desk", "/data", "/usr/local/bin/closingbell")


def instructions(text: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions as (name, rest), comments left out and lines joined."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    words = (line.partition(" ") for line in whole.splitlines() if line.strip())
    return [(name, rest) for name, _, rest in words]


class Rehearsal:
    """The image's file system, as far as the steps touch it, under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workdir = "/"
        self.environment: dict[str, str] = {}
        self.command: list[str] = []
        self.health: list[str] = []

    def placed(self, text: str) -> str:
        """Return a text whose paths of the image are those under the folder."""
        places = "|".join(re.escape(place) for place in _PLACES)
        return re.sub(rf"(?<![\w.])({places})(?![\w])", rf"{self.root}\1", text)

    def follow(self) -> None:
        """Carry out every instruction in order."""
        for name, rest in instructions(DOCKERFILE.read_text()):
            match name:
                case "WORKDIR":
                    self.workdir = rest
                    Path(self.placed(rest)).mkdir(parents=True, exist_ok=True)
                case "COPY":
                    self._copy(shlex.split(rest))
                case "RUN":
                    self._run(rest)
                case "ENV":
                    pairs = (pair.partition("=") for pair in shlex.split(rest))
                    self.environment |= {key: value for key, _, value in pairs}
                case "HEALTHCHECK":
                    self.health = json.loads(rest[rest.index("CMD ") + 4 :])
                case "CMD":
                    self.command = json.loads(rest)
                case "ENTRYPOINT":
                    (entry,) = json.loads(rest)
                    self.entry = entry

    def _copy(self, words: list[str]) -> None:
        *sources, target = [word for word in words if not word.startswith("--")]
        if "--from=build" in words:
            # It is there already: both stages are in one folder.
            return
        into = Path(self.placed(target if target.startswith("/") else f"{self.workdir}/{target}"))
        for source in sources:
            here = ROOT / source
            if here.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(here, into, ignore=ignore, dirs_exist_ok=True)
            elif target.endswith("/"):
                into.mkdir(parents=True, exist_ok=True)
                shutil.copy(here, into)
            else:
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(here, into)

    def _run(self, command: str) -> None:
        if "useradd" in command:
            # A user is the image's own; here its folders are made, and its number is used.
            command = command[command.index("mkdir ") :]
            if os.geteuid() != 0:
                command = command[: command.index(" && chown")]
        print("RUN", command, flush=True)
        # The image's `python` is this one; user 10001 must be able to read it.
        host = self.root / "host"
        host.mkdir(exist_ok=True)
        if not (host / "python").exists():
            (host / "python").symlink_to(sys.executable)
        environment = {**os.environ, "PATH": f"{host}:{os.environ['PATH']}"}
        environment.pop("VIRTUAL_ENV", None)
        subprocess.run(
            ["sh", "-ec", self.placed(command)],
            cwd=self.placed(self.workdir),
            env=environment,
            check=True,
        )

    def serve(self) -> None:
        """Start the service as the image does, until its health check is content; then stop it."""
        desk = Path(self.placed("/desk"))
        (desk / "desk.py").write_text(
            "from closingbell import create_app\n\napp = create_app()\n\n\n"
            '@app.task(interval="1s")\ndef tick() -> None: ...\n'
        )
        environment = {name: self.placed(value) for name, value in self.environment.items()}
        environment |= {"CLOSINGBELL_HOST": "127.0.0.1", "CLOSINGBELL_PORT": "18470"}
        environment["CLOSINGBELL_DATABASE"] = f"sqlite:///{self.placed('/data')}/closingbell.db"
        who = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
        entry = self.placed(f"/usr/local/bin/{self.entry}")
        service = subprocess.Popen([entry, *self.command], cwd=desk, env=environment, **who)  # type: ignore[call-overload]
        try:
            deadline = time.monotonic() + 30
            while True:
                healthy = subprocess.run(
                    self.health, env=environment, capture_output=True, text=True, check=False
                )
                if healthy.returncode == 0:
                    break
                if time.monotonic() > deadline or service.poll() is not None:
                    raise SystemExit(f"never healthy: {healthy.stderr[-500:]}")
                time.sleep(0.5)
            status = Path(f"/proc/{service.pid}/status")
            if status.exists():
                print(next(line for line in status.read_text().splitlines() if line[:4] == "Uid:"))
            service.send_signal(signal.SIGTERM)
            code = service.wait(30)
        finally:
            service.kill()
        if code != 0:
            raise SystemExit(f"the service ended with {code} on SIGTERM")
        print("healthy, and stopped by SIGTERM with 0")


def main() -> None:
    """Rehearse in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="closingbell-image-") as folder:
        Path(folder).chmod(0o755)
        rehearsal = Rehearsal(Path(folder))
        rehearsal.follow()
        rehearsal.serve()


if __name__ == "__main__":
    main()
