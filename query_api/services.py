"""What endpoints find on ``app.state``, typed."""

from typing import Annotated

from fastapi import Depends, Request

from access.principal import Principal
from access.web import require
from core.clock import Clock
from semantic.layer import SemanticLayer

#: Whoever may ask: a key with the scope ``query``.
Caller = Annotated[Principal, Depends(require("query"))]


def _semantic(request: Request) -> SemanticLayer:
    layer: SemanticLayer = request.app.state.semantic
    return layer


def _clock(request: Request) -> Clock:
    clock: Clock = request.app.state.clock
    return clock


Semantic = Annotated[SemanticLayer, Depends(_semantic)]
HubClock = Annotated[Clock, Depends(_clock)]
