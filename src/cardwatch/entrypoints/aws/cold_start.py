"""The home of this process: made with the first event from the environment, kept for those that follow.

Tests and local harnesses give another one with `use_home`.
"""

from collections.abc import Callable
from functools import cache

from cardwatch.entrypoints.aws.clients import AwsClients
from cardwatch.runtime.aws.composition import Composition
from cardwatch.runtime.aws.home import Home, World
from cardwatch.runtime.aws.machine import system_clock, system_environment, system_randomness
from cardwatch.runtime.settings import Settings

_given: list[Callable[[], Home]] = []


def current_home() -> Home:
    """Return the home that serves the next event; raises WrongSetting or OperatingError."""
    return _given[-1]() if _given else _composition().home()


def use_home(home: Callable[[], Home] | None) -> None:
    """Serve the next events with another home; None goes back to the environment's."""
    _given.clear()
    if home is not None:
        _given.append(home)


@cache
def _composition() -> Composition:
    environment = system_environment()
    clients = AwsClients(
        region=environment.get("AWS_REGION"), endpoint_url=environment.get("CARDWATCH_AWS_ENDPOINT_URL") or None
    )

    def open_world(settings: Settings) -> World:
        from cardwatch.runtime.aws.stores import open_store, read_image  # noqa: PLC0415  loads boto3

        return World(
            store=open_store(settings),
            clock=system_clock(),
            randomness=system_randomness(),
            invoker=clients,
            read_image=read_image,
        )

    return Composition(environment, read_secret=clients.read_secret, open_world=open_world)
