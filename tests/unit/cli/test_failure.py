"""Every error has its exit code, and is told in one sentence."""

from __future__ import annotations

import pytest

from closingbell.cli.failure import ExitCode, exit_code_of, guarded
from closingbell.core.error import (
    Forbidden,
    InvalidRequest,
    InvalidTransition,
    NotSignedIn,
    PayloadMismatch,
    RunNotFinished,
    SchemaMismatch,
    ServiceUnreachable,
    SettingError,
    SignInRefused,
    StoreUnavailable,
    TargetError,
    TaskFailed,
    TooManyRequests,
    UnknownRun,
    UnknownTask,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingError("lease_s", 0, "seconds"), ExitCode.USAGE),
        (TargetError("desk", "no"), ExitCode.USAGE),
        (PayloadMismatch("scan", ["x"]), ExitCode.USAGE),
        (UnknownTask("scan"), ExitCode.NOT_FOUND),
        (UnknownRun("1"), ExitCode.NOT_FOUND),
        (StoreUnavailable("gone"), ExitCode.STORE),
        (SchemaMismatch("9", "1", "newer"), ExitCode.STORE),
        (InvalidTransition("1", "success", "cancelled"), ExitCode.CONFLICT),
        (ServiceUnreachable("https://desk.example", "refused"), ExitCode.SERVICE),
        (TooManyRequests("sign-ins", 3.0), ExitCode.SERVICE),
        (NotSignedIn("/api/v1/runs"), ExitCode.NOT_ALLOWED),
        (SignInRefused("this token is unknown"), ExitCode.NOT_ALLOWED),
        (Forbidden("ana", "viewer", "operator"), ExitCode.NOT_ALLOWED),
        (InvalidRequest([("body.priority", "too large")]), ExitCode.USAGE),
        (RunNotFinished("1", "running", 3.0), ExitCode.FAILED),
        (TaskFailed("1", "scan", {}), ExitCode.FAILED),
        (RuntimeError("what"), ExitCode.FAILED),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    ],
)
def test_error_has_its_exit_code(error: BaseException, code: ExitCode) -> None:
    assert exit_code_of(error) is code


@pytest.mark.parametrize("debug", [False, True])
def test_failing_command_says_one_sentence_and_a_traceback_only_when_asked(
    debug: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    @guarded
    def command(debug: bool) -> None:
        raise UnknownTask("scann", ["scan"])

    with pytest.raises(typer.Exit) as ended:
        command(debug=debug)
    said = capsys.readouterr()
    assert ended.value.exit_code == ExitCode.NOT_FOUND
    assert said.out == ""
    assert "error[unknown_task]: unknown task 'scann': did you mean 'scan'?" in said.err
    assert ("Traceback" in said.err) is debug
