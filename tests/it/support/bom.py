"""Validates bills of materials: bom.py SPDX-SCHEMA FILE…, which prints what is wrong with them."""

import json
import sys

import jsonschema
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

schema, *files = sys.argv[1:]
with open(schema, encoding="utf-8") as file:
    schema = json.load(file)
spdx = jsonschema.validators.validator_for(schema)(schema)
wrong = []
for name in files:
    with open(name, encoding="utf-8") as file:
        text = file.read()
    if name.endswith(".cdx.json"):
        error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
        found = [error] if error else []
    else:
        found = [error.message for error in spdx.iter_errors(json.loads(text))]
        if not found:
            all = validate_full_spdx_document(parse_file(name))
            found = [message.validation_message for message in all]
    wrong += [f"{name}: {error}" for error in found]
print("\n".join(wrong), end="")
