"""The API against its own document: what is sent may be anything, what comes back may not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from closingbell.core.role import Role
from tests.property.fuzzed_service import (
    ENDLESS,
    PREFIX,
    FuzzedService,
    fuzzed_service,
    known_values,
)

#: Requests of each kind to each route; the long search is API_FUZZ_EXAMPLES=200.
EXAMPLES = int(os.environ.get("API_FUZZ_EXAMPLES", "5"))

DESCRIBED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
Operation = APIOperation[Any, Any, Any, Any]
FITS, DOES_NOT_FIT = GenerationMode.POSITIVE, GenerationMode.NEGATIVE


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzedService]:
    with fuzzed_service(tmp_path_factory.mktemp("fuzz")) as served:
        yield served


@pytest.mark.timeout(60 + 60 * EXAMPLES)
@pytest.mark.parametrize("role", [Role.ADMIN, Role.VIEWER])
def test_request_that_fits_the_document_is_answered_as_it_says(
    service: FuzzedService, role: Role
) -> None:
    with service.session(role) as session:
        on_each(service, lambda operation: fuzz(service, operation, FITS, session))


@pytest.mark.timeout(60 + 60 * EXAMPLES)
def test_request_that_does_not_fit_the_document_is_refused(service: FuzzedService) -> None:
    with service.session(Role.ADMIN) as session:
        on_each(
            service,
            lambda operation: (
                fuzz(service, operation, DOES_NOT_FIT, session) if can_be_wrong(operation) else None
            ),
        )


@pytest.mark.timeout(300)
def test_request_at_every_boundary_of_the_document_is_answered_as_it_says(
    service: FuzzedService,
) -> None:
    """The shortest and the longest, the least and the most, nothing, and methods not there."""

    def boundaries(operation: Operation) -> None:
        cases = service.schema.iter_coverage_cases(
            operation,
            generation_modes=[FITS, DOES_NOT_FIT],
            generation_config=service.schema.config.generation,
        )
        checks = [*DESCRIBED, negative_data_rejection]
        # An id may hold slashes: /schedules/a/next is a schedule to a method that /next has not.
        if not operation.path.startswith(f"{PREFIX}/schedules/{{schedule_id}}/"):
            checks.append(unsupported_method)
        for case in cases:
            answer = case.call(base_url=service.url, session=session, timeout=30)
            case.validate_response(answer, checks=checks)

    with service.session(Role.ADMIN) as session:
        on_each(service, boundaries)


# --- inside --------------------------------------------------------------------------------


def on_each(service: FuzzedService, look: Callable[[Operation], None]) -> None:
    """Look at each operation; every one that fails is told, not the first alone."""
    failed: list[Exception] = []
    for found in service.schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.definition.raw["operationId"] in ENDLESS:
            continue
        try:
            look(operation)
        except Exception as problem:
            problem.add_note(operation.label)
            failed.append(problem)
    if failed:
        raise ExceptionGroup(f"{len(failed)} operations", failed)


def can_be_wrong(operation: Operation) -> bool:
    """Whether anything but text of the path can be sent, which any text may be."""
    return bool(operation.body or len(operation.query) or len(operation.headers))


def fuzz(
    service: FuzzedService, operation: Operation, mode: GenerationMode, session: requests.Session
) -> None:
    """Send cases of one kind to one operation; each answer must be one that is described."""
    checks = DESCRIBED if mode is FITS else [*DESCRIBED, negative_data_rejection]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(st.data())
    def requests_of(data: st.DataObject) -> None:
        case: Case[Any] = data.draw(operation.as_strategy(generation_mode=mode))
        if mode is FITS:
            case.path_parameters = data.draw(known_values(service.known, case.path_parameters))
            case.query = data.draw(known_values(service.known, case.query))
            case.body = data.draw(known_values(service.known, case.body))
        answer = case.call(base_url=service.url, session=session, timeout=30)
        case.validate_response(answer, checks=checks)

    requests_of()
