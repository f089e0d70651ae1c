"""The forms of the modules' rows in docs/adapters.md, made from the forms: ``python -m tests.docs.adapters_page``."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.adapters import ADAPTERS
from ingest.adapters.form import Adapter, Choice, Form

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adapters.md"
FIXTURES = Path(__file__).resolve().parents[1] / "ingest" / "adapters" / "fixtures"
BEGIN, END = "<!-- forms -->\n", "<!-- end -->\n"


def page() -> str:
    """The whole page as it should be."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return before + BEGIN + "\n" + "".join(_module(one) for one in ADAPTERS) + END + rest.partition(END)[2]


def _module(adapter: Adapter) -> str:
    readers = {version: getattr(reader, "form", reader) for version, reader in adapter.versions.items()}
    if not all(isinstance(reader, Form | Choice) for reader in readers.values()):
        return ""
    doc = (sys.modules[f"ingest.adapters.{adapter.module.replace('-', '_')}"].__doc__ or "").partition(", see")[0]
    parts = [f"### {adapter.module}\n\n{doc.strip().rstrip('.')}.\n\n"]
    for version, reader in readers.items():
        parts.append("".join(_version(version, reader)))
    parts.append(_recipe(adapter))
    return "".join(parts)


def _version(version: str, reader: Form | Choice) -> Iterator[str]:
    if isinstance(reader, Form):
        yield f"Version {version}: `{reader.type}`.\n\n" + _table(reader)
        return
    for word, form in reader.forms.items():
        constants = ", ".join(f"`{name}` = {json.dumps(value)}" for name, value in form.constants.items())
        beside = f" with {constants}" if constants else ""
        yield f"Version {version}, `{reader.field}` = `{word}`: `{form.type}`{beside}.\n\n" + _table(form)


def _table(form: Form) -> str:
    rows = ["| field | becomes | |\n|---|---|---|\n"]
    for path, target in form.fields.items():
        to, text = (target, "") if isinstance(target, str) else (target[0], target[1].text)
        rows.append(f"| `{path}` | `{to}` | {text} |\n")
    return "".join(rows) + "\n"


def _recipe(adapter: Adapter) -> str:
    rows: list[dict[str, Any]] = [
        {name: "NOW" if name == "timestamp" else value for name, value in pair["row"].items()}
        for pair in json.loads((FIXTURES / f"{adapter.module}-{adapter.newest}.json").read_text())
    ]
    body = ",\n ".join(json.dumps(row, ensure_ascii=False) for row in rows).replace('"NOW"', '"$(date -u +%FT%TZ)"')
    return (
        f'```sh\ncurl -sS "$LLM_HUB_URL/v1/adapters/{adapter.module}?version={adapter.newest}" '
        f'-H "Authorization: Bearer $LLM_HUB_KEY" \\\n'
        f'  -H "Content-Type: application/json" --data-binary @- <<END\n[{body}]\nEND\n```\n\n'
    )


if __name__ == "__main__":
    PAGE.write_text(page())
