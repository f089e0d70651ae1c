"""What a fault is."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from hub.simulate.arrivals import Floats, Ints
from hub.simulate.columns import Columns, Flags
from hub.simulate.config import Event, Label, from_us
from hub.simulate.platform import PROJECTS


class Fault:
    """Something that goes wrong between two times, for one tenant.

    A fault never draws from the stream of the traffic: it bends columns that are drawn already, so that a simulation
    with and without it differs only in the window. Subclasses say what they do by overriding the hooks; each hook is
    called once per block that overlaps the fault, in the order of time, and must not block.

    Parameters
    ----------
    tenant
        Whose traffic it touches.
    start_us, end_us
        The window, microseconds of the epoch.
    choice
        A random number, 0–1, from which the fault picks its victim (a provider, a model, a user).
    """

    KIND: ClassVar[str]
    SEVERITY: ClassVar[str] = "high"
    MEASURES: ClassVar[tuple[str, ...]]

    def __init__(self, tenant: str, start_us: int, end_us: int, choice: float) -> None:
        self.tenant = tenant
        self.start_us = start_us
        self.end_us = end_us
        self.choice = choice

    @property
    def series(self) -> dict[str, str]:
        """Dimensions and values in which the fault shows."""
        raise NotImplementedError

    @property
    def cause(self) -> dict[str, str]:
        """``{"kind", "name"}`` of what is to blame."""
        raise NotImplementedError

    def apply(self, columns: Columns) -> None:
        """Bend the columns of a block, in place."""

    def changes(self) -> Iterator[tuple[int, Event]]:
        """Events of the change that caused or ended the fault: their times and their ``type``, ``source``, ``data``."""
        return iter(())

    #: Project and user (indexes) of the requests it adds.
    extra_project: int = 0
    extra_user: int = 0

    def extra_requests(self, requests_per_second: float) -> float:
        """Further requests a second while it lasts, from :attr:`extra_project` and :attr:`extra_user`."""
        del requests_per_second
        return 0.0

    def pressure(self, at_us: int) -> float:
        """How loaded the serving workers are beyond their ordinary load, 0–1."""
        del at_us
        return 0.0

    def within(self, at: Ints) -> Flags:
        """Which times lie in the window."""
        return (at >= self.start_us) & (at < self.end_us)

    def progress(self, at: Ints) -> Floats:
        """How far the window has passed at each time, 0–1."""
        return np.clip((at - self.start_us) / (self.end_us - self.start_us), 0.0, 1.0)

    def label(self) -> Label:
        """The truth about this fault."""
        return Label(
            kind=self.KIND,
            start=from_us(self.start_us),
            end=from_us(self.end_us),
            tenant=self.tenant,
            series=self.series,
            measures=self.MEASURES,
            cause=self.cause,
            severity=self.SEVERITY,
        )


def project_named(name: str) -> int:
    """Index of a project."""
    return next(index for index, project in enumerate(PROJECTS) if project.name == name)


def deployment(artifact: str, name: str, version: str, previous: str, action: str, service: str) -> Event:
    """Parts of a ``registry.deployment`` event."""
    data = {
        "artifact": artifact, "name": name, "version": version, "previous_version": previous, "action": action,
        "share": 1.0, "service": service, "author": "release-bot",
    }  # fmt: skip
    return {"type": "registry.deployment", "source": "registry", "project": service, "data": data}
