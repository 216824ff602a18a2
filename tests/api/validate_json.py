#!/usr/bin/env python3
"""Reads a list of {"schema", "text"} from a file, and prints one line for each text that is not valid under its schema.

Needs Debian's python3-jsonschema.
"""

import json
import sys

import jsonschema

checker = jsonschema.draft202012_format_checker
checked = json.load(open(sys.argv[1], encoding="utf-8"))
for number, case in enumerate(checked):
    try:
        value = json.loads(case["text"])
        jsonschema.Draft202012Validator(case["schema"], format_checker=checker).validate(value)
    except (ValueError, jsonschema.ValidationError) as error:
        print(f"case {number}: {case['text']!r} under {json.dumps(case['schema'])}: {str(error).splitlines()[0]}")
print(f"{len(checked)} texts checked")
