"""Workers of nuxt-queue in Python.

    # server/queues/train.py
    from nuxt_queue import Job, RunContext, define_config, define_worker

    config = define_config(concurrency=2, attempts=3, backoff=1000)

    @define_worker
    def train(job: Job, ctx: RunContext) -> dict[str, float]:
        ctx.logger.info("training", epochs=job.data["epochs"])
        ctx.progress(0.5)
        return {"loss": 0.25}
"""

import os
import sys

if sys.argv[:1] == ["-m"] and sys.path[0] in {"", os.getcwd()}:
    # `python -m` puts the working directory first in the path, where a worker `email.py` would hide the module `email`.
    from ._paths import after_library

    sys.path.insert(after_library() - 1, sys.path.pop(0))

from .aio import AsyncRunContext
from .config import WorkerConfig, define_config, define_worker
from .context import RunContext
from .errors import QueueError, UnrecoverableError
from .job import Deferral, EnqueuedJob, Job, StartedRun
from .suspension import Suspended

__version__ = "0.6.0"

__all__ = [
    "AsyncRunContext",
    "Deferral",
    "EnqueuedJob",
    "Job",
    "QueueError",
    "RunContext",
    "StartedRun",
    "Suspended",
    "UnrecoverableError",
    "WorkerConfig",
    "__version__",
    "define_config",
    "define_worker",
]
