"""The page of settings, made from the settings: ``python -m tests.docs.settings_table > docs/settings.md``."""

from hub.settings import PREFIX, Settings

HEAD = """# Settings

Environment variables, or the same names in lower case without the prefix in the TOML file that `LLM_HUB_CONFIG`
names. The command line wins over the environment, the environment over the file. An unknown or wrong setting stops the
start and is named.
Made by `python -m tests.docs.settings_table`; a test fails when it is out of date.

| variable | default | |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | `{str(field.default) or '–'}` | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return HEAD + "".join(rows)


if __name__ == "__main__":
    print(page(), end="")
