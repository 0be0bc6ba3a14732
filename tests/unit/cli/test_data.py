"""`data ...`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command

CSV = "Date,Open,High,Low,Close,Volume\n2012-11-21,1.10,2,1,1.5,7\n2012-11-26,1.5,2,1,1.75,\n"
ON_DESK = ("--database", "desk.db")


@pytest.fixture
def filled(desk: Path, command: Command) -> Path:
    """The desk's folder, after a file with two days of IBM was imported; one session is missing."""
    (desk / "IBM.csv").write_text(CSV)
    answer = command("data", "import", "IBM.csv", "--app", "desk", "--json")
    assert answer.code == 0, answer.err
    assert answer.json == [
        {"file": "IBM.csv", "symbol": "IBM", "added": 2, "changed": 0, "bars": 2,
         "timeframe": "1d", "notes": []},
    ]  # fmt: skip
    return desk


def test_imported_bars_are_listed(filled: Path, command: Command) -> None:
    assert command("data", "list", *ON_DESK, "--json").json == [
        {"symbol": "IBM", "timeframe": "1d", "bars": 2, "archived": 0,
         "from": "2012-11-21T14:30:00+00:00", "to": "2012-11-26T21:00:00+00:00"},
    ]  # fmt: skip
    lines = command("data", "list", "--app", "desk").out.splitlines()
    assert lines[0].split() == ["SYMBOL", "TIMEFRAME", "BARS", "ARCHIVED", "FROM", "TO"]
    assert "2012-11-21 09:30:00 EST" in lines[1]


def test_imported_bars_are_shown_with_every_digit(filled: Path, command: Command) -> None:
    rows = command("data", "show", "IBM", *ON_DESK, "--json").json
    assert [(row["open"], row["close"], row["volume"]) for row in rows] == [
        ("1.1", "1.50", "7"), ("1.5", "1.75", "0"),
    ]  # fmt: skip
    one = command("data", "show", "IBM", *ON_DESK, "--from", "2012-11-22", "--limit", "1", "--json")
    assert [row["close"] for row in one.json] == ["1.75"]
    none = command("data", "show", "IBM", *ON_DESK, "--timeframe", "1m")
    assert (none.code, none.out) == (0, "")
    assert "no such bars of IBM" in none.err


def test_same_file_again_changes_nothing(filled: Path, command: Command) -> None:
    answer = command("data", "import", "IBM.csv", *ON_DESK, "--symbol", "IBM", "--json")
    assert [(row["added"], row["changed"]) for row in answer.json] == [(0, 0)]
    (filled / "other.csv").write_text(CSV.replace("1.75", "1.8"))
    answer = command("data", "import", "other.csv", *ON_DESK, "--symbol", "IBM")
    assert answer.out.splitlines()[1].split()[:4] == ["other.csv", "IBM", "0", "1"]


def test_wrong_row_is_said_and_nothing_is_stored(desk: Path, command: Command) -> None:
    (desk / "IBM.csv").write_text(CSV.replace("2,1,1.75", "1,2,1.75"))
    answer = command("data", "import", "IBM.csv", "--app", "desk")
    assert answer.code == 2
    assert "error[invalid_market_data]: market data 'IBM', row 1: low 2 is above high 1" in (
        answer.err
    )
    assert command("data", "list", *ON_DESK, "--json").json == []


def test_missing_file_is_said_before_anything_is_stored(filled: Path, command: Command) -> None:
    (filled / "MSFT.csv").write_text(CSV)
    answer = command("data", "import", "MSFT.csv", "nowhere.csv", *ON_DESK)
    assert answer.code == 2
    assert "'nowhere.csv': there is no such file" in answer.err
    assert len(command("data", "list", *ON_DESK, "--json").json) == 1


def test_import_is_an_event_that_is_stored(filled: Path, command: Command) -> None:
    with closing(sqlite3.connect(filled / "desk.db")) as connection:
        found = connection.execute("SELECT type, data FROM events").fetchall()
    assert [kind for kind, _ in found] == ["market_data_update"]
    assert '"symbols":["IBM"]' in found[0][1]


def test_unknown_symbol_is_not_found(filled: Path, command: Command) -> None:
    answer = command("data", "show", "IBN", *ON_DESK)
    assert answer.code == 3
    assert "did you mean 'IBM'" in answer.err


def test_gaps_are_told_and_are_no_error(filled: Path, command: Command) -> None:
    answer = command("data", "check", "--app", "desk")
    assert answer.code == 0
    assert answer.out == (
        "gap: IBM 1d: 1 bar, 2012-11-23 09:30:00 EST to 2012-11-23 13:00:00 EST\n"
    )
    assert "sound, 1 gaps in 1 series" in answer.err


def test_lost_file_is_a_problem(filled: Path, command: Command) -> None:
    (file,) = (filled / "desk-data").rglob("*.parquet")
    file.unlink()
    answer = command("data", "check", *ON_DESK, "--json", "--symbol", "MSFT")
    assert (answer.code, answer.json["ok"]) == (0, True)
    answer = command("data", "show", "IBM", *ON_DESK)
    assert answer.code == 4
    assert "closingbell data check" in answer.err


def test_older_database_takes_in_newer_files(filled: Path, command: Command) -> None:
    before = (filled / "desk.db").read_bytes()
    (filled / "more.csv").write_text(CSV.replace("2012-11-21", "2012-11-23"))
    assert command("data", "import", "more.csv", *ON_DESK, "--symbol", "IBM").code == 0
    for name in ("desk.db-wal", "desk.db-shm"):
        (filled / name).unlink(missing_ok=True)
    (filled / "desk.db").write_bytes(before)
    broken = command("data", "check", *ON_DESK)
    assert broken.code == 1
    assert "the file is gone" in broken.out
    mended = command("data", "check", *ON_DESK, "--repair")
    assert mended.code == 0
    assert mended.out.startswith("taken in: bars/1d/IBM/2012-2-")
    assert command("data", "list", *ON_DESK, "--json").json[0]["bars"] == 3


def test_archived_bars_are_shown_when_asked_for(filled: Path, command: Command) -> None:
    answer = command("data", "archive", "--before", "2012-11-22", *ON_DESK, "--json")
    assert answer.json == {"archived": 1}
    listed = command("data", "list", *ON_DESK, "--json").json[0]
    assert (listed["bars"], listed["archived"]) == (1, 1)
    assert len(command("data", "show", "IBM", *ON_DESK, "--json").json) == 1
    assert len(command("data", "show", "IBM", *ON_DESK, "--archived", "--json").json) == 2
    nobody = command("data", "archive", "--before", "2030-01-01", "--symbol", "MSFT", *ON_DESK)
    assert "0 bars put away" in nobody.err


def test_split_is_stored_once_and_adjusts_what_is_shown(filled: Path, command: Command) -> None:
    words = ("data", "actions", "IBM", "--split", "2", "--at", "2012-11-26", *ON_DESK)
    assert command(*words, "--json").json == [
        {"symbol": "IBM", "at": "2012-11-26T00:00:00+00:00", "kind": "split", "value": "2"}
    ]
    assert "it was stored already" in command(*words).err
    shown = command("data", "show", "IBM", *ON_DESK, "--adjusted", "--json").json
    assert [row["close"] for row in shown] == ["0.75", "1.75"]
    paid = command("data", "actions", "MSFT", "--dividend", "0.5", "--at", "2012-11-26", *ON_DESK)
    assert len(paid.out.splitlines()) == 2
    assert len(command("data", "actions", *ON_DESK, "--json").json) == 2
    assert command("data", "actions", "AAPL", *ON_DESK, "--json").json == []


@pytest.mark.parametrize(
    "words",
    [
        ("--split", "2"),
        ("IBM", "--split", "2"),
        ("IBM", "--split", "2", "--dividend", "1", "--at", "2012-11-26"),
        ("IBM", "--split", "0", "--at", "2012-11-26"),
        ("IBM", "--split", "two", "--at", "2012-11-26"),
        ("IBM", "--split", "2", "--at", "yesterday"),
    ],
)
def test_action_that_cannot_be_meant_is_refused(
    filled: Path, command: Command, words: tuple[str, ...]
) -> None:
    assert command("data", "actions", *words, *ON_DESK).code == 2
    assert command("data", "actions", *ON_DESK, "--json").json == []


def test_database_that_is_not_there_is_not_made_by_looking(desk: Path, command: Command) -> None:
    for words in (("list",), ("check",), ("show", "IBM"), ("archive", "--before", "2012-01-01")):
        assert command("data", *words, *ON_DESK).code == 4
    assert not (desk / "desk.db").exists()
