"""Write docs/reference/openapi.json: the API as its clients are generated from it."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from closingbell import create_app
from closingbell.api.application import create_api

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "openapi.json"


def document() -> str:
    """Return the document; it is the same for every app."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(f"sqlite:///{folder}/desk.db")
        try:
            return json.dumps(create_api(app).openapi(), indent=1, sort_keys=True) + "\n"
        finally:
            app.stop()


if __name__ == "__main__":
    text = document()
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == text else f"{PAGE} is not up to date")
    PAGE.write_text(text, encoding="utf-8")
