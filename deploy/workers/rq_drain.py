"""RQ's workers, but a signal ends them between two jobs: `rq worker --worker-class rq_drain.Worker`, docs/queues/rq.md.

RQ's own workers obey it at once where they hold no job, also when they have just taken one and not yet begun: that job
is lost. These look for the signal before each job, and while there is none once each time that `--worker-ttl` less 15
seconds have gone by.
"""

import rq


class _EndsBetweenJobs:
    def request_stop(self, *_: object) -> None:
        """Take note of the signal."""
        self._stop_requested = True

    def dequeue_job_and_maintain_ttl(self, timeout, max_idle_time=None):
        """Wait for a job; None ends the worker."""
        while True:
            taken = super().dequeue_job_and_maintain_ttl(timeout, max_idle_time or timeout)
            if taken or self._stop_requested or max_idle_time or timeout is None:
                return taken


class Worker(_EndsBetweenJobs, rq.Worker):
    """Runs each job in a process of its own."""


class SimpleWorker(_EndsBetweenJobs, rq.SimpleWorker):
    """Runs jobs in its own process."""
