"""Scrapyd's launcher, except that a stop of Scrapyd stops its jobs first."""

from __future__ import annotations

from typing import Any

from scrapyd.launcher import Launcher as ScrapydLauncher
from twisted.internet.defer import Deferred, DeferredList


class Launcher(ScrapydLauncher):
    """Passes a stop on to the running jobs, and waits for them.

    A job then waits for calls in flight and stores their answers, so nothing is paid for twice.
    Scrapyd's own launcher leaves its jobs to be killed with the container.
    """

    def stopService(self) -> Deferred[Any]:  # noqa: N802 (Twisted's name)
        """Stop the jobs. Scrapyd exits when the result fires."""
        super().stopService()
        jobs = list(self.processes.values())
        for job in jobs:
            job.transport.signalProcess("TERM")
        return DeferredList([job.deferred for job in jobs])
