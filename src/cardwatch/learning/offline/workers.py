"""Tasks done by several processes: none outlives its command for long, and one that dies is noticed."""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from cardwatch.domain.errors import OperatingError

T = TypeVar("T")
U = TypeVar("U")

_JOIN_S = 10


def in_processes(function: Callable[[T], U], tasks: Iterable[T], *, workers: int) -> Iterator[U]:
    """Yield the result of a function for each task as they come, computed by that many new processes.

    Function, tasks and results are sent by pickle. Raises OperatingError when a process fails or dies.
    """
    context = multiprocessing.get_context("spawn")
    waiting = iter(tasks)
    processes: dict[Connection, SpawnProcess] = {}
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, function), daemon=True)
            process.start()
            theirs.close()
            processes[ours] = process
        yield from _results(processes, waiting)
    except BaseException:
        for process in processes.values():
            process.terminate()
        raise
    finally:
        for ours, process in processes.items():
            ours.close()
            process.join(_JOIN_S)


def _results(processes: dict[Connection, SpawnProcess], tasks: Iterator[Any]) -> Iterator[Any]:
    idle, busy = list(processes), set[Connection]()
    while True:
        for connection in list(idle):
            try:
                task = next(tasks)
            except StopIteration:
                break
            connection.send(task)
            idle.remove(connection)
            busy.add(connection)
        if not busy:
            return
        for ready in wait(list(busy)):
            assert isinstance(ready, Connection)  # noqa: S101  nothing else is waited for
            try:
                fault, result = ready.recv()
            except (EOFError, ConnectionResetError):
                raise OperatingError(
                    "a process of the replay ended, perhaps for want of memory: fewer --workers need less"
                ) from None
            if fault:
                raise OperatingError(fault)
            busy.remove(ready)
            idle.append(ready)
            yield result


def _serve(connection: Connection, function: Callable[[Any], Any]) -> None:
    """Do tasks until the command that sends them closes the connection, or is gone."""
    # Ctrl-C reaches every process of a terminal; the command itself decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            task = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        answer: tuple[str | None, Any]
        try:
            answer = (None, function(task))
        except (OSError, MemoryError, ValueError, ArithmeticError) as error:
            answer = (f"a process of the replay failed: {type(error).__name__}: {error}", None)
        connection.send(answer)
