"""The JSON Schema of a settings file, for editors."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from autoscaler.config.hints import field_docs, field_hints
from autoscaler.config.load import settings_adapter
from autoscaler.config.show import written

_VARIABLE = r"\$\{"


def json_schema() -> dict[str, Any]:
    """The schema, with the description and default of every field."""
    schema = settings_adapter().json_schema(schema_generator=_Generator)
    return {"$schema": GenerateJsonSchema.schema_dialect} | schema | {"title": "gpu-autoscaler"}


class _Generator(GenerateJsonSchema):
    """What pydantic writes, and what it leaves out: inherited docstrings, defaults in our units, variables."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - the name is pydantic's
        """A title that repeats the key helps nobody."""
        return False

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        settings = schema["cls"]
        hints, docs = field_hints(settings), field_docs(settings)
        result = super().dataclass_schema(schema)
        for each in fields(settings):
            described = result["properties"][each.name]
            described["description"] = docs.get(each.name, settings.__doc__)
            default = each.default if each.default_factory is MISSING else each.default_factory()
            if default is not MISSING:
                described["default"] = written(default, hints[each.name])
        return result

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return super().int_schema(schema) | {"type": ["integer", "string"], "pattern": _VARIABLE}

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return super().float_schema(schema) | {"type": ["number", "string"], "pattern": _VARIABLE}

    def bool_schema(self, schema: core_schema.BoolSchema) -> JsonSchemaValue:
        return super().bool_schema(schema) | {"type": ["boolean", "string"], "pattern": _VARIABLE}
