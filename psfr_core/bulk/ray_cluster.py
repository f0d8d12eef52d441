"""Start Ray on this machine or connect to a cluster, and choose the number of workers."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

from ..errors import OptionError
from ..optional_package import import_optional
from ..options import check_options, option

LOCAL = "local"
_OBJECT_STORE_BYTES = 256 * 2**20  # only lists of files and results are stored there

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RayOptions:
    """The Ray cluster and the workers that restore files there. Each worker is a process with its own models and one CPU core."""

    address: str = option(
        LOCAL, "address of a Ray cluster, such as auto, host:6379 or ray://host:10001; local: start Ray on this machine"
    )
    workers: int | None = option(
        None,
        "number of workers; None: as many as the GPUs of the cluster hold, or one per CPU core without a GPU",
        low=1,
    )
    gpus_per_worker: float | None = option(
        None, "GPUs per worker, such as 0.25 for four workers on a GPU; None: 1 if the cluster has a GPU, else 0", low=0
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.address not in (LOCAL, "auto") and not self.address.rpartition(":")[2].isdigit():
            raise OptionError(
                f"{self.address} is not the address of a Ray cluster. Use local, auto, HOST:PORT or ray://HOST:PORT."
            )


@dataclass(frozen=True)
class Cluster:
    """A connected cluster: the modules of Ray and its data sets, the number of workers, and the GPUs of each worker."""

    ray: ModuleType
    data: ModuleType
    workers: int
    gpus_per_worker: float


@contextmanager
def connect(options: RayOptions) -> Generator[Cluster]:
    """Connect to the cluster of ``options``, or start Ray on this machine, and yield the cluster.

    At the end of the context, the connection is closed, and Ray is stopped if it was started here. A connection that the program
    already has is used and kept. If Ray is started here, it sends no usage reports. Ray's messages are hidden unless debug messages
    of this library are enabled. Raises MissingPackageError if Ray is missing, OptionError if ``options.workers`` is
    None but no worker fits into the cluster, and ConnectionError if the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not _log.isEnabledFor(logging.DEBUG):
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    ray = import_optional("ray", "Restoration on several machines", '"ray[data]"')
    data = import_optional("ray.data", "Restoration on several machines", '"ray[data]"')
    is_connected = ray.is_initialized()
    with _quiet("ray", "ray.data"):
        if not is_connected:
            _initialize(ray, options)
        try:
            yield Cluster(ray, data, *_workers(options, ray.cluster_resources()))
        finally:
            if not is_connected:
                ray.shutdown()


def _initialize(ray: ModuleType, options: RayOptions) -> None:
    """Start or join a cluster. Ray replaces the handler of SIGTERM, so the previous handler is set again."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    new = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    if options.address == LOCAL:
        new["num_cpus"] = max(os.cpu_count() or 1, options.workers or 1)
    is_verbose = _log.isEnabledFor(logging.DEBUG)
    ray.init(
        options.address,
        log_to_driver=is_verbose,
        logging_level=logging.INFO if is_verbose else logging.CRITICAL,
        **(new if options.address == LOCAL else {}),
    )
    if in_main_thread:
        signal.signal(signal.SIGTERM, handler)


def _workers(options: RayOptions, resources: dict[str, float]) -> tuple[int, float]:
    """Return the number of workers, and the GPUs of each, for the ``resources`` of a cluster."""
    gpus, cpus = resources.get("GPU", 0.0), resources.get("CPU", 0.0)
    per_worker = min(gpus, 1.0) if options.gpus_per_worker is None else options.gpus_per_worker
    fitting = int(min(cpus, gpus / per_worker) if per_worker else cpus)
    if not (options.workers or fitting):
        raise OptionError(
            f"A worker needs a CPU core and {per_worker:g} GPUs, but the cluster has {cpus:g} CPU cores and {gpus:g} GPUs. "
            "Use a lower number of GPUs per worker, or name the number of workers if the cluster grows on demand."
        )
    return options.workers or fitting, per_worker


@contextmanager
def _quiet(*names: str) -> Generator[None]:
    """Disable the loggers ``names`` unless debug messages of this library are enabled."""
    loggers = [logging.getLogger(name) for name in names if not _log.isEnabledFor(logging.DEBUG)]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
