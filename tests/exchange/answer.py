"""The shapes of Binance's spot answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.exchange.matching import ExchangeOrder, Market, Matching, Trade


def text(value: Decimal) -> str:
    """Return an amount as the exchange writes it: eight decimals."""
    return f"{value:.8f}"


def exchange_info(books: Matching, now: int) -> dict[str, Any]:
    """GET /api/v3/exchangeInfo."""
    return {
        "timezone": "UTC",
        "serverTime": now,
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": 6000,
            }
        ],
        "exchangeFilters": [],
        "symbols": [_symbol(market) for market in books.markets.values()],
    }


def _symbol(market: Market) -> dict[str, Any]:
    return {
        "symbol": market.id,
        "status": "TRADING",
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": [
            "LIMIT",
            "LIMIT_MAKER",
            "MARKET",
            "STOP_LOSS",
            "STOP_LOSS_LIMIT",
            "TAKE_PROFIT",
            "TAKE_PROFIT_LIMIT",
        ],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": text(market.tick),
                "maxPrice": "1000000.00000000",
                "tickSize": text(market.tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": text(market.step),
                "maxQty": "9000.00000000",
                "stepSize": text(market.step),
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": text(market.least),
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": ["SPOT"],
    }


def ticker(books: Matching, given: dict[str, str], now: int) -> dict[str, Any]:
    """GET /api/v3/ticker/24hr."""
    market = books.market(given.get("symbol", ""))
    price = text(books.prices[market.id])
    return {
        "symbol": market.id,
        "priceChange": "0.00000000",
        "priceChangePercent": "0.000",
        "weightedAvgPrice": price,
        "prevClosePrice": price,
        "lastPrice": price,
        "lastQty": "0.01000000",
        "bidPrice": price,
        "bidQty": "1.00000000",
        "askPrice": price,
        "askQty": "1.00000000",
        "openPrice": price,
        "highPrice": price,
        "lowPrice": price,
        "volume": "1000.00000000",
        "quoteVolume": "20000000.00000000",
        "openTime": now - 86_400_000,
        "closeTime": now,
        "firstId": 1,
        "lastId": 2,
        "count": 2,
    }


def account(books: Matching, now: int) -> dict[str, Any]:
    """GET /api/v3/account."""
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": True,
        "updateTime": now,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": text(free), "locked": text(locked)}
            for asset, (free, locked) in sorted(books.balances.items())
        ],
        "permissions": ["SPOT"],
    }


def order(order: ExchangeOrder) -> dict[str, Any]:
    """An order, as every endpoint shows it."""
    return {
        "symbol": order.market.id,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "price": text(order.price),
        "origQty": text(order.quantity),
        "executedQty": text(order.executed),
        "cummulativeQuoteQty": text(order.spent),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
        "stopPrice": text(order.stop_price),
        "icebergQty": "0.00000000",
        "time": order.at,
        "transactTime": order.updated_at,
        "updateTime": order.updated_at,
        "isWorking": not order.waits_for_stop,
        "workingTime": order.at,
        "selfTradePreventionMode": "NONE",
    }


def fills(books: Matching, order: ExchangeOrder) -> list[dict[str, Any]]:
    """The trades of an order, as the answer to its placing shows them."""
    return [
        {
            "price": text(trade.price),
            "qty": text(trade.quantity),
            "commission": text(trade.commission),
            "commissionAsset": trade.commission_asset,
            "tradeId": trade.id,
        }
        for trade in books.trades
        if trade.order is order
    ]


def chosen(books: Matching, given: dict[str, str]) -> list[ExchangeOrder]:
    """The orders of the symbol that was named, or all."""
    market = books.market(given["symbol"]) if "symbol" in given else None
    return [o for o in books.seen() if market is None or o.market is market]


def history(books: Matching, given: dict[str, str]) -> list[ExchangeOrder]:
    """GET /api/v3/allOrders."""
    start, end = int(given.get("startTime", 0)), int(given.get("endTime", 1 << 62))
    first = int(given.get("orderId", 0))
    found = [o for o in chosen(books, given) if start <= o.at <= end and o.id >= first]
    return _page(found, given, forward="startTime" in given or "orderId" in given)


def trades(books: Matching, given: dict[str, str]) -> list[dict[str, Any]]:
    """GET /api/v3/myTrades."""
    market = books.market(given.get("symbol", ""))
    start, end = int(given.get("startTime", 0)), int(given.get("endTime", 1 << 62))
    first = int(given.get("fromId", 0))
    found = [
        trade
        for trade in books.seen_trades()
        if trade.order.market is market
        and start <= trade.at <= end
        and trade.id >= first
        and given.get("orderId", str(trade.order.id)) == str(trade.order.id)
    ]
    return [
        _line(t) for t in _page(found, given, forward="startTime" in given or "fromId" in given)
    ]


def _page(found: list[Any], given: dict[str, str], *, forward: bool) -> list[Any]:
    limit = min(int(given.get("limit", 500)), 1000)
    return found[:limit] if forward else found[-limit:]


def _line(trade: Trade) -> dict[str, Any]:
    return {
        "symbol": trade.order.market.id,
        "id": trade.id,
        "orderId": trade.order.id,
        "orderListId": -1,
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "quoteQty": text(trade.price * trade.quantity),
        "commission": text(trade.commission),
        "commissionAsset": trade.commission_asset,
        "time": trade.at,
        "isBuyer": trade.order.side == "BUY",
        "isMaker": trade.maker,
        "isBestMatch": True,
    }
