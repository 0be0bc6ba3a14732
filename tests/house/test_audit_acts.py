"""Every verb that writes to the store is either recorded as somebody's act, or says why it is none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src/closingbell"
PAGE = Path(__file__).resolve().parents[2] / "docs/concepts/audit.md"

#: What people do, and what changes a definition: recorded in the transaction that does it.
ACTS = {
    "alert_rules.declare",
    "alert_rules.create",
    "alert_rules.change",
    "alert_rules.remove",
    "alerts.acknowledge",
    "alerts.clear",
    "alerts.clear_one",
    "approvals.approve",
    "approvals.reject",
    "backtests.remove",
    "event_book.record_once",
    "events.put_trigger",
    "events.record",
    "events.remove_trigger",
    "failures.dismiss",
    "ledger.archive",
    "ledger.open_account",
    "ledger.record",
    "manifest.put_actions",
    "manifest.replace",
    "masks.put_all",
    "migrate.prepare",
    "policies.put",
    "runs.cancel",
    "runs.hasten",
    "runs.retry",
    "schedule_book.change",
    "schedule_book.create",
    "schedules._change",
    "schedules.put",
    "schedules.remove",
    "sign_in_codes.put",
    "tokens.create",
    "tokens.revoke",
    "web_sessions.begin",
    "web_sessions.end",
}

#: What is nobody's act, each with the reason.
NO_ACTS = {
    "alert_rules.adopt_defaults": "closingbell's own rules, the same in every store",
    "alerts.carry_out": "the engine's: telling, repeating, clearing by itself",
    "alerts.end": "the engine's: the cause is gone",
    "alerts.look_again": "the engine's: when to look at an alert next",
    "alerts.put": "a fact that was found, not an act",
    "archive._go_on_after_a_crash": "ends what an archive left undone",
    "archive._mark": "a step of an archive, which who asks for it records",
    "archive._one_file": "a step of an archive, which who asks for it records",
    "archive._prune": "the last step of an archive, which who asks for it records",
    "archive._write": "a step of an archive, which who asks for it records",
    "audit.append": "the record itself",
    "backtests.put": "a result; nothing of the desk changes",
    "foreign.record": "a result of work that ran elsewhere; the run says so",
    "idempotency.answer": "how a request was answered; the act is recorded by itself",
    "idempotency.claim": "that a request came; the act is recorded by itself",
    "idempotency.let_go": "that a request came to nothing",
    "idempotency.prune": "the engine's: what is old goes",
    "insert.insert_apart": "runs; who asked for one at a door is recorded by the intake",
    "ledger.latch": "which run acts on a condition",
    "notifications.claim": "the engine's: sending",
    "notifications.give_up": "the engine's: sending",
    "notifications.put": "what is to be told; the alert or the test is recorded",
    "notifications.put_off": "the engine's: sending",
    "notifications.sent": "the engine's: sending",
    "performance.add": "figures of runs",
    "performance.prune": "the engine's: what is old goes",
    "pulse.feel_pulse": "writes nothing that stays",
    "retention.prune_facts": "the engine's: what is old goes",
    "retention.prune_runs": "the engine's: what is old goes",
    "run_bulk._in_chunks": "parts of a bulk, which is recorded once, as a whole",
    "runs.add_logs": "what runs print",
    "schedules.fire_all": "the engine's: firing",
    "sign_in_codes.take": "half of a sign-in; the session is recorded",
    "tokens.touch": "when a token was last used",
    "turns.leave": "the engine's: who looks after alerts",
    "turns.take": "the engine's: who looks after alerts",
    "web_sessions.touch": "when a session was last seen",
    "workers.beat": "the engine's: a lease",
    "workers.bury": "the engine's: a lease that ended",
    "workers.forget": "the engine's: what is old goes",
    "workers.leave": "the engine's: a worker stops",
    "workers.register": "the engine's: a worker starts",
}

_ACTION = re.compile(r"[a-z_]+\.([a-z_]*(ed|set|made|begun)|run_now|backed_up)")


def writers() -> Iterator[tuple[str, bool]]:
    """Every function of the store that opens a write, and whether it reaches the audit ledger."""
    for path in sorted((SOURCE / "store").glob("*.py")):
        if path.stem == "database":
            continue
        functions = {
            node.name: node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef)
        }
        for name, node in functions.items():
            if "writing" in called(node):
                yield f"{path.stem}.{name}", reaches_audit(node, functions)


def called(node: ast.AST) -> set[str]:
    """The names of what is called inside."""
    calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
    return {
        call.attr if isinstance(call, ast.Attribute) else call.id
        for call in calls
        if isinstance(call, (ast.Attribute, ast.Name))
    }


_RECORDS = {"append_on", "changed_on", "moved_on", "event_told_on", "retry_on"}


def reaches_audit(node: ast.FunctionDef, functions: dict[str, ast.FunctionDef]) -> bool:
    seen, left = set[str](), [node]
    while left:
        names = called(left.pop())
        if names & _RECORDS:
            return True
        left += [functions[name] for name in names & functions.keys() - seen]
        seen |= names
    return False


def test_every_verb_that_writes_is_known_to_be_an_act_or_not() -> None:
    found = {name for name, _ in writers()}
    assert found == ACTS | NO_ACTS.keys()
    assert not ACTS & NO_ACTS.keys()


def test_every_act_reaches_the_audit_ledger() -> None:
    assert {name for name, records in writers() if not records} & ACTS == set()


def test_every_action_is_named_on_the_page_about_the_ledger() -> None:
    named, kind = set[str](), ""
    for word in re.findall(r"`([a-z_]*\.[a-z_]+)`", PAGE.read_text()):
        kind = word.partition(".")[0] or kind
        named.add(f"{kind}.{word.partition('.')[2]}")
    recorded = {
        node.value
        for path in [
            *SOURCE.glob("*.py"),
            *(SOURCE / "store").glob("*.py"),
            *(SOURCE / "cli").glob("*.py"),
        ]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _ACTION.fullmatch(node.value)
    }
    assert recorded - named == set()
