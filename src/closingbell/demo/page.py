"""DeskPage: the desk's portfolio at an address of this machine, as it stands now."""

from __future__ import annotations

import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from closingbell.app import App

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
dl { display: flex; flex-wrap: wrap; gap: 1rem 2rem; } dt { opacity: .75; font-size: .85rem; }
dd { margin: 0; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
div { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #8884;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
"""


class DeskPage:
    """Serves the portfolio on loopback while it is entered."""

    def __init__(self, app: App, report: Path) -> None:
        """Bind a free port; nothing is answered before it is entered.

        Args:
            app: whose account "main" is shown.
            report: the page of a backtest, served beside it.
        """
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Answer a GET request; the name is the library's."""
                page.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: the terminal belongs to the desk."""

        self._app = app
        self._report = report
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="closingbell-page", daemon=True
        )

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> DeskPage:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request; who asks by another host's name is a page from elsewhere."""
        port = self._server.server_port
        if request.headers.get("Host") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
            request.send_error(421)
        elif request.path == "/":
            self._send(request, desk_html(self._app).encode())
        elif request.path == "/backtest.html" and self._report.is_file():
            self._send(request, self._report.read_bytes())
        else:
            request.send_error(404)

    def _send(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "text/html; charset=utf-8")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def desk_html(app: App) -> str:
    """Return the page of an app's account "main"."""
    portfolio = app.portfolio("main")
    figures = {
        "value": portfolio.total_value,
        "since it began": portfolio.total_value - portfolio.initial_value,
        "cash": portfolio.cash,
        "realised": portfolio.realized_pnl,
        "unrealised": portfolio.unrealized_pnl,
    }
    positions = _table(
        ("symbol", "quantity", "average price", "price", "value", "unrealised"),
        [
            (
                p.symbol,
                f"{p.quantity:,.2f}",
                f"{p.average_price:,.2f}",
                f"{p.price:,.2f}",
                f"{p.current_value:,.2f}",
                f"{p.unrealized_pnl:+,.2f}",
            )
            for p in portfolio.positions
        ],
    )
    runs = _table(
        ("task", "state", "due"),
        [(r.task, str(r.state), f"{r.due_at:%Y-%m-%d %H:%M} UTC") for r in app.list_runs(limit=15)],
    )
    told = "".join(
        f"<span><dt>{escape(name)}</dt><dd>{amount:,.2f}</dd></span>"
        for name, amount in figures.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="refresh" content="5"><title>The desk</title><style>{_STYLE}</style>'
        f"</head><body><h1>The desk, {app.clock.now():%Y-%m-%d %H:%M} UTC</h1>"
        f"<dl>{told}</dl><h2>Positions, {escape(portfolio.currency)}</h2>{positions}"
        f"<h2>Latest runs</h2>{runs}"
        '<p><a href="backtest.html">Backtest of the strategy</a></p></body></html>'
    )


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows
    )
    return f"<div><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
