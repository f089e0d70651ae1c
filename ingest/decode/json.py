"""``application/json``: one event, or an array of them."""

import orjson

from core.errors import BadRequest
from ingest.batch import Arrival, Decoded
from ingest.decode.finish import finish
from ingest.decode.rows import decode_rows, written
from ingest.limits import Limits


def decode_json(body: bytes, arrival: Arrival, limits: Limits) -> Decoded:
    """Decode a JSON body.

    Raises
    ------
    BadRequest
        The body is not JSON, or neither an object nor an array of at least one event.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}; lines of JSON are sent as application/x-ndjson") from None
    if isinstance(value, dict):
        return finish(decode_rows([(0, value, body)], arrival, limits.row_bytes), arrival)
    if not isinstance(value, list) or not value:
        raise BadRequest("the body holds no events: send one JSON object, or an array of at least one")
    rows = ((index, element, written(element)) for index, element in enumerate(value))
    return finish(decode_rows(rows, arrival, limits.row_bytes), arrival)
