"""The same backtest gives the same bytes in every process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import hashlib, json, sys
from closingbell import Skip, create_app
from closingbell.simulation.page.report_page import report_page

app = create_app("sqlite:///none.db", timezone="America/New_York")
seen = {"set of " + name: None for name in {"a", "b", "c", "d", "e"}}

@app.task(session="XNYS close", priority=2)
def rebalance(algorithm):
    if algorithm.now().weekday() != 0:
        return Skip("not a Monday")
    for symbol in ("AAPL", "GOOG", "IBM", "MSFT"):
        closes = algorithm.get_market_data(symbol, limit=30).closes()
        algorithm.order_target_percent(symbol, 0.24 if closes[-1] > closes[0] else 0)

@app.task(on_event="order_filled")
def confirm(algorithm, symbol: str):
    print(symbol, object(), list(seen))

@app.task(session="XNYS open+1h", retries=2)
def flaky(algorithm, context):
    algorithm.sleep(90)
    if context.attempt < 3 and algorithm.now().day % 7 == 0:
        raise ConnectionError("reset by peer")

report = app.backtest(
    "2006-01-03", "2007-06-29", seed=int(sys.argv[1]), slippage="random 0.1%", fee="0.05%", store=False
)
document = report.to_json()
print("RESULT", json.dumps({
    "json": hashlib.sha256(document).hexdigest(),
    "pages": {k: [hashlib.sha256(p).hexdigest() for p in v] for k, v in report.pages().items() if k != "output"},
    "trades": len(report.trades),
    "prices": [str(trade.price) for trade in report.trades],
    "retried": report.tasks["flaky"].attempts - report.tasks["flaky"].runs,
    "page": report_page(report),
}))
"""


def backtest(folder: Path, seed: int, hash_seed: str) -> dict[str, object]:
    """Run the program in a process whose sets have an order of their own."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo" if seed else "UTC"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(seed)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    found: dict[str, object] = json.loads(line.removeprefix("RESULT "))
    return found


def test_two_processes_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    first, second = (backtest(tmp_path, 1, hash_seed) for hash_seed in ("1", "31337"))
    for name in ("json", "pages", "trades", "prices", "retried"):
        assert first[name] == second[name], name
    # What tasks print is shown on the page, and may tell addresses of the machine.
    assert without_output(first) == without_output(second)
    assert isinstance(first["trades"], int)
    assert first["trades"] > 100
    assert isinstance(first["retried"], int)
    assert first["retried"] > 10
    other = backtest(tmp_path, 2, "1")
    assert other["json"] != first["json"]
    assert other["prices"] != first["prices"], "slippage is drawn from the seed"


def without_output(found: dict[str, object]) -> str:
    page = str(found["page"])
    before, _, rest = page.partition('<section id="failures"')
    after = rest.partition('<section id="inputs"')[2]
    assert after
    return hashlib.sha256((before + after).encode()).hexdigest()
