"""What follows from changes in a home: see `consequences`."""

from collections.abc import Sequence

from cardwatch.domain.changes import Change
from cardwatch.runtime.aws.consequences import Follow, consequences
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.aws.model_folder import engine_of
from cardwatch.runtime.aws.speaking import sender_of


def follow_of(home: Home) -> Follow:
    """Return what works out the consequences of a list of changes."""

    def follow(changes: Sequence[Change]) -> Sequence[Change]:
        return consequences(
            changes,
            store=home.store,
            engine=lambda: home.part(engine_of),
            sender=home.part(sender_of),
            clock=home.clock,
            randomness=home.randomness,
        )

    return follow
