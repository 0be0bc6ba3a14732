"""The package's names: each is there, and none costs anything before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import closingbell.tasks
from closingbell.task import Task


@pytest.mark.parametrize("name", closingbell.tasks.__all__)
def test_name_of_the_package_is_there(name: str) -> None:
    assert getattr(closingbell.tasks, name).__name__ == name


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'RiskManger'"):
        _ = closingbell.tasks.RiskManger


def test_every_exported_task_says_what_it_is() -> None:
    kinds = [getattr(closingbell.tasks, name) for name in closingbell.tasks.__all__]
    tasks = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Task)]

    assert len(tasks) == 14
    assert all(kind.__doc__ and kind.run.__doc__ for kind in tasks)


def test_package_alone_loads_none_of_its_modules() -> None:
    script = (
        "import sys, closingbell.tasks;"
        "print([m for m in sys.modules if m.startswith('closingbell.tasks.')],"
        " 'pyarrow' in sys.modules, 'smtplib' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert found.stdout.strip() == "[] False False"
