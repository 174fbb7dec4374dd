"""Describes a release for search engines and auditors: `croissant.json`, in Croissant 1.1.

It has each file with its sha256, the columns of both configs, and `rai:hasSyntheticData`, which
says whether a model wrote text. Source: docs.mlcommons.org/croissant/docs/croissant-spec-1.1
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from synth.release.contents import Contents
from synth.release.features import features
from synth.release.mark import TOOL, mark
from synth.store.manifest import Manifest

NAME = "croissant.json"
PARQUET = "application/x-parquet"
TYPES = {"bool": "sc:Boolean", "int32": "sc:Integer", "float32": "sc:Float", "float64": "sc:Float"}
"""Others are texts."""
_TERMS = """
arrayShape citeAs column containedIn equivalentProperty extract field fileObject fileProperty
fileSet format includes isArray isLiveDataset jsonPath key md5 parentField path recordSet
references regex repeated replace samplingRate separator source subField transform
"""
# the official context, so that checks accept it
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    **{term: f"cr:{term}" for term in _TERMS.split()},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "description": {"@container": "@language"},
    "name": {"@container": "@language"},
}


def croissant(name: str, history: Sequence[Manifest], found: Contents, cite_as: str) -> str:
    """The description as JSON. The same data give the same text."""
    synthetic = mark(list(history), dated=True)
    licenses = sorted(one for one in found.facts.licenses if one)
    described = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.1",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": name,
        "description": f"{found.rows:,} rows made by the recipe {name} of {TOOL}.",
        "citeAs": cite_as,
        "version": "1.0.0",
        **({"license": licenses} if licenses else {}),
        **({"inLanguage": found.languages} if found.languages else {}),
        **({"datePublished": history[0].began_on} if history[0].began_on else {}),
        "rai:hasSyntheticData": synthetic is not None,
        **_by_model(synthetic),
        "distribution": list(_files(found)),
        "recordSet": [_record_set(config, found) for config in found.folders],
    }
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


def _by_model(synthetic: Mapping[str, str] | None) -> dict[str, Any]:
    """How the text was made, for auditors."""
    if synthetic is None:
        return {}
    model = " ".join(filter(None, (synthetic["generated_by"], synthetic["revision"])))
    if others := synthetic.get("with"):
        model = f"{model}, with {others}"
    return {
        "rai:machineAnnotationTools": [model, synthetic["tool"]],
        "rai:dataCollection": f"{synthetic['tool']} asked the model {model} to write the text.",
        "rai:dataCollectionType": "Synthetic data generation",
    }


def _files(found: Contents) -> Iterator[dict[str, Any]]:
    for config, folder in found.folders.items():
        for split in found.splits[config].values():
            for file in split.files:
                yield {
                    "@type": "cr:FileObject",
                    "@id": file.path,
                    "name": file.path,
                    "contentUrl": file.path,
                    "contentSize": f"{file.bytes} B",
                    "encodingFormat": PARQUET,
                    "sha256": file.sha256,
                }
        yield {
            "@type": "cr:FileSet",
            "@id": f"{config}-files",
            "name": f"{config}-files",
            "encodingFormat": PARQUET,
            "includes": f"{folder}/*.parquet",
        }


def _record_set(config: str, found: Contents) -> dict[str, Any]:
    columns = features(found.schemas[config])
    return {
        "@type": "cr:RecordSet",
        "@id": config,
        "name": config,
        "key": {"@id": f"{config}/id"},
        "field": [_field(config, [name], feature) for name, feature in columns.items()],
    }


def _field(config: str, path: list[str], feature: Mapping[str, Any]) -> dict[str, Any]:
    """The field of a column, or of a part of it."""
    is_list = feature.get("_type") == "List"
    item = feature["feature"] if is_list else feature
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": "/".join([config, *path]),
        "name": path[-1],
        **({"isArray": True, "arrayShape": "-1"} if is_list else {}),
    }
    if "_type" not in item:  # a struct
        parts = [_field(config, [*path, name], part) for name, part in item.items()]
        return {**field, "subField": parts}
    source: dict[str, Any] = {
        "fileSet": {"@id": f"{config}-files"},
        "extract": {"column": path[0]},
    }
    if len(path) > 1:
        source["transform"] = {"jsonPath": ".".join(path[1:])}
    return {**field, "dataType": TYPES.get(item.get("dtype", ""), "sc:Text"), "source": source}
