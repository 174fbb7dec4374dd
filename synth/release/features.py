"""Declares a table's features in its schema, as Hugging Face's `datasets` writes and reads them.

{"info": {"features": {"id": {"dtype": "string", "_type": "Value"}, "tools": {"_type": "Json"}}}}

Without the declaration `datasets` would not parse a column of JSON.
"""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa

KEY = b"huggingface"
"""The key in the schema's metadata. Source: `datasets.Features.arrow_schema`."""
DTYPES = {"float": "float32", "double": "float64"}
"""The names that differ from those of Arrow."""


def with_features(schema: pa.Schema) -> pa.Schema:
    """The schema with its features declared."""
    declared = {field.name: _feature(field.type) for field in schema}
    return schema.with_metadata({KEY: orjson.dumps({"info": {"features": declared}})})


def features(schema: pa.Schema) -> dict[str, Any]:
    """The features that the schema declares."""
    declared: dict[str, Any] = orjson.loads(schema.metadata[KEY])["info"]["features"]
    return declared


def _feature(type_: pa.DataType) -> Any:
    if pa.types.is_list(type_):
        return {"feature": _feature(type_.value_type), "_type": "List"}
    if pa.types.is_struct(type_):
        return {field.name: _feature(field.type) for field in type_}
    if isinstance(type_, pa.JsonType):
        return {"_type": "Json"}
    return {"dtype": DTYPES.get(str(type_), str(type_)), "_type": "Value"}


def yaml_features(schema: pa.Schema) -> list[dict[str, Any]]:
    """The features as the `dataset_info` of a card has them."""
    return [{"name": name, **_in_yaml(one)} for name, one in features(schema).items()]


def _in_yaml(feature: dict[str, Any]) -> dict[str, Any]:
    match feature.get("_type"):
        case "Value":
            return {"dtype": feature["dtype"]}
        case "Json":
            return {"dtype": "json"}
        case "List":
            items = _in_yaml(feature["feature"])
            return {"list": items.get("struct") or items["dtype"]}
        case _:  # a struct has only its fields
            return {"struct": [{"name": name, **_in_yaml(one)} for name, one in feature.items()]}
