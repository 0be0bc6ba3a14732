"""StrategyDeployment: takes versions of a strategy from draft over paper to live, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Unpack

from closingbell.core.amount import fraction
from closingbell.core.error import TaskDefinitionError
from closingbell.core.outcome import Cancel, Skip
from closingbell.option import Duration, read_positive
from closingbell.task import Task, TaskOptions
from closingbell.tasks.ready_task import ReadyTask
from closingbell.tasks.strategy_stage import (
    Gate,
    Stage,
    Standing,
    Version,
    at_stage,
    metrics_of,
)

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm

Action = Literal["look", "promote", "roll_back", "retire"]

#: A strategy: called with the algorithm and the parameters of its version.
Strategy = Callable[..., Any]


class StrategyDeployment(ReadyTask):
    """Decide which version of a strategy trades, on paper and live.

    Each look does what is due: a draft whose backtest passes the gate is backtested, and a live
    version whose account falls too far, or whose runs fail, is rolled back: its orders are
    cancelled, its positions closed, and the version that was live before it is live again. What a
    person decides is a run of this task with an `action`.

    The versions' standing is what this task's latest successful run returned: it is durable, it is
    listed with the runs, and there is no second truth. `stage_tasks` are the tasks that trade.
    """

    def __init__(
        self,
        strategy: Strategy,
        versions: Sequence[Version],
        *,
        gate: Gate,
        backtest: str,
        live_account: str = "main",
        paper_account: str = "paper",
        paper_time: Duration = "20d",
        max_drawdown: Any = 0.1,
        close_positions: bool = True,
        name: str = "strategy_deployment",
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it looks every five minutes, and in a drawdown breach, unless `options` say when.

        Args:
            strategy: called as `strategy(algorithm, **parameters)`.
            versions: the newest last.
            gate: what the backtest of a version must have come to.
            backtest: the name of the `BacktestTask` whose results are looked at.
            live_account: where the live version trades.
            paper_account: where the version on paper trades.
            paper_time: a version must have been on paper so long before it goes live.
            max_drawdown: a fraction; a version that loses more since it went to paper or live
                is rolled back.
            close_positions: whether a roll back closes the account's positions.
            name: unique in its app; the two trading tasks are `{name}_paper` and `{name}_live`.
            options: see `TaskOptions`.

        Raises:
            TaskDefinitionError: a version is there twice, or none is there.
            DefinitionError: an option cannot be read.
        """
        default: TaskOptions = {"interval": "5m", "on_event": "drawdown_breach", "priority": 2}
        super().__init__(
            name,
            {**default, "max_concurrent": 1, "retention": "3650d", "tags": ["deployment"]},
            options,
        )
        self.versions = {version.name: version for version in versions}
        if not versions or len(self.versions) != len(versions):
            raise TaskDefinitionError(name, "expected one version or more, each named differently")
        self.strategy = strategy
        self.gate = gate
        self.backtest = backtest
        self.accounts = {Stage.PAPER: paper_account, Stage.LIVE: live_account}
        self.paper_time = read_positive(name, "paper_time", paper_time)
        self.max_drawdown = fraction(max_drawdown, "max_drawdown")
        self.close_positions = close_positions

    def stage_tasks(self, **options: Unpack[TaskOptions]) -> list[Task]:
        """Return the two tasks that trade the versions on paper and live; add them to the app too.

        Args:
            options: when they run, and all else; `account` is set here.
        """
        return [
            _StageTask(self, stage, {**options, "account": self.accounts[stage]})
            for stage in (Stage.PAPER, Stage.LIVE)
        ]

    def run(self, algorithm: Algorithm, action: Action = "look", version: str | None = None) -> Any:
        """Look at all versions, or do what a person decided.

        Args:
            algorithm: of the run.
            action: what to do; "promote" is to the next stage.
            version: which; "look" needs none.

        Returns:
            `versions`: the standing of each; and what `moved`. What is refused cancels the run
            with the reason, and nothing has changed.
        """
        board = _Board(self, algorithm)
        try:
            if action == "look":
                board.look()
            elif version is None or version not in self.versions:
                known = ", ".join(self.versions)
                raise _Refused(f"expected one of the versions {known}, found {version!r}")
            elif action == "promote":
                board.promote(version)
            elif action == "roll_back":
                board.roll_back(version, "a person decided so")
            else:
                board.retire(version)
        except _Refused as refusal:
            return Cancel(str(refusal))
        return board.result()

    def version_at(self, algorithm: Algorithm, stage: Stage) -> Version | None:
        """Return the version that trades at a stage now."""
        name = at_stage(self.standings(algorithm), stage)
        return None if name is None else self.versions.get(name)

    def standings(self, algorithm: Algorithm) -> dict[str, Standing]:
        """Return where each version stands, those that are no longer declared included."""
        before = algorithm.get_last_result(self.name) or {"versions": {}}
        stored = {
            name: Standing(**{**values, "stage": Stage(values["stage"])})
            for name, values in before["versions"].items()
        }
        return {**{name: Standing() for name in self.versions}, **stored}


class _Refused(Exception):
    """What a person asked for cannot be."""


class _StageTask(Task):
    """Trades the version that stands at one stage."""

    def __init__(self, deployment: StrategyDeployment, stage: Stage, options: TaskOptions) -> None:
        self._deployment = deployment
        self._stage = stage
        super().__init__(f"{deployment.name}_{stage}", **options)

    def run(self, algorithm: Algorithm) -> Any:
        """Call the strategy with the parameters of its version."""
        version = self._deployment.version_at(algorithm, self._stage)
        if version is None:
            return Skip(f"no version of {self._deployment.name} is at stage {self._stage}")
        done = self._deployment.strategy(algorithm, **version.parameters)
        return {"version": version.name, "done": done}


class _Board:
    """The standings during one run."""

    def __init__(self, deployment: StrategyDeployment, algorithm: Algorithm) -> None:
        self._of = deployment
        self._algorithm = algorithm
        self._now = algorithm.now()
        self._standings = deployment.standings(algorithm)
        self._moved: list[dict[str, str]] = []

    def result(self) -> dict[str, Any]:
        """Return what the run returns, and the next one begins with."""
        versions = {name: asdict(standing) for name, standing in self._standings.items()}
        return {"versions": versions, "moved": self._moved}

    def look(self) -> None:
        """Do what is due by itself."""
        rows = (self._algorithm.get_last_result(self._of.backtest) or {}).get("runs", [])
        for name, version in self._of.versions.items():
            if self._standings[name].stage is Stage.DRAFT:
                self._judge(name, metrics_of(rows, version))
        for stage in (Stage.PAPER, Stage.LIVE):
            trading = at_stage(self._standings, stage)
            if trading is not None:
                self._watch(trading, stage)
            else:
                self._clear_again(self._of.accounts[stage])

    def promote(self, name: str) -> None:
        """Move a version one stage on; what stood there before is retired."""
        standing = self._standings[name]
        if standing.stage is Stage.BACKTESTED:
            self._take_place(name, Stage.PAPER)
        elif standing.stage is Stage.PAPER:
            ready_at = _moment(standing.since) + self._of.paper_time
            if self._now < ready_at:
                raise _Refused(f"{name} has been on paper since {standing.since}, until {ready_at}")
            self._take_place(name, Stage.LIVE)
        else:
            raise _Refused(
                f"{name} is {standing.stage}: only what is backtested goes to paper, and only what "
                "is on paper goes live"
            )

    def roll_back(self, name: str, reason: str) -> None:
        """Take a version out of its stage, with its orders and positions, and let its predecessor trade."""
        stage = self._standings[name].stage
        self._move(name, Stage.ROLLED_BACK, reason)
        account = self._of.accounts[stage]
        self._standings[name] = replace(self._standings[name], account=account)
        self._clear(account)
        self._algorithm.send_alert(
            f"version {name} of {self._of.name} was rolled back from {stage}: {reason}", "CRITICAL"
        )
        if stage is Stage.LIVE:
            self._restore(replaced_by=name)

    def retire(self, name: str) -> None:
        """Take a version out of use; its positions stay for a person, or the next version."""
        self._move(name, Stage.RETIRED, "a person decided so")

    def _clear(self, account: str) -> None:
        own = self._algorithm.for_account(account)
        own.cancel_all_orders()
        if self._of.close_positions:
            own.close_all_positions()

    def _clear_again(self, account: str) -> None:
        """Take away what a run of a version traded that was under way when it was rolled back."""
        for name, standing in self._standings.items():
            if standing.account == account and not standing.looks:
                self._clear(account)
                self._standings[name] = replace(standing, looks=1)

    def _judge(self, name: str, metrics: Mapping[str, Any] | None) -> None:
        if metrics is None:
            return
        objections = self._of.gate.objections(metrics)
        if not objections:
            self._move(name, Stage.BACKTESTED, "its backtest passed the gate")
        self._of.alert_once(
            self._algorithm,
            f"gate:{name}",
            bool(objections),
            f"version {name} of {self._of.name} does not pass: {'; '.join(objections)}",
            "INFO",
        )

    def _watch(self, name: str, stage: Stage) -> None:
        portfolio = self._algorithm.for_account(self._of.accounts[stage]).get_portfolio()
        standing = self._standings[name].looked_at(
            Decimal(portfolio.total_value), Decimal(portfolio.net_deposits)
        )
        self._standings[name] = standing
        status = self._algorithm.get_task_status().get(f"{self._of.name}_{stage}", {})
        error = status.get("last_error")
        if standing.drawdown > self._of.max_drawdown:
            lost, most = standing.drawdown, self._of.max_drawdown
            self.roll_back(name, f"it lost {lost:.2%} since its best, and {most:.2%} are allowed")
        elif error is not None and status["last_run"] >= _moment(standing.since):
            self.roll_back(name, f"its run failed: {error}")

    def _restore(self, replaced_by: str) -> None:
        """Let the version trade live again that the rolled back one had replaced."""
        for name, standing in self._standings.items():
            if standing.stage is Stage.RETIRED and standing.reason == _replaced(replaced_by):
                self._move(name, Stage.LIVE, f"{replaced_by} was rolled back")
                return

    def _take_place(self, name: str, stage: Stage) -> None:
        before = at_stage(self._standings, stage)
        self._move(name, stage, "promoted")
        if before is not None:
            self._move(before, Stage.RETIRED, _replaced(name))

    def _move(self, name: str, stage: Stage, reason: str) -> None:
        standing = self._standings[name]
        refusal = standing.refusal(stage)
        if refusal is not None:
            raise _Refused(f"{name}: {refusal}")
        self._standings[name] = Standing(stage=stage, since=self._now.isoformat(), reason=reason)
        self._moved.append({"version": name, "from": standing.stage, "to": stage, "reason": reason})


def _replaced(name: str) -> str:
    return f"replaced by {name}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
