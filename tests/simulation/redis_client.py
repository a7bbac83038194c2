"""The client of the simulated Redis: that of redis-py, whose commands reach the simulated server at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
from redis.client import Pipeline

from tests.simulation.redis_server import RedisWorld
from tests.simulation.threads import scheduler

REQUEST_S = 0.0005
"""Time that a request takes, in seconds."""


def clients_of(world: RedisWorld) -> type[redis.Redis]:
    """Return what stands in for the class ``Redis``: its clients reach this world."""

    class SimulatedRedis(redis.Redis):
        def execute_command(self, *arguments: Any, **options: Any) -> Any:
            return self.ask(lambda: self.parsed(arguments, options))

        def parsed(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
            name, answer = arguments[0], world.ask(*arguments)
            answer = answer[b"ok"] if isinstance(answer, dict) else answer
            parse = self.response_callbacks.get(name)  # type: ignore[no-untyped-call]
            return answer if parse is None else parse(answer, **options)

        def ask(self, command: Callable[[], Any]) -> Any:
            process = scheduler().process
            assert process is not None
            scheduler().sleep(REQUEST_S)
            world.check(process)
            answer = command()
            if world.lost_answers:
                world.lost_answers -= 1
                raise redis.exceptions.TimeoutError("Timeout reading from socket")
            return answer

        def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
            return SimulatedPipeline(self)

    class SimulatedPipeline(Pipeline):
        def __init__(self, client: SimulatedRedis) -> None:
            super().__init__(client.connection_pool, client.response_callbacks, True, None)
            self._client = client

        def execute(self, raise_on_error: bool = True) -> list[Any]:
            """Do the commands at once, one after the other."""
            commands, self.command_stack = self.command_stack, []
            answers: list[Any] = self._client.ask(lambda: [self._client.parsed(*each) for each in commands])
            return answers

    return SimulatedRedis
