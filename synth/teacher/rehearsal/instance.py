"""A valid instance of a JSON schema: what a server with constrained decoding would return.

    {"type": "object", "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 5}}, …}
    → {"score": 4}

Covers what replies are asked for: objects, arrays, strings, numbers, booleans, null, enum, const,
$ref, anyOf, allOf and the usual bounds. `pattern` and `format` are not honoured.
"""

from __future__ import annotations

from typing import Any

from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.phrases import capital, pick
from synth.teacher.rehearsal.text import key_terms

Schema = dict[str, Any]
MAX_DEPTH = 12
"""Where a schema that contains itself is cut off."""
PROSE = ("reason", "explan", "comment", "rationale", "critique", "feedback", "thought", "justif")


def instance(schema: Schema, prompt: str, dice: Dice) -> Any:
    """A value that the schema allows. Scores lean upwards, as those of judges do."""
    return _Maker(schema, key_terms(prompt), dice).value(schema, "", 0)


class _Maker:
    def __init__(self, root: Schema, terms: tuple[str, ...], dice: Dice) -> None:
        self.root, self.terms, self.dice = root, terms, dice

    def value(self, schema: Any, name: str, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            return None
        schema = self.resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self.dice.pick(schema["enum"])
        for branch in ("anyOf", "oneOf"):
            if schema.get(branch):
                return self.value(self.dice.pick(schema[branch]), name, depth + 1)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = self.dice.pick(kind) if kind else None
        if kind is None:
            kind = (
                "object" if "properties" in schema else "array" if "items" in schema else "string"
            )
        match kind:
            case "object":
                return self.object(schema, depth)
            case "array":
                return self.array(schema, name, depth)
            case "integer" | "number":
                return self.number(schema, kind)
            case "boolean":
                return self.dice.chance(0.5)
            case "null":
                return None
        return self.string(schema, name)

    def resolved(self, schema: Schema) -> Schema:
        """The schema with its $ref followed and its allOf merged."""
        for _ in range(MAX_DEPTH):
            reference = schema.get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#/"):
                break
            target: Any = self.root
            for key in reference[2:].split("/"):
                target = target.get(key, {}) if isinstance(target, dict) else {}
            schema = {**target, **{key: schema[key] for key in schema if key != "$ref"}}
        for part in schema.get("allOf", ()):
            schema = {**schema, **self.resolved(part)}
        return schema

    def object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        # past half the depth only what is required, so that optional recursion comes to an end
        names = [name for name in properties if name in required or depth <= MAX_DEPTH // 2]
        return {name: self.value(properties[name], name, depth + 1) for name in names}

    def array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        low = schema.get("minItems", 0 if depth > MAX_DEPTH // 2 else 1)
        high = max(low, schema.get("maxItems", low + 2))
        count = self.dice.between(low, min(high, low + 2))
        return [self.value(schema.get("items", {}), name, depth + 1) for _ in range(count)]

    def number(self, schema: Schema, kind: str) -> int | float:
        step = schema.get("multipleOf", 1 if kind == "integer" else 0.01)
        low = schema.get("minimum", schema.get("exclusiveMinimum", -step) + step)
        high = schema.get("maximum", schema.get("exclusiveMaximum", low + 10 + step) - step)
        steps = max(0, int((high - low) / step))
        number = low + step * max(self.dice.between(0, steps), self.dice.between(0, steps))
        return int(number) if kind == "integer" else min(round(float(number), 6), float(high))

    def string(self, schema: Schema, name: str) -> str:
        a, b, c = self.dice.draw(self.terms, 3)
        text = a
        if any(word in name.lower() for word in PROSE):
            slots = {"a": a, "b": b, "c": c}
            text = capital(pick("answer", "frames", self.dice, slots))
        short = schema.get("minLength", 0) - len(text)
        if short > 0:
            text += f" {b} {c}" + "." * short
        return text[: schema["maxLength"]] if "maxLength" in schema else text
