"""A worker with one planted fault: ``python -m tests.integration.worker.faulty_worker FAULT CONFIG``.

With FAULT ``PLACE:NUMBER`` the process kills itself the NUMBERth time that it comes to a place: ``scan``;
``transaction``, half of it written; ``acknowledgement``, before it and after the transaction; ``rebuild``.
``slow-rebuild:SECONDS`` makes every rebuild that long, ``stall:NUMBER`` makes the engine hang at the NUMBERth
record, ``abort:NUMBER`` makes the NUMBERth transaction fail, ``freeze-PID:NUMBER`` freezes process PID, a broker, when
the NUMBERth transaction is about to be committed, ``cancel:1`` ends the first rebuild by cancellation.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError

from detectors.restoring import Restoring
from streams.brokers.transactional_producer import TransactionalProducer
from streams.configuration.load import load
from streams.worker import process
from streams.worker.engine.owned_area import OwnedArea
from streams.worker.engine.publisher import Publisher


def plant(owner: type, name: str, before: Callable[[Any], None] | None, after: Callable[[Any], None] | None) -> None:
    """Call functions before and after every call of a method."""
    method = getattr(owner, name)

    def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(self)
        result = method(self, *args, **kwargs)
        if after is not None:
            after(self)
        return result

    setattr(owner, name, changed)


def main(fault: str, config: str) -> int:
    """Run the worker with its fault."""
    place, _, number = fault.partition(":")
    times = 0

    def kill(_: Any) -> None:
        nonlocal times
        times += 1
        if times == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    def kill_half_written(producer: Any) -> None:
        producer.flush()
        kill(producer)

    def abort(_: Any) -> None:
        nonlocal times
        times += 1
        if times == int(number):
            raise KafkaError("planted")

    def freeze(_: Any) -> None:
        nonlocal times
        times += 1
        if times == int(number):
            os.kill(int(place.removeprefix("freeze-")), signal.SIGSTOP)

    def cancel(_: Any) -> None:
        raise asyncio.CancelledError

    def hang(_: Any) -> None:
        nonlocal times
        times += 1
        if times == int(number):
            threading.Event().wait()

    if place == "scan":
        plant(OwnedArea, "put", kill, None)
    elif place == "transaction":
        plant(TransactionalProducer, "commit_transaction", kill_half_written, None)
    elif place == "acknowledgement":
        plant(Publisher, "commit", None, kill)
    elif place == "rebuild":
        plant(Restoring, "refill", kill, None)
    elif place == "slow-rebuild":
        plant(Publisher, "__init__", None, lambda _: time.sleep(float(number)))
    elif place == "abort":
        plant(TransactionalProducer, "commit_transaction", abort, None)
    elif place.startswith("freeze-"):
        plant(TransactionalProducer, "commit_transaction", freeze, None)
    elif place == "cancel":
        plant(Publisher, "__init__", cancel, None)
    elif place == "stall":
        plant(OwnedArea, "put", hang, None)
    else:
        raise ValueError(f"{fault}: no such fault")
    return process.run_worker(load(Path(config), os.environ), "json")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
