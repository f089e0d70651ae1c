"""Errors of the hub as gRPC tells them."""

from typing import Final

import grpc

from core.errors import HubError
from ingest.otlp.answer import code_of
from ingest.otlp.wire import MESSAGES

#: Code of ``google.rpc.Code`` → gRPC's own name of it.
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
#: Metadata has room for 8 KB; the message stands in it twice.
_LONGEST: Final = 1000

Metadata = tuple[tuple[str, bytes], ...]


def status_of(error: HubError) -> tuple[grpc.StatusCode, str, Metadata]:
    """Code, message and trailing metadata of an error.

    Back-pressure, also that of a key's limit, is ``UNAVAILABLE`` with a ``RetryInfo``: exporters send the same again
    after that time. It stands in ``grpc-status-details-bin``, where the specification wants it, and where Python's
    exporter looks for it. What would be refused again is told by codes that exporters do not repeat.
    """
    code, message = code_of(error), error.detail[:_LONGEST].encode(errors="replace").decode()
    status = MESSAGES["RpcStatus"](code=code, message=message)
    more: Metadata = ()
    if code == grpc.StatusCode.UNAVAILABLE.value[0]:
        delay = float(getattr(error, "retry_after", 1.0))
        duration = MESSAGES["Duration"](seconds=int(delay), nanos=int(delay % 1 * 1e9))
        info = MESSAGES["RetryInfo"](retry_delay=duration).SerializeToString()
        status.details.append(MESSAGES["Detail"](type_url="type.googleapis.com/google.rpc.RetryInfo", value=info))
        more = (("google.rpc.retryinfo-bin", info),)
    return _CODES[code], message, (("grpc-status-details-bin", status.SerializeToString()), *more)
