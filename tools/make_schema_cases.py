#!/usr/bin/env python3
"""Writes tests/api/data/schemas.json: 200 JSON schemas of different shape that bound their strings, arrays and numbers.

    tools/make_schema_cases.py > tests/api/data/schemas.json

A few are written by hand; the rest are drawn at random from the keywords that puna supports, with a fixed seed.
"""

import json
import random

rng = random.Random(20261125)

FORMATS = ["date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]
PATTERNS = ["^[a-z]{2,6}$", "^[A-Z]{3}-[0-9]{2,4}$", "^(red|green|blue)?$", "^\\w{1,5}( \\w{1,5}){0,2}$", "^#[0-9a-f]{6}$",
            "^[^\\x00-\\x1f\"]{1,8}$", "^\\+?[0-9]{7,12}$"]
WORDS = ["name", "age", "id", "tags", "items", "price", "first name", "city", "zip-code", "créé", "x", "y", "is_ok",
         "quote\"d", "parent", "kind", "status", "note", "émile", "数"]


def string():
    kind = rng.randrange(5)
    if kind == 0:
        return {"type": "string", "format": rng.choice(FORMATS)}
    if kind == 1:
        return {"type": "string", "pattern": rng.choice(PATTERNS)}
    if kind == 2:
        return {"type": "string", "pattern": "^[a-z ]*$", "minLength": rng.randrange(3), "maxLength": rng.randrange(3, 9)}
    low = rng.randrange(4)
    return {"type": "string", "minLength": low, "maxLength": low + rng.randrange(12)}


def integer():
    low = rng.choice([0, 1, -5, -1000, 17, rng.randrange(-(10**6), 10**6)])
    schema = {"type": "integer", "minimum": low}
    high = low + rng.choice([0, 1, 9, 100, 12345, 10**9])
    schema["maximum" if rng.random() < 0.5 or high == low else "exclusiveMaximum"] = high
    return schema


def number():
    low = rng.choice([0, 0.5, -1.25, -273.15, 99.9, -7])
    high = low + rng.choice([0.25, 1, 33.3, 1000])
    high = round(high, 4)
    return {"type": "number", rng.choice(["minimum", "exclusiveMinimum"]): low,
            rng.choice(["maximum", "exclusiveMaximum"]): high}


def scalar():
    return rng.choice([string, string, integer, number, lambda: {"type": "boolean"}, lambda: {"type": "null"},
                       lambda: {"enum": rng.sample(["a", "b\"c", 1, 2.5, None, True, "é", [1, {"k": "v"}]], 3)},
                       lambda: {"const": rng.choice(["fixed", 0, -1.5, {"a": []}])}])()


def schema(depth):
    if depth == 0 or rng.random() < 0.25:
        return scalar()
    return rng.choice([array, tuple_, object_, object_, object_, any_of, one_of, all_of, map_])(depth - 1)


def array(depth):
    low = rng.randrange(3)
    return {"type": "array", "items": schema(depth), "minItems": low, "maxItems": low + rng.randrange(4)}


def tuple_(depth):
    prefix = [schema(depth) for _ in range(rng.randrange(1, 4))]
    tail = rng.choice([{"items": False}, {"maxItems": len(prefix)}, {"items": scalar(), "maxItems": len(prefix) + 2}])
    return {"type": "array", "prefixItems": prefix, "minItems": rng.randrange(len(prefix) + 1), **tail}


def object_(depth):
    names = rng.sample(WORDS, rng.randrange(1, 6))
    out = {"type": "object", "properties": {name: schema(depth) for name in names},
           "required": [name for name in names if rng.random() < 0.6]}
    if rng.random() < 0.6:
        out["additionalProperties"] = False
    return out


def map_(depth):
    return {"type": "object", "additionalProperties": False, "properties": {w: scalar() for w in rng.sample(WORDS, 8)}}


def any_of(depth):
    return {"anyOf": [schema(depth) for _ in range(rng.randrange(2, 4))]}


def one_of(depth):
    if rng.random() < 0.5:
        return {"oneOf": [string(), integer(), {"type": "null"}, {**object_(depth), "type": "object"}][: rng.randrange(2, 5)]}
    branches = []
    for kind in rng.sample(WORDS, rng.randrange(2, 4)):
        properties = {"type": {"const": kind}, "value": schema(depth)}
        branches.append({"type": "object", "properties": properties, "required": ["type"], "additionalProperties": False})
    return {"oneOf": branches}


def all_of(depth):
    base = object_(depth)
    base.pop("additionalProperties", None)  # it would forbid the properties beside it
    return {"allOf": [base, {"properties": {"more": scalar()}, "required": ["more"]}],
            "properties": {"own": scalar()}, "unevaluatedProperties": False} if rng.random() < 0.3 else \
           {"allOf": [{"type": "integer", "minimum": -50}, {"maximum": rng.randrange(60)}]}


BY_HAND = [
    {"$ref": "#/$defs/node", "$defs": {"node": {
        "type": "object", "additionalProperties": False, "required": ["v"],
        "properties": {"v": {"type": "integer", "minimum": 0, "maximum": 99},
                       "next": {"anyOf": [{"$ref": "#/$defs/leaf"}, {"type": "null"}]}}},
        "leaf": {"type": "array", "maxItems": 2, "items": {"enum": ["l", "r"]}}}},
    {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "person", "description": "one of many",
     "type": "object", "properties": {
         "name": {"type": "string", "minLength": 1, "maxLength": 12, "description": "full"},
         "born": {"type": "string", "format": "date"}, "email": {"type": "string", "format": "email"},
         "friends": {"type": "array", "items": {"$ref": "#/$defs/id"}, "maxItems": 3}},
     "required": ["name", "born"], "additionalProperties": False,
     "$defs": {"id": {"type": "string", "format": "uuid"}}},
    {"type": ["string", "null", "integer"], "maxLength": 5, "minimum": 0, "maximum": 1000},
    {"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "number", "minimum": 0, "maximum": 1}},
    {"type": "integer", "oneOf": [{"maximum": -1}, {"minimum": 1}], "minimum": -99, "maximum": 99},
]

seen, cases = set(), []
for case in BY_HAND + [schema(3) for _ in range(2000)]:
    text = json.dumps(case, ensure_ascii=False)
    if text not in seen and len(text) < 2500 and len(cases) < 200:
        seen.add(text)
        cases.append(text)
print("[\n" + ",\n".join(cases) + "\n]")
