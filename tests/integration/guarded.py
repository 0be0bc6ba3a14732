"""A worker's process for the guardian's tests: it holds a lease and then does what it is told."""

from __future__ import annotations

import ctypes
import sys
import time

from closingbell.store.guardian import Guardian


def main(address: str, worker_id: str, lease_s: str, deed: str) -> None:
    guardian = Guardian(address, worker_id, float(lease_s))
    guardian.pulse(60.0)
    print(guardian.pid, flush=True)
    if deed == "hold":
        # A long call into C that never lets another thread of this process run.
        ctypes.PyDLL(None).sleep(3)
    else:
        time.sleep(60)
    print("let go", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
