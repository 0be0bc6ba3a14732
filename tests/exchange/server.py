"""A local exchange that speaks Binance's spot REST API (/api/v3), as far as ccxt calls it.

Start it, and trade on it with the real broker over real HTTP:

    from tests.exchange.server import LocalExchange

    def test_something(local_exchange: LocalExchange) -> None:     # the fixture of tests/conftest.py
        app.add_account(broker=local_exchange.broker(), currency="USDT", cash=10_000)
        ...
        local_exchange.set_price("BTC/USDT", 25_000)
        assert local_exchange.total("BTC") == Decimal("0.0999")

or, outside pytest, `with LocalExchange() as exchange:`. It begins with 10,000 USDT and the
markets and prices of `MARKETS` and `PRICES`; `local_exchange.books` has the orders, trades and
settings (fees, liquidity, lag), `local_exchange.fail(...)` orders one of the faults of
tests/exchange/fault.py. Requests are signed and checked as the real ones are.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

from closingbell.trading.broker.ccxt_broker import CcxtBroker
from tests.exchange import answer
from tests.exchange.fault import Fault
from tests.exchange.matching import ExchangeOrder, Market, Matching, Refused

KEY = "local-key-of-the-test-account"
SECRET = "local-secret-that-nobody-may-see"
MARKETS = (
    Market("BTC", "USDT"),
    Market("ETH", "USDT", step=Decimal("0.0001")),
    Market("ETH", "BTC", tick=Decimal("0.00001"), step=Decimal("0.0001"), least=Decimal("0.0001")),
    Market("BTC", "EUR"),
    Market("SOL", "USDT", step=Decimal("0.001")),
)
PRICES = {
    "BTCUSDT": Decimal(20_000),
    "ETHUSDT": Decimal(1_500),
    "ETHBTC": Decimal("0.075"),
    "BTCEUR": Decimal(18_000),
    "SOLUSDT": Decimal(25),
}
PREFIX = "/api/v3/"
LONGEST_HOLD_S = 60.0


class Request(NamedTuple):
    """A request that arrived; `name` is "POST order"."""

    name: str
    given: dict[str, str]


class LocalExchange:
    """The exchange: a matching engine behind an HTTP server on a free loopback port."""

    def __init__(self, *, balances: Mapping[str, str] | None = None) -> None:
        self.skew_ms = 0
        self.books = Matching(
            milliseconds=self.milliseconds,
            markets={market.id: market for market in MARKETS},
            prices=dict(PRICES),
        )
        for asset, amount in (balances or {"USDT": "10000"}).items():
            self.books.deposit(asset, Decimal(amount))
        self.requests: deque[Request] = deque(maxlen=10_000)
        self._faults: list[Fault] = []
        self._answered = threading.Condition()
        self.answered = 0
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for fault in self._faults:
            fault.release.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join(10)

    # --- for the test ----------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Where it listens; `base_url` of a CcxtBroker."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def broker(self, **options: Any) -> CcxtBroker:
        """Return a broker of this account; windows are short, so that no test waits long."""
        chosen: dict[str, Any] = {
            "exchange": "binance",
            "key": KEY,
            "secret": SECRET,
            "base_url": self.address,
            "timeout_s": 1.0,
            "window_s": 1.5,
            "settle_s": 0.5,
            # A budget of its own: those of real accounts are shared by all tests of a process.
            "rate": f"60000/1m@{self.address}",
        }
        return CcxtBroker(**(chosen | options))

    def fail(self, fault: Fault) -> Fault:
        """Order a fault for the next request of its kind."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def set_price(self, symbol: str, price: Decimal | float | str) -> None:
        """Move a price: "BTC/USDT"."""
        self.books.set_price(symbol.replace("/", ""), Decimal(str(price)))

    def fill(self, client_id: str, quantity: Decimal | float | str) -> None:
        """Fill a part of a resting order."""
        self.books.fill(client_id, Decimal(str(quantity)))

    def total(self, asset: str) -> Decimal:
        """Return all that the account holds of an asset."""
        return self.books.total(asset)

    @property
    def orders(self) -> list[ExchangeOrder]:
        """Every order that the exchange ever took."""
        return list(self.books.orders)

    def count(self, name: str) -> int:
        """Return how many requests of a kind arrived: "POST order"."""
        return sum(request.name == name for request in list(self.requests))

    def await_answers(self, count: int) -> None:
        """Wait until so many requests were dealt with, whether or not anybody heard it."""
        with self._answered:
            assert self._answered.wait_for(lambda: self.answered >= count, LONGEST_HOLD_S)

    # --- for the server ----------------------------------------------------------------------

    def milliseconds(self) -> int:
        """Return the exchange's clock."""
        return time.time_ns() // 1_000_000 + self.skew_ms

    def count_answer(self) -> None:
        """Say that a request was dealt with."""
        with self._answered:
            self.answered += 1
            self._answered.notify_all()

    def fault_of(self, name: str) -> Fault | None:
        """Return the fault that was ordered for a request, and count it."""
        with self._lock:
            for fault in self._faults:
                if fault.request == name and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def handle(self, name: str, given: dict[str, str]) -> Any:
        """Do what is asked; return JSON values.

        Raises:
            Refused: the exchange's own error.
        """
        books = self.books
        with books.lock:
            match name:
                case "GET ping":
                    return {}
                case "GET time":
                    return {"serverTime": self.milliseconds()}
                case "GET exchangeInfo":
                    return answer.exchange_info(books, self.milliseconds())
                case "GET ticker/24hr" | "GET ticker/price" | "GET ticker/bookTicker":
                    return answer.ticker(books, given, self.milliseconds())
                case "GET account":
                    return answer.account(books, self.milliseconds())
                case "POST order":
                    order = books.place(given)
                    return answer.order(order) | {"fills": answer.fills(books, order)}
                case "GET order":
                    return answer.order(books.find(given))
                case "DELETE order":
                    try:
                        order = books.find(given)
                    except Refused:
                        raise Refused(-2011, "Unknown order sent.") from None
                    books.cancel(order)
                    return answer.order(order)
                case "GET openOrders":
                    return [answer.order(o) for o in answer.chosen(books, given) if o.is_open]
                case "DELETE openOrders":
                    ended = [o for o in answer.chosen(books, given) if o.is_open]
                    for order in ended:
                        books.cancel(order)
                    return [answer.order(o) for o in ended]
                case "GET allOrders":
                    return [answer.order(o) for o in answer.history(books, given)]
                case "GET myTrades":
                    return answer.trades(books, given)
        raise Refused(-1000, f"no such endpoint: {name}", 404)

    def check(self, name: str, raw: str, given: dict[str, str], key: str | None) -> None:
        """Refuse what is not signed, or was signed too long ago.

        Raises:
            Refused: with the real codes.
        """
        public = {
            "ping",
            "time",
            "exchangeInfo",
            "ticker/24hr",
            "ticker/price",
            "ticker/bookTicker",
        }
        if name.split(" ", 1)[1] in public:
            return
        if key != KEY:
            raise Refused(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        signed, _, signature = raw.rpartition("&signature=")
        wanted = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, wanted):
            raise Refused(-1022, "Signature for this request is not valid.")
        now, stamp = self.milliseconds(), int(given["timestamp"])
        if stamp >= now + 1000:
            raise Refused(
                -1021, "Timestamp for this request was 1000ms ahead of the server's time."
            )
        if now - stamp > int(given.get("recvWindow", "5000")):
            raise Refused(-1021, "Timestamp for this request is outside of the recvWindow.")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A held request ends with the process that sent it; nobody waits for its thread.
    block_on_close = False

    def __init__(self, exchange: LocalExchange) -> None:
        self.exchange = exchange
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Break every connection: clients keep theirs open."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no error of the exchange."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _serve(self, method: str) -> None:
        exchange = self.server.exchange
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length).decode() if length else url.query
        given = dict(parse_qsl(raw, keep_blank_values=True))
        name = f"{method} {url.path.removeprefix(PREFIX)}"
        fault = exchange.fault_of(name) or Fault(name, accepted=True)
        exchange.requests.append(Request(name, given))
        if fault.hold and not fault.accepted:
            self._hold(fault)
        # A request that was held is read when it is let go, and too late is too late.
        if fault.accepted or fault.hold:
            try:
                exchange.check(name, raw, given, self.headers.get("X-MBX-APIKEY"))
                status, body = 200, json.dumps(exchange.handle(name, given)).encode()
            except Refused as problem:
                status = problem.status
                body = json.dumps({"code": problem.code, "msg": problem.message}).encode()
        else:
            status, body = 200, b""
        exchange.count_answer()
        if fault.hold and fault.accepted:
            self._hold(fault)
        if fault.reset:
            self._reset()
            return
        self._answer(fault, status, body)
        if fault.twice:
            self._answer(fault, status, body)

    def _hold(self, fault: Fault) -> None:
        fault.reached.set()
        fault.release.wait(LONGEST_HOLD_S)

    def _reset(self) -> None:
        # SO_LINGER of 0 seconds makes the kernel send RST instead of an orderly end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _answer(self, fault: Fault, status: int, body: bytes) -> None:
        if isinstance(fault.body, bytes):
            body = fault.body
        elif fault.body is not None:
            body = fault.body(body)
        self.send_response(fault.status or status)
        self.send_header("Content-Type", fault.content_type)
        self.send_header("Content-Length", str(fault.content_length or len(body)))
        self.send_header("X-MBX-USED-WEIGHT-1M", str(len(self.server.exchange.requests)))
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        if fault.content_length is not None:
            self.close_connection = True
