"""RQ's workers, but a signal ends them between two jobs: `rq worker --worker-class rq_drain.Worker`, docs/queues/rq.md.

RQ's own workers obey it at once where they hold no job, also when they have just taken one and not yet begun: that job
is lost.
"""

import rq


class _EndsBetweenJobs:
    def request_stop(self, *_: object) -> None:
        """Take note of the signal; RQ looks for that before it waits for the next job."""
        self._stop_requested = True


class Worker(_EndsBetweenJobs, rq.Worker):
    """Runs each job in a process of its own."""


class SimpleWorker(_EndsBetweenJobs, rq.SimpleWorker):
    """Runs jobs in its own process."""
