"""What the engine's error codes mean to the hub."""

import re
from typing import Final, Literal

from core.errors import HubError, Poison, Retryable, SettingsError, SlowDown, Unprocessable

Work = Literal["open", "query", "command", "insert"]

_CODE = re.compile(r"\bCode:\s*(\d+)")
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]{3,})\)")

#: Codes of a block whose own contents the engine refuses, whatever is tried. CANNOT_READ_ALL_DATA is none of them: a
#: block is always sent whole, so that is a connection that broke.
BAD_DATA: Final = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        50,  # UNKNOWN_TYPE
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        131,  # TOO_LARGE_STRING_SIZE
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        376,  # CANNOT_PARSE_UUID
        407,  # DECIMAL_OVERFLOW
    }
)

#: Codes of a server that does not do its work, whatever it is asked: it, its Keeper or its replicas are away, it starts
#: or stops, or is full of others' questions. Anything without a code is a connection's failure and one of them.
AWAY: Final = frozenset(
    {
        33,  # CANNOT_READ_ALL_DATA
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED
        242,  # TABLE_IS_READ_ONLY
        244,  # UNEXPECTED_ZOOKEEPER_ERROR
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        289,  # REPLICA_IS_NOT_IN_QUORUM
        319,  # UNKNOWN_STATUS_OF_INSERT
        369,  # ALL_REPLICAS_ARE_STALE
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
        999,  # KEEPER_EXCEPTION
        1000,  # POCO_EXCEPTION
    }
)

_NO_MEMORY: Final = 241  # MEMORY_LIMIT_EXCEEDED

#: Codes of a question that asks for more than it may have.
TOO_MUCH: Final = frozenset({158, 307, 396})  # TOO_MANY_ROWS, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES

#: Codes of a question that is itself wrong: asking again does not help.
WRONG_QUESTION: Final = frozenset({36, 42, 43, 46, 47, 48, 53, 60, 62, 63, 70, 81, 184, 215, 386, 456, 457, *BAD_DATA})


def code_of(error: BaseException) -> int | None:
    """The engine's error code, where it has one."""
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return code
    found = _CODE.search(str(error))
    return int(found[1]) if found else None


def without_answer(error: BaseException) -> bool:
    """Whether this error of the engine or of its client says that nobody is there to do the work."""
    code = code_of(error)
    return not isinstance(error, HubError) and (code is None or code in AWAY)


def away(error: HubError) -> bool:
    """The same of an error that :func:`failure` has made."""
    return isinstance(error, Retryable) and "code" in error.extra and error.extra["code"] in (None, *AWAY)


def failure(error: BaseException, work: Work) -> HubError:
    """The hub's error for one of the engine or of its client.

    The engine's own text may quote values, so it is left out of ``detail``; it travels as the cause.

    Returns
    -------
    HubError
        :class:`Poison` for a block that can never be inserted, :class:`Unprocessable` for an answer over its limits,
        :class:`SettingsError` when a folder cannot be opened, plain :class:`HubError` for wrong SQL, and
        :class:`Retryable` for everything else: not knowing is no reason to give up data.
    """
    code = code_of(error)
    label = _label(error, code)
    if work == "open":
        return _not_opened(error, code, label)
    if work == "insert" and code in BAD_DATA:
        return Poison(f"The warehouse refuses the contents of this block ({label}).", code=code)
    if work == "query" and code in TOO_MUCH:
        return Unprocessable("The answer is larger than allowed: narrow the time range or filters, or export it.")
    if work in ("query", "command") and code in WRONG_QUESTION:
        return HubError(f"The warehouse does not understand this question ({label}).", code=code)
    if work == "query" and code == _NO_MEMORY and "(total)" in str(error):
        # not the question's fault: everything together has used it up; without the code nobody can blame the question
        return SlowDown("The warehouse has no memory left for this now; ask again in a moment.", retry_after=1)
    return Retryable(f"The warehouse cannot do this now ({label}).", code=code)


def _label(error: BaseException, code: int | None) -> str:
    names: list[str] = _NAME.findall(str(error))
    if names:
        return f"{names[-1]}, code {code}"
    return type(error).__name__ if code is None else f"code {code}"


def _not_opened(error: BaseException, code: int | None, label: str) -> HubError:
    text = str(error)
    if "already initialized with path" in text:
        return SettingsError("This process already has another warehouse folder open: close that one first.")
    if "Cannot lock file" in text or "Error initializing EmbeddedServer" in text:
        return SettingsError(
            "The warehouse folder cannot be opened; most likely it is in use by another process: stop the other hub, "
            "or take another --data-dir. Otherwise check that the folder can be written to."
        )
    if code in (192, 193, 194, 516):  # UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED
        return SettingsError("The warehouse refuses the user or password of its URL.")
    return Retryable(f"The warehouse cannot be reached ({label}).", code=code)
