"""The dialects: one file each, and this explicit list of them, which is also their precedence."""

from collections.abc import Sequence
from typing import Final

from ingest.otlp.dialects import gen_ai, general, langfuse, litellm, openinference, openllmetry, own
from ingest.otlp.dialects.dialect import Dialect

DIALECTS: Final[Sequence[Dialect]] = (
    openinference.DIALECT,
    gen_ai.DIALECT,
    openllmetry.DIALECT,
    langfuse.DIALECT,
    litellm.DIALECT,
    general.DIALECT,
    own.DIALECT,
)
