"""A service that writes everything it can to its log: what uvicorn notes, and debug lines.

Writes the sign-in address into the file that it is given, listens until its stdin ends.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from pathlib import Path

import uvicorn

from closingbell import create_app
from closingbell.api.application import create_api
from closingbell.api.security.entrance import entrance


def main(database: str, note: str) -> None:
    logging.basicConfig(level=logging.DEBUG)
    app = create_app(database, guardian=False)
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    made = entrance(app, url, terminal=False)
    config = uvicorn.Config(create_api(app), log_level="trace", access_log=True)
    server = uvicorn.Server(config)

    def until_told() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=until_told, daemon=True).start()
    Path(note).write_text(f"{made.token_file}\n{made.sign_in_url}\n{url}\n")
    print("ready", flush=True)
    server.run([listening])
    app.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
