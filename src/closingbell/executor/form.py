"""Form: the JSON Schema of a task's payload, from its handler's signature."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from closingbell.executor.binding import Binding, Parameter

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def payload_schema(binding: Binding, masked: Iterable[str] = ()) -> dict[str, Any]:
    """Return what a payload may hold: types, defaults, what is required, and help for people.

    Args:
        binding: of the handler.
        masked: dotted names of fields that nothing shows; they are marked as passwords.
    """
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    annotations = binding.annotations
    for parameter in binding.parameters:
        field = _schema_of(annotations[parameter.name], definitions)
        field["title"] = parameter.name.replace("_", " ")
        if parameter.help:
            field["description"] = parameter.help
        field.update(_default_of(parameter))
        properties[parameter.name] = field
    schema: dict[str, Any] = {
        "$schema": _DIALECT,
        "title": binding.task_name,
        "type": "object",
        "properties": properties,
        "required": [p.name for p in binding.parameters if p.required],
        "additionalProperties": binding.takes_whole_payload,
    }
    if definitions:
        schema["$defs"] = definitions
    for path in masked:
        _hide(schema, path.split("."), definitions)
    return schema


def _schema_of(annotation: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if annotation is inspect.Parameter.empty:
        return {}
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

    try:
        schema = TypeAdapter(annotation).json_schema()
    except (PydanticInvalidForJsonSchema, PydanticUserError, TypeError):
        # A value that pydantic checks and JSON Schema has no words for.
        return {}
    definitions.update(schema.pop("$defs", {}))
    return schema


def _default_of(parameter: Parameter) -> dict[str, Any]:
    """Return a parameter's default as a schema says it; a live object has no words there."""
    from pydantic_core import PydanticSerializationError, from_json, to_json

    if parameter.required:
        return {}
    try:
        return {"default": from_json(to_json(parameter.default, inf_nan_mode="null"))}
    except PydanticSerializationError:
        return {}


def _hide(schema: dict[str, Any], path: list[str], definitions: dict[str, Any]) -> None:
    """Mark a field as one that is written and never shown."""
    target = schema
    if "$ref" in target:
        target = definitions.get(str(target["$ref"]).rpartition("/")[2], target)
    for branch in target.get("anyOf", ()):
        if "$ref" in branch or branch.get("type") in ("object", "array"):
            _hide(branch, path, definitions)
    if "anyOf" in target:
        return
    if target.get("type") == "array":
        _hide(target.setdefault("items", {}), path, definitions)
        return
    field = target.setdefault("properties", {}).setdefault(path[0], {})
    if len(path) > 1:
        _hide(field, path[1:], definitions)
        return
    field["writeOnly"] = True
    field["format"] = "password"
    # Somebody's secret may stand in the code.
    field.pop("default", None)
