"""CcxtClient: ccxt behind one guarded door.

Everything that can go wrong between here and an exchange comes out as a BrokerError, without
addresses, signatures or keys in it. Numbers stay text, as the exchange wrote them.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from decimal import Context, localcontext
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from closingbell.core.error import (
    BrokerError,
    BrokerNonsense,
    BrokerRejected,
    BrokerUnavailable,
    SettingError,
)
from closingbell.trading.broker.ccxt_budget import Budget

#: Ours alone while ccxt works: it changes the rounding of the context that it finds.
_CONTEXT = Context(prec=60)
_ADDRESS = re.compile(r"\w+://[^\s?]*(\?\S*)?")
_SIGNATURE = re.compile(r"(?i)(signature|apikey|timestamp)=[^&\s]+")
_LONGEST_PROBLEM = 300

T = TypeVar("T")

# Answers with which an exchange says that it did not do what was asked. A refusal that names no
# reason (OperationRejected alone, ExchangeError) is not among them: it may have come too late.
_REFUSALS = (
    "InvalidOrder",
    "InsufficientFunds",
    "BadRequest",
    "AuthenticationError",
    "AccountSuspended",
    "MarketClosed",
    "RestrictedLocation",
    "ManualInteractionNeeded",
    "ArgumentsRequired",
    "NotSupported",
)


class NotListed(Exception):
    """The exchange knows no such order, or none that is open; an answer, and no failure."""


class AlreadyThere(Exception):
    """The exchange has an open order of that client id."""


def load_ccxt() -> Any:
    """Import ccxt.

    Raises:
        SettingError: it is not installed.
    """
    try:
        return importlib.import_module("ccxt")
    except ImportError:
        raise SettingError(
            "broker", "ccxt", "the extra that brings it: pip install 'closingbell[ccxt]'"
        ) from None


class CcxtClient:
    """One exchange's account over ccxt; its calls are made one after the other."""

    def __init__(
        self,
        exchange: str,
        *,
        credentials: Mapping[str, str | None],
        sandbox: bool,
        options: Mapping[str, Any],
        base_url: str | None,
        timeout_s: float,
    ) -> None:
        """Prepare the exchange's client; nothing is sent yet.

        Args:
            exchange: ccxt's name of it.
            credentials: `apiKey`, `secret`, `password`, `uid`, as ccxt names them.
            sandbox: its test network instead of real money.
            options: of the exchange, as ccxt knows them.
            base_url: another address than the exchange's own.
            timeout_s: seconds for one request.

        Raises:
            SettingError: ccxt is missing, or has no such exchange, or it has no test network.
        """
        self._ccxt = load_ccxt()
        if exchange not in self._ccxt.exchanges:
            raise SettingError("exchange", exchange, "one of ccxt.exchanges, such as 'binance'")
        self.name = exchange
        self._lock = threading.RLock()
        self._secrets = [value for value in credentials.values() if value]
        self._budget: Budget | None = None
        self.api: Any = getattr(self._ccxt, exchange)(
            {
                **{name: value for name, value in credentials.items() if value},
                "timeout": int(timeout_s * 1000),
                "enableRateLimit": True,
                "options": {
                    "defaultType": "spot",
                    "fetchMarkets": {"types": ["spot"]},
                    "fetchMargins": False,
                    "warnOnFetchOpenOrdersWithoutSymbol": False,
                    **options,
                },
            }
        )
        if sandbox and base_url is None:
            if not self.api.urls.get("test"):
                raise SettingError(
                    "sandbox",
                    True,
                    f"an exchange with a test network, and {exchange} has none; sandbox=False "
                    "trades real money",
                )
            self.api.set_sandbox_mode(True)
        if base_url is not None:
            self.api.urls["api"] = _moved(self.api.urls["api"], base_url.rstrip("/"))
        self._guard()

    def _guard(self) -> None:
        api = self.api
        # ccxt logs requests with their headers, and the key is one of them.
        api.logger = logging.Logger("closingbell.silent", logging.CRITICAL)
        api.number = str
        api.on_json_response = _read_json
        # Deposits and withdrawals are nobody's business here, and their list needs more rights.
        api.has["fetchCurrencies"] = False
        api.throttle = self._throttle
        fetch, bad_response = api.fetch, self._ccxt.BadResponse

        def guarded(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            answer = fetch(url, method, headers, body)
            if not isinstance(answer, dict | list):
                raise bad_response(f"an answer that is no JSON: {str(answer)[:80]!r}")
            return answer

        api.fetch = guarded

    def limit(self, budget: Budget) -> None:
        """Let every request take its units from a budget."""
        self._budget = budget

    @property
    def units_per_minute(self) -> int:
        """How many units ccxt takes the exchange to allow in a minute."""
        return max(int(60_000 / float(self.api.rateLimit)), 1)

    @property
    def precision_mode(self) -> str:
        """What a market's precision means: "tick size", or a count of digits."""
        modes = {
            self._ccxt.DECIMAL_PLACES: "decimal places",
            self._ccxt.SIGNIFICANT_DIGITS: "significant digits",
        }
        return modes.get(self.api.precisionMode, "tick size")

    def _throttle(self, cost: float | None = None) -> None:
        if self._budget is not None:
            self._budget.take(1.0 if cost is None else float(cost))

    def now_ms(self) -> int:
        """Return the exchange's clock, as far as its difference to ours is known."""
        return int(self.api.milliseconds()) - int(self.api.options.get("timeDifference") or 0)

    def call(self, request: Callable[[Any], T]) -> T:
        """Ask the exchange, and again where that is safe.

        A request that came at the wrong time of the exchange's clock, or too soon after others,
        was certainly not carried out: the clock is compared once, or the wait that was asked for
        is kept, and `request` is called once more.

        Args:
            request: makes the request with ccxt's exchange object, and reads its answer.

        Raises:
            BrokerRejected: the exchange did not do it, and said so.
            BrokerUnavailable: no answer that tells.
            BrokerNonsense: an answer that cannot be read.
            NotListed: it knows no such order.
            AlreadyThere: it has an order of that client id.
        """
        with self._lock, localcontext(_CONTEXT):
            try:
                if not self._ask(lambda api: api.load_markets()):
                    raise BrokerNonsense(self.name, "it lists no markets")
                return self._ask(request)
            except BrokerNonsense:
                self._hang_up()
                raise
            except BrokerError:
                raise
            # ccxt reads answers as it expects them: any exception says that this one differs.
            except Exception as problem:
                self._hang_up()
                self._translate(problem)

    def _hang_up(self) -> None:
        # What else may come on this connection is an answer to nobody knows what.
        self.api.session.close()

    def _ask(self, request: Callable[[Any], T]) -> T:
        ccxt = self._ccxt
        try:
            return request(self.api)
        except ccxt.InvalidNonce:
            if not self.api.has.get("fetchTime"):
                raise
            self.api.load_time_difference()
        except (ccxt.DDoSProtection, ccxt.RateLimitExceeded) as problem:
            self._keep_away(problem)
        return request(self.api)

    def _keep_away(self, problem: Exception) -> None:
        headers = self.api.last_response_headers or {}
        try:
            seconds = float(headers.get("Retry-After", 1))
        except ValueError:
            seconds = 1.0
        if self._budget is None:
            raise problem
        # The next request of anybody waits, or is refused before it is sent.
        self._budget.close(max(seconds, 0.0))

    def _translate(self, problem: Exception) -> NoReturn:
        ccxt, said = self._ccxt, self.clean(problem)
        name = self.name
        if isinstance(problem, ccxt.OrderNotFound):
            raise NotListed(said) from None
        if isinstance(problem, ccxt.DuplicateOrderId) or (
            isinstance(problem, ccxt.InvalidOrder) and "duplicate" in said.lower()
        ):
            raise AlreadyThere(said) from None
        if isinstance(problem, tuple(getattr(ccxt, refusal) for refusal in _REFUSALS)):
            raise BrokerRejected(name, said) from None
        if isinstance(problem, ccxt.BadResponse):
            raise BrokerNonsense(name, said) from None
        if isinstance(problem, ccxt.OperationFailed):
            kind = type(problem).__name__
            raise BrokerUnavailable(name, f"no answer that tells ({kind}): {said}") from None
        raise BrokerNonsense(name, f"its answer cannot be read: {said}") from None

    def clean(self, problem: object) -> str:
        """Return a text about a problem without addresses, signatures and secrets."""
        text = str(problem) if str(problem) else type(problem).__name__
        if isinstance(problem, Exception) and not isinstance(problem, self._ccxt.BaseError):
            text = f"{type(problem).__name__}: {text}"
        text = _SIGNATURE.sub(r"\1=***", _ADDRESS.sub("", text))
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = " ".join(text.split())
        return text if len(text) <= _LONGEST_PROBLEM else text[:_LONGEST_PROBLEM] + " ..."


def _read_json(text: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    return json.loads(text, parse_float=str, parse_constant=refuse)


def _moved(urls: Any, base_url: str) -> Any:
    if isinstance(urls, Mapping):
        return {name: _moved(url, base_url) for name, url in urls.items()}
    return base_url + urlsplit(urls).path if isinstance(urls, str) else urls
