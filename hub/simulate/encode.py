"""Events as bytes."""

from collections.abc import Iterable

import orjson

from hub.simulate.config import Event


def to_ndjson(events: Iterable[Event]) -> bytes:
    """One JSON object a line, each line ended.

    Examples
    --------
    >>> to_ndjson([{"type": "job.run"}])
    b'{"type":"job.run"}\\n'
    """
    return b"".join([orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE) for event in events])
