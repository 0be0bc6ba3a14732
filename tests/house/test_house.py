"""The rules of scripts/check_house.py: each finds its breach, and lets the rightful case pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.check_house import ALLOWANCES, Breach, SourceFile, Tree, breaches

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG = SourceFile("CHANGELOG.md", "# Changelog\n\n## Unreleased\n")

ERRORS = '''"""Errors.

    ClosingbellError
    ├── DefinitionError    what cannot work
    │   ├── DuplicateTask · TaskDefinitionError
    └── LookupFailed
        ├── UnknownTask
"""
class ClosingbellError(Exception):
    code: ClassVar[str] = "error"
class DefinitionError(ClosingbellError, ValueError):
    code = "definition"
class DuplicateTask(DefinitionError):
    code = "duplicate"
class TaskDefinitionError(DefinitionError):
    code = "task"
class LookupFailed(ClosingbellError):
    code = "lookup"
class UnknownTask(LookupFailed):
    code = "unknown"
'''


def found(*files: tuple[str, str]) -> list[Breach]:
    return breaches(Tree([CHANGELOG, *(SourceFile(*file) for file in files)]), {})


def test_repository_as_tracked_breaks_no_rule() -> None:
    assert [str(breach) for breach in breaches(Tree.tracked(ROOT), ALLOWANCES)] == []


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        ("long-file", "src/closingbell/core/run.py", "x = 1\n" * 401),
        ("nameless-file", "src/closingbell/store/utils.py", ""),
        ("nameless-file", "src/closingbell/engine/task_manager.py", ""),
        ("nameless-file", "src/closingbell/helpers/claim.py", ""),
        (
            "registry-host",
            "requirements/dev.txt",
            "x @ https://files.python" + "hosted.org/x.whl\n",
        ),
        ("registry-host", "frontend/package-lock.json", '"https://registry.npm' + 'js.org/x"'),
        ("machine-path", "docs/start.md", "cd /work/desk\n"),
        ("machine-path", "README.md", "sqlite:////tmp/desk.db\n"),
        ("machine-path", "src/closingbell/settings.py", 'HOME = "/root/x"\n'),
        ("forbidden-word", "src/closingbell/core/run.py", "job = 1\n"),
        ("forbidden-word", "src/closingbell/core/run.py", "class JobStore: ...\n"),
        ("forbidden-word", "src/closingbell/core/run.py", "def f(pending_jobs): ...\n"),
        ("forbidden-word", "src/closingbell/core/run.py", "import json as myJob\n"),
        ("swallowed-error", "src/closingbell/core/run.py", "try: x\nexcept: pass\n"),
        ("swallowed-error", "src/closingbell/core/run.py", "try: x\nexcept Exception: ...\n"),
        (
            "swallowed-error",
            "src/closingbell/core/run.py",
            "try: x\nexcept (ValueError, BaseException): pass\n",
        ),
        (
            "swallowed-error",
            "src/closingbell/core/run.py",
            "with contextlib.suppress(Exception): x\n",
        ),
        (
            "undocumented-method",
            "src/closingbell/core/run.py",
            "class Run:\n    def end(self): return 1\n",
        ),
        ("core-import", "src/closingbell/core/run.py", "import msgspec\n"),
        ("core-import", "src/closingbell/core/run.py", "from closingbell.store import schema\n"),
        ("core-import", "src/closingbell/core/run.py", "from . import x\n"),
        ("core-import", "src/closingbell/core/run.py", "def f():\n    import sqlalchemy.orm\n"),
    ],
)
def test_file_that_breaks_a_rule_is_named(rule: str, path: str, text: str) -> None:
    assert [(breach.rule, breach.path) for breach in found((path, text))] == [(rule, path)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "src/closingbell/core/run.py",
            '"""Longer than 400 lines because x."""\n' + "x = 1\n" * 400,
        ),
        ("src/closingbell/store/database.py", ""),
        ("tests/test_x.py", "job = '/tmp/x'\n" * 500),
        ("src/closingbell/core/run.py", "jobber = objective = 1  # no job here\n"),
        ("src/closingbell/core/run.py", "try: x\nexcept ValueError: pass\n"),
        ("src/closingbell/core/run.py", "try: x\nexcept Exception: log()\n"),
        ("src/closingbell/core/run.py", "with suppress(ProcessLookupError): x\n"),
        ("src/closingbell/core/run.py", "import json\nfrom closingbell.core.task import Task\n"),
        ("src/closingbell/store/run.py", "import sqlalchemy\n"),
        ("src/closingbell/store/run.py", 'FOLDER = "data/tmp/x"\n'),
        (
            "src/closingbell/core/run.py",
            "class Port:\n    def end(self):\n        'End.'\nclass Run:\n    def end(self): ...\n",
        ),
    ],
)
def test_file_within_the_rules_is_not_named(path: str, text: str) -> None:
    assert found((path, text)) == []


@pytest.mark.parametrize(
    ("instead_of", "write", "sentence"),
    [
        ("        ├── UnknownTask\n", "", "UnknownTask is not in the tree"),
        ("UnknownTask(LookupFailed)", "UnknownTask(DefinitionError)", "drawn under LookupFailed"),
        ('"unknown"', '"lookup"', "share 'lookup'"),
        ('    code = "unknown"', "    pass", "UnknownTask has no code of its own"),
        ("DuplicateTask ·", "DuplicateTask · Gone ·", "Gone is drawn"),
    ],
)
def test_error_class_out_of_step_with_the_tree_is_named(
    instead_of: str, write: str, sentence: str
) -> None:
    assert instead_of in ERRORS
    (breach,) = found(("src/closingbell/core/error.py", ERRORS.replace(instead_of, write)))
    assert sentence in breach.sentence


def test_error_tree_in_step_with_its_classes_is_not_named() -> None:
    assert found(("src/closingbell/core/error.py", ERRORS)) == []


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("", "alembic is runtime, the table says None"),
        ("| alembic | MIT | migrations | test |\n", "alembic is runtime, the table says test"),
    ],
)
def test_locked_package_without_its_licence_row_is_named(row: str, sentence: str) -> None:
    lock = "alembic==1.0 \\\n    --hash=sha256:0\n"
    (breach,) = found(
        ("requirements/dev.txt", lock),
        ("requirements/runtime.txt", lock),
        ("requirements/LICENSES.md", row),
    )
    assert (breach.rule, breach.sentence) == ("licence-table", sentence)


def test_licence_row_without_its_package_is_named() -> None:
    (breach,) = found(("requirements/LICENSES.md", "| gone | MIT | unknown | test |\n"))
    assert breach.sentence == "gone is not locked, the table says test"


@pytest.mark.parametrize("text", [None, "# Changelog\n\n## 0.1.0\n"])
def test_changelog_without_unreleased_section_is_named(text: str | None) -> None:
    files = [] if text is None else [SourceFile("CHANGELOG.md", text)]
    assert [breach.rule for breach in breaches(Tree(files), {})] == ["changelog"]


def test_allowance_hides_its_breach_only_as_long_as_there_is_one() -> None:
    allowed = {("nameless-file", "scripts/base.py"): "a reason"}
    assert breaches(Tree([CHANGELOG, SourceFile("scripts/base.py", "")]), allowed) == []
    assert [breach.rule for breach in breaches(Tree([CHANGELOG]), allowed)] == ["stale-allowance"]
