"""One quant, one laptop: a sweep over the parameters of a moving-average rule.

    python examples/quant.py

Every combination is a durable run. Stop it with Ctrl-C in the middle and start it again: what is
done stays done, because a key names each combination.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from closingbell import create_app

app = create_app("sqlite:///sweep.db")

FAST, SLOW = (5, 10, 20, 30, 40), (50, 75, 100, 150, 200)


@app.task(executor="process", retries=1, timeout=120)
def crossover(symbol: str, fast: int, slow: int) -> dict[str, Any]:
    """Hold the stock while its fast average is above its slow one; no costs, no cash interest.

    Prices are real, and adjusted for splits and dividends: see closingbell/trading/market/data/PROVENANCE.md.
    """
    from closingbell.trading.market.demo import load_history

    closes = [float(bar.adjusted_close) for bar in load_history() if bar.symbol == symbol]
    worth, holding = 1.0, False
    for day in range(slow, len(closes)):
        if holding:
            worth *= closes[day] / closes[day - 1]
        # Decided at the close, held from the next day on.
        window = closes[day - slow + 1 : day + 1]
        holding = sum(window[-fast:]) / fast > sum(window) / slow
    held = closes[-1] / closes[slow - 1]
    return {"fast": fast, "slow": slow, "growth": round(worth, 3), "held": round(held, 3)}


def main() -> None:
    """Submit the sweep, wait for it, and print the best combinations."""
    with app.running(scheduler=False):
        handles = [
            app.submit(
                crossover,
                {"symbol": "IBM", "fast": fast, "slow": slow},
                key=f"IBM {fast}/{slow}",
            )
            for fast, slow in product(FAST, SLOW)
        ]
        results = [handle.result(timeout=300) for handle in handles]
    print("fast  slow  growth  (holding throughout)")
    for one in sorted(results, key=lambda result: -float(result["growth"]))[:5]:
        print(f"{one['fast']:>4}  {one['slow']:>4}  {one['growth']:>6}  ({one['held']})")


if __name__ == "__main__":
    main()
