"""Reaching a Ray cluster, or starting one: the only place that calls ``ray.init``."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from upturn.errors import ConfigError, MissingExtraError
from upturn.scaleout.options import RayOptions

#: Bytes for shared objects on a cluster that is started here; rows are small, Ray wants 75 MiB.
STORE_BYTES = 128 * 2**20
#: Longest wait for a cluster's port. Ray itself would try for minutes and then end the process.
PROBE_S = 5.0

#: Ray prints what raylets report to stdout, where only the answer of a command belongs. Read when
#: it is imported.
QUIET_ENV = {"RAY_DEDUP_LOGS_SKIP_REGEX": "."}
# For a cluster of our own: nothing is reported to anybody, and no port is open to other machines
# (Ray reads the second name on Linux, too; without it, it listens on all addresses).
_LOCAL_ENV = {
    **QUIET_ENV,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


@contextmanager
def connected(options: RayOptions) -> Generator[None]:
    """Connects this process to a cluster; a connection that is there already is used and kept.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: no cluster answers at the address, or one of another version, or none starts
            here.
    """
    require_ray()
    for name, value in (_LOCAL_ENV if options.address is None else QUIET_ENV).items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    with _orderly_sigterm():
        _init(ray, options)
    try:
        yield
    finally:
        ray.shutdown()


def require_ray(module: str = "ray") -> None:
    """Raises MissingExtraError unless the [ray] extra is installed."""
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError("ray", "executor: ray")


def _init(ray: Any, options: RayOptions) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if options.address is None:
        _start(ray, options, quiet)
        return
    _probe(options.address)
    try:
        ray.init(address=options.address, **quiet)
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        # RuntimeError: another version of Ray or Python there. A refused token is not named.
        fix = "check that it is the GCS's port, and that RAY_AUTH_TOKEN is the cluster's token"
        raise _unusable(options.address, _first_line(error), fix) from error


def _start(ray: Any, options: RayOptions, quiet: dict[str, Any]) -> None:
    try:
        ray.init(
            address="local",
            num_cpus=options.local_cpus,
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            **quiet,
        )
    except Exception as error:  # a plain one where a process of Ray's did not come up in its time
        ray.shutdown()
        raise ConfigError(
            f"Ray must be able to start on this machine ({_first_line(error)})",
            where="executor",
            fix="run the same command again when the machine is less busy, or set executor: local",
        ) from error


def _probe(address: str) -> None:
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "")
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return  # Ray looks for it on this machine, or refuses it at once
    try:
        socket.create_connection((host, int(port)), timeout=PROBE_S).close()
    except OSError as error:
        fix = f"ray status --address {address}, or leave ray.address empty to start one here"
        raise _unusable(address, str(error), fix) from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _unusable(address: str, why: str, fix: str) -> ConfigError:
    return ConfigError(
        f"a Ray cluster of this version must answer at {address} ({why})",
        where="ray.address",
        fix=fix,
    )


@contextmanager
def _orderly_sigterm() -> Generator[None]:
    """A SIGTERM ends the turn as Ctrl-C does, unless the process has a way of its own.

    ``ray.init`` puts a handler in its place that aborts, and then processes of Ray's stay behind.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        own = before not in (signal.SIG_DFL, None)
        signal.signal(signal.SIGTERM, before if own else _interrupt)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
