"""No token, cookie or code of a service is in what it writes, however much it writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from closingbell.core.token import read_token


def test_output_of_a_service_that_was_signed_into_has_no_secret(
    sqlite_address: str, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.noisy_server", sqlite_address, str(note)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        assert server.stdout is not None
        lines = []
        for line in server.stdout:
            lines.append(line)
            if line == "ready\n":
                break
        token_file, address, url = note.read_text().split()
        secrets = used(Path(token_file).read_text().strip(), address, url)
        rest, _ = server.communicate()
    output = "".join(lines) + rest
    # It is the output of the service, and it did write about these requests.
    assert '"GET /sign-in HTTP/1.1" 200' in output
    assert '"POST /api/v1/tokens HTTP/1.1" 201' in output
    assert "a sign-in from 127.0.0.1 was refused" in output
    assert [name for name, secret in secrets.items() if secret in output] == []


def used(token: str, address: str, url: str) -> dict[str, str]:
    """Sign in in every way, rightly and wrongly; return what must stay secret."""
    wrong = "cb_0123456789abcdef_" + "5" * 64
    bearer = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, timeout=30) as client:
        assert client.get(address).status_code == 200
        first = client.cookies["closingbell_session"]
        csrf = client.get("/api/v1/session").json()["csrf_token"]
        client.delete("/api/v1/session", headers={"X-CSRF-Token": csrf})
        client.cookies.clear()
        assert client.get(address).status_code == 401
        asked = {"name": "robot", "role": "viewer"}
        made = client.post("/api/v1/tokens", json=asked, headers=bearer).json()["token"]
        assert client.post("/sign-in", data={"token": made}).status_code == 303
        second = client.cookies["closingbell_session"]
        client.cookies.clear()
        assert client.post("/api/v1/session", json={"token": made}).status_code == 201
        third = client.cookies["closingbell_session"]
        assert client.post("/api/v1/session", json={"token": wrong}).status_code == 401
        assert client.post("/sign-in", data={"token": wrong}).status_code == 401
        bad = {"Authorization": f"Bearer {wrong}"}
        assert client.get("/api/v1/session", headers=bad).status_code == 401
        assert client.get("/sign-in", params={"code": "wr0ng-c0de"}).status_code == 401
    own, robot = read_token(token), read_token(made)
    assert own is not None
    assert robot is not None
    return {
        "the first token": own.secret,
        "a made token": robot.secret,
        "a wrong token": "5" * 64,
        "the code": address.rpartition("=")[2],
        "a wrong code": "wr0ng-c0de",
        "the first cookie": first,
        "the second cookie": second,
        "the third cookie": third,
        "the CSRF token": csrf,
    }
