"""Devices and processes: the mesh, how arrays lie on it, and how several hosts start and agree.

The only file that knows how many devices there are. Everything else is written for one batch of rows; here that batch
is padded to a multiple of the devices, cut, and put on them.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXIS = "batch"
IN_FLIGHT = 2  # batches given to the devices before the first is waited for
# Seconds that a process which is done waits for the others; JAX's 300 end those still at work.
LATEST_END = 7 * 24 * 3600
COORDINATOR_SECONDS = 300  # that the coordinator is waited for; the environment may say otherwise
HEARTBEAT_SECONDS = 30  # after which a process that has gone silent is given up
# What JAX and Gloo say where another process is gone.
GONE = re.compile(
    r"Gloo|[Cc]onnection (closed|reset|refused)|DEADLINE_EXCEEDED|UNAVAILABLE|[Cc]oordination (service|agent)|heartbeat|ABORTED"
)
SMALLEST_SHARDED = 2**16  # elements; a smaller parameter costs more to gather than to hold everywhere


class PeerGone(RuntimeError):
    """Another process of the job is gone, or never came."""


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """One axis, `batch`, over the devices: all of them (of every process) unless some are given."""
    return Mesh(np.asarray(jax.devices() if devices is None else devices), (AXIS,), axis_types=(AxisType.Auto,))


def local_mesh() -> Mesh:
    """The mesh of this process's own devices."""
    return make_mesh(jax.local_devices())


def pad_rows(tree, multiple: int, *, fill: int):
    """The arrays with rows of `fill` added until their number is a multiple."""

    def pad(array):
        array = np.asarray(array)
        missing = -array.shape[0] % multiple
        return np.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1), constant_values=fill) if missing else array

    return jax.tree.map(pad, tree)


def shard_rows(tree, mesh: Mesh):
    """Host arrays as device arrays, cut along their first axis, which the number of devices must divide (`pad_rows`).

    With several processes every one passes the whole arrays, and puts its own rows on its own devices.
    """
    rows = NamedSharding(mesh, PartitionSpec(AXIS))
    return place(tree, jax.tree.map(lambda _: rows, tree))


def replicate(tree, mesh: Mesh):
    """The arrays, whole on every device."""
    return place(tree, jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec()), tree))


def place(tree, shardings):
    """The arrays under these shardings. Every process must hold the same values."""

    def put(array, sharding):
        if jax.process_count() == 1:
            return jax.device_put(array, sharding)
        array = np.asarray(array)
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(put, tree, shardings)


def state_shardings(shapes, mesh: Mesh, *, shard_params: bool):
    """A sharding for every array of a train state.

    Whole on every device; with `shard_params` a parameter, and what the optimizer keeps for it, is cut along its
    longest axis that the number of devices divides. (BART's 50,265 tokens are divided by little: the embedding is cut
    along `model`.)
    """

    def spec(shape) -> PartitionSpec:
        if not shard_params or int(np.prod(shape)) < SMALLEST_SHARDED:
            return PartitionSpec()
        axes = [axis for axis, size in enumerate(shape) if size % mesh.size == 0]
        if not axes:
            return PartitionSpec()
        longest = max(axes, key=lambda axis: shape[axis])
        return PartitionSpec(*(AXIS if axis == longest else None for axis in range(len(shape))))

    return jax.tree.map(lambda array: NamedSharding(mesh, spec(array.shape)), shapes)


def map_rows(function: Callable, mesh: Mesh) -> Callable:
    """`function(params, *arrays)` run by every device on its own rows: params whole, all else cut along the first axis.

    Each device leaves its own loops when its own rows are done, and the program holds no collective.
    """

    def mapped(params, *arrays):
        rows = PartitionSpec(AXIS)
        specs = (PartitionSpec(), *(rows for _ in arrays))
        return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=rows, check_vma=False)(params, *arrays)

    return mapped


def in_batches(shapes: Sequence[tuple], size: int, run: Callable) -> Iterator[tuple[list[int], object]]:
    """Rows of one shape together, at most `size` at a time: the rows of a batch, and `run(rows, shape)` on the host.

    The next batch is on its way to the devices before the last is waited for.
    """
    pending = []
    for shape in sorted(set(shapes)):
        rows = [row for row, own in enumerate(shapes) if own == shape]
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            pending.append((batch, run(batch, shape)))
            if len(pending) == IN_FLIGHT:
                rows_done, result = pending.pop(0)
                yield rows_done, jax.device_get(result)
    for rows_done, result in pending:
        yield rows_done, jax.device_get(result)


def start_processes(
    *, coordinator: str = "", num_processes: int = 0, process_id: int = -1, detect: bool = False
) -> None:
    """Joins the other processes of the job, if there are any: by address, or as the cluster (Slurm, a TPU pod) says.

    The coordinator is waited for for `COORDINATOR_SECONDS`, or as many seconds as QUALS_JAX_COORDINATOR_SECONDS says.

    Raises:
        ValueError: if an address comes without the number of processes, or without this one's.
        PeerGone: if not all processes came.
    """
    if not (coordinator or detect):
        return
    # SIGTERM must end a process, or have it save where it trains: JAX's preemption service would take note and go on.
    jax.config.update("jax_enable_preemption_service", False)
    if coordinator and (num_processes < 1 or not 0 <= process_id < num_processes):
        raise ValueError(
            f"coordinator is {coordinator!r}, num_processes {num_processes} and process_id {process_id};"
            " with a coordinator, process_id must lie in 0 .. num_processes - 1"
        )
    seconds = int(os.environ.get("QUALS_JAX_COORDINATOR_SECONDS", COORDINATOR_SECONDS))
    named = (coordinator, num_processes, process_id) if coordinator else ()
    if coordinator and process_id:
        _wait_for_coordinator(coordinator, seconds)  # JAX's own wait would end in an abort
    try:
        jax.distributed.initialize(
            *named,
            initialization_timeout=seconds,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=LATEST_END,
        )
    except RuntimeError as error:
        if not GONE.search(str(error)):
            raise
        place = coordinator or "the coordinator"
        raise PeerGone(
            f"not all processes came to {place} within {seconds} seconds; the same command tries again"
        ) from None
    atexit.register(_wait_at_the_end)  # so before JAX's own end, which was registered earlier
    if owns_all_it_sees(os.environ):
        for name in ("jax_cuda_visible_devices", "jax_rocm_visible_devices"):
            jax.config.update(name, "all")
    # Now, while all are here: for the first collective alone a CPU waits no longer than half a minute.
    wait_for_all("started")


def _wait_for_coordinator(address: str, seconds: float) -> None:
    """Returns when somebody listens at the address.

    Raises:
        ValueError: if it is none. PeerGone: if nobody came in time.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise ValueError(f"coordinator is {address!r}; it must be HOST:PORT")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    raise PeerGone(
        f"the coordinator did not come to {address} within {seconds:g} seconds; the same command tries again"
    )


def _wait_at_the_end() -> None:
    """Waits for the others: JAX gives its limit for that to the first process alone, and ends the rest after 300 seconds.

    A process that ends in an error does not wait.
    """
    client = _client()
    if client is None or hasattr(sys, "last_type"):
        return
    with contextlib.suppress(RuntimeError):  # another process failed; JAX says so
        client.wait_at_barrier("quals_jax: the end", LATEST_END * 1000)


def _client():
    """What JAX speaks to its coordinator with, for a barrier with a limit of our own: JAX shows it nowhere in public. None where it is
    not there, or no longer in that place; then JAX's own barrier at the end has to do."""
    try:
        from jax._src import distributed

        return distributed.global_state.client
    except (ImportError, AttributeError):
        return None


def about_peers(error: Exception) -> str | None:
    """One line, if an error comes of another process being gone; None for other errors, and where there are no others."""
    if isinstance(error, PeerGone):
        return str(error)
    several = jax.distributed.is_initialized() and jax.process_count() > 1
    if several and isinstance(error, RuntimeError) and GONE.search(str(error)):
        return "another process is gone; the same command goes on from what is saved"
    return None


def owns_all_it_sees(environment: Mapping[str, str]) -> bool:
    """Whether a process that Slurm started may use every GPU in sight, where JAX takes the one of the task's number: it is
    alone on its node, or sees only one."""
    tasks = environment.get("SLURM_STEP_TASKS_PER_NODE", "")  # such as 1(x2), or 8(x3),4
    seen = environment.get("CUDA_VISIBLE_DEVICES", "")
    alone = bool(tasks) and all(part.partition("(")[0] == "1" for part in tasks.split(","))
    return "JAX_LOCAL_DEVICE_IDS" not in environment and (alone or (bool(seen) and "," not in seen))


def leave(status: int) -> int:
    """The status; but where there are other processes, ends this one with it at once, as after an error.

    An orderly end would wait for them while they wait for this one. They end when they miss it.
    """
    if not jax.distributed.is_initialized() or jax.process_count() == 1:
        return status
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def process_index() -> int:
    return jax.process_index()


def process_count() -> int:
    return jax.process_count()


def is_first_process() -> bool:
    """Whether this is the process that writes and prints."""
    return jax.process_index() == 0


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process. All of them must ask at the same step."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


def raise_together(error: Exception | None) -> None:
    """Raises this process's error; and where another process has one, a ValueError: nobody waits for one that failed.

    All processes must call it at the same step.
    """
    failed = any_process(error is not None)
    if error is not None:
        raise error
    if failed:
        raise ValueError("another process failed, and says why")


def from_first(number: int) -> int:
    """The first process's number, in every process."""
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.broadcast_one_to_all(np.asarray(number, np.int32)))


def wait_for_all(name: str) -> None:
    """Returns when every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def on_host(tree):
    """The arrays as NumPy arrays, whole, whatever their sharding and on every process."""

    def fetch(array):
        if getattr(array, "is_fully_addressable", True):
            return np.asarray(array)
        return np.asarray(multihost_utils.process_allgather(array, tiled=True))

    return jax.tree.map(fetch, tree)
