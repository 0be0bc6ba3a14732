"""SimulationStandIn: calls of the app, and what algorithms ask, answered by a simulation."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from closingbell.backtesting.door import SimulatedDoor
from closingbell.core.call import Call
from closingbell.core.ledger import Ledger, Maintenance
from closingbell.core.task import TaskDefinition
from closingbell.simulation.attempt import Attempt
from closingbell.simulation.simulation import Simulation
from closingbell.submission import Options
from closingbell.trading.market.protocol import MarketStore

#: Kept from INFO on, as what tasks log themselves.
_log = logging.getLogger("closingbell.task.backtest")


class SimulatedMaintenance:
    """Care for a database that a backtest does not have: said, counted, and not done."""

    def __init__(self, simulation: Simulation) -> None:
        self._record = simulation.record

    def backup(self, path: str) -> Mapping[str, Any]:
        self._refuse("backup_database")
        return {"path": path, "bytes": 0, "format": "none"}

    def rebuild_indices(self) -> None:
        self._refuse("rebuild_database_indices")

    def update_statistics(self) -> None:
        self._refuse("update_database_statistics")

    def _refuse(self, what: str) -> None:
        self._record.refuse(what)
        _log.info("%s: not done, a backtest leaves the live database alone", what)


class SimulationStandIn:
    """The surroundings of a simulated run: `core.stand_in.StandIn`, and an algorithm's services.

    Attributes:
        ledger: in memory.
        catalogue: what tasks store, laid over the data.
        maintenance: does nothing, and says so.
    """

    def __init__(
        self,
        simulation: Simulation,
        door: SimulatedDoor,
        ledger: Ledger,
        catalogue: MarketStore,
    ) -> None:
        self.ledger = ledger
        self.catalogue = catalogue
        self.maintenance: Maintenance = SimulatedMaintenance(simulation)
        self._simulation = simulation
        self._dispatcher = simulation.dispatcher
        self._door = door

    # --- calls of the app ----------------------------------------------------------------

    def submit(
        self,
        task: TaskDefinition,
        payload: Mapping[str, Any] | None,
        options: Options,
        connection: Any,
    ) -> str:
        return self.submit_many(task, [payload], options, connection)[0]

    def submit_many(
        self,
        task: TaskDefinition,
        payloads: Sequence[Mapping[str, Any] | None],
        options: Options,
        connection: Any,
    ) -> list[str]:
        template, items = self._door.submitted(task, payloads, options, connection)
        return [self._dispatcher.enqueue(template, item) for item in items]

    def trigger_event(
        self, event_type: str, data: Mapping[str, Any], connection: Any = None
    ) -> list[str]:
        return self._dispatcher.emit(event_type, self._door.event_data(event_type, dict(data)))

    def task_status(self) -> dict[str, dict[str, Any]]:
        return self._dispatcher.task_status()

    def last_result(self, task: str) -> Any:
        return self._dispatcher.last_result(task)

    # --- what algorithms ask beside ------------------------------------------------------

    def event_of(self, call: Call) -> str | None:
        run = call.run if isinstance(call, Attempt) else None
        return None if run is None else run.event_type

    def send_alert(
        self, message: str, severity: str, call: Call | None, data: Mapping[str, Any]
    ) -> None:
        attempt = call if isinstance(call, Attempt) else None
        self._simulation.record.alert(
            self._simulation.clock.at, "task_alert", severity, message, attempt, dict(data)
        )
