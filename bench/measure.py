"""One measurement in a process of its own; prints one JSON line.

    python -m bench.measure ROW WORKLOAD --folder F

`bench/run.py` calls it, with the servers' addresses in the environment.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import signal
import sys
import traceback
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.rows import ROWS, Row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", choices=[row.name for row in ROWS])
    parser.add_argument("workload")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--single", type=int, default=5_000)
    parser.add_argument("--many", type=int)
    given = parser.parse_args()
    row = next(row for row in ROWS if row.name == given.row)
    os.environ["BENCH_FOLDER"] = str(given.folder)
    # A measurement that is given up still stops its workers.
    signal.signal(signal.SIGTERM, _give_up)
    try:
        numbers = _measure(row, given.workload, given.folder, given.single, given.many or row.many)
    except BaseException as problem:
        traceback.print_exc()
        log = given.folder / "worker.log"
        if log.exists():
            sys.stderr.write(log.read_text(errors="replace")[-3000:])
        numbers = {"error": f"{type(problem).__name__}: {problem}"[:300]}
    print(json.dumps(numbers), flush=True)
    # Some clients leave threads behind that would keep the process.
    os._exit(1 if "error" in numbers else 0)


def _give_up(*_: object) -> None:
    raise SystemExit("given up")


def _measure(row: Row, workload: str, folder: Path, single: int, many: int) -> dict[str, Any]:
    if row.is_raw:
        from bench import ceilings

        return {**ceilings.measure(row.peer, workload, folder, single, many), "versions": {}}
    if workload == "W8":
        from bench import weight

        peer = getattr(importlib.import_module(f"bench.peers.{row.module}"), row.peer)
        return {**weight.measure(row, peer.imports), "versions": _versions(peer)}
    peer = getattr(importlib.import_module(f"bench.peers.{row.module}"), row.peer)(
        folder, row.variant
    )
    numbers: dict[str, Any]
    if peer.uses_uvloop:
        import uvloop

        numbers = uvloop.run(_run(peer, workload, single, many))
    else:
        numbers = asyncio.run(_run(peer, workload, single, many))
    return {**numbers, "versions": _versions(peer)}


async def _run(peer: Any, name: str, single: int, many: int) -> dict[str, float]:
    from bench.workloads import Measurement, workload

    await peer.prepare()
    try:
        return await workload(Measurement(peer, single=single, many=many), name)()
    finally:
        peer.stop_service()


def _versions(peer: Any) -> dict[str, str]:
    return {name: metadata.version(name) for name in peer.distributions}


if __name__ == "__main__":
    main()
