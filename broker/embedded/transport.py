"""The Faust transport ``sqlite://``: an unchanged Faust app on the embedded log."""

from typing import Any, ClassVar

import faust.transport.drivers
from faust.transport import base

from broker.embedded.consumer import Consumer
from broker.embedded.producer import Producer


class Transport(base.Transport):
    """Faust's way to the embedded log.

    The app's ``id`` is the consumer group. One process at a time reads for a group; another one waits until the first
    has ended, and then goes on from its commits.
    """

    Consumer: ClassVar[Any] = Consumer
    Producer: ClassVar[Any] = Producer
    driver_version = "sqlite"


def register() -> None:
    """Make ``sqlite://`` known to Faust where the package is not installed as a distribution."""
    faust.transport.drivers.TRANSPORTS.aliases["sqlite"] = "broker.embedded.transport:Transport"
