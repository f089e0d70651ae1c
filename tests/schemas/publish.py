"""Writes the JSON Schema of every version that is new: ``python -m tests.schemas.publish``. What is published stays."""

import sys

import orjson

from schemas.catalogue import EVENT_MODELS
from schemas.json_schema import json_schema
from schemas.published import FOLDER


def main() -> None:
    for model in EVENT_MODELS:
        path = FOLDER / f"{model.TYPE}-{model.VERSION}.json"
        if not path.exists():
            path.write_bytes(
                orjson.dumps(json_schema(model.TYPE), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            )
            sys.stdout.write(f"published {path.name}\n")


if __name__ == "__main__":
    main()
