"""Make the plain client from the async one; `tests/house` checks that it is fresh.

    python scripts/build_client.py [--check]

Whoever changes `closingbell/client/asynchronous` runs it: each file is copied to `synchronous`, with
the words of async code replaced. Nothing is parsed: what cannot be said by replacing words does not
belong in the async files.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).resolve().parent.parent / "src" / "closingbell" / "client"
SOURCE, TARGET = CLIENT / "asynchronous", CLIENT / "synchronous"

#: In order; each is applied to the whole text.
REPLACEMENTS: tuple[tuple[str, str], ...] = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\b__a(enter|exit|iter)__\b", r"__\1__"),
    (r"\baclose\b", "close"),
    (r"\baread\b", "read"),
    (r"\baiter_raw\b", "iter_raw"),
    (r"\basyncio\.sleep\(", "clock.sleep("),
    (r"(?m)^import asyncio\n", ""),
    (r"\basynchronous\b", "synchronous"),
    (r"\basync client\b", "plain client"),
)
_CLOCK = "\nfrom closingbell.core.clock import SystemClock\n"


def convert(text: str) -> str:
    """Return plain code of async code."""
    for pattern, replacement in REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    if "clock.sleep(" in text and "import SystemClock" not in text:
        text = text.replace("clock.sleep(", "SystemClock().sleep(")
        text = text.replace(
            "\nfrom closingbell.core.error ", f"{_CLOCK}from closingbell.core.error ", 1
        )
    return text


def built() -> dict[str, str]:
    """Return the text of each plain file, formatted, by name."""
    texts = {}
    for path in sorted(SOURCE.glob("*.py")):
        text = convert(path.read_text(encoding="utf-8"))
        if path.name == "__init__.py":
            text = '"""The plain client, made from the async one by `scripts/build_client.py`."""\n'
        command = [sys.executable, "-m", "ruff"]
        stdin = ["--stdin-filename", str(TARGET / path.name), "-"]
        sorted_text = subprocess.run(
            [
                *command,
                "check",
                "--fix",
                "--unsafe-fixes",
                "--quiet",
                "--select",
                "I,UP028",
                *stdin,
            ],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        texts[path.name] = subprocess.run(
            [*command, "format", "--quiet", *stdin],
            input=sorted_text,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return texts


def stale() -> list[str]:
    """Return the names of plain files that differ from what would be made."""
    there = {path.name for path in TARGET.glob("*.py")}
    texts = built()
    return sorted(
        name
        for name in there | set(texts)
        if name not in there or (TARGET / name).read_text(encoding="utf-8") != texts.get(name)
    )


def main() -> int:
    """Write the files, or with --check name those that are stale; return the exit code."""
    if "--check" in sys.argv[1:]:
        names = stale()
        for name in names:
            print(f"stale: {TARGET / name}: run scripts/build_client.py")
        return 1 if names else 0
    TARGET.mkdir(exist_ok=True)
    texts = built()
    for path in TARGET.glob("*.py"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (TARGET / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
