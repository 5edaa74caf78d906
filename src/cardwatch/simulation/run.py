"""A day under one policy after another, on the same holders."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from cardwatch.domain.challenge import ChannelName
from cardwatch.domain.decision import Outcome
from cardwatch.domain.policy import Policy
from cardwatch.simulation.assumptions import Assumptions
from cardwatch.simulation.chance import Chance
from cardwatch.simulation.day import Case, Day
from cardwatch.simulation.household import End, Household, Rules

CHANNELS = frozenset(map(str, ChannelName))
"""Everything that holders can be reached by."""


def suspicious(day: Day, policies: Sequence[Policy]) -> list[Case]:
    """Return the payments of a day that at least one of the policies does not simply approve."""
    return [
        case for case in day.cases if any(case.judged_by(policy).outcome is not Outcome.APPROVE for policy in policies)
    ]


def live_through(
    cases: Iterable[Case],
    *,
    rules: Rules,
    assumptions: Assumptions,
    chance: Chance,
    opted_out: frozenset[str] = frozenset(),
    progress: Callable[[int], None] = lambda _: None,
) -> list[End]:
    """Let a day's payments happen under a policy; returns what became of each.

    The same seed gives the same ends, and a holder of the same payment is the same under every policy. `progress` is
    called with the number of payments that are done.
    """
    ends: list[End] = []
    for phone, theirs in _households(cases).items():
        household = Household(theirs, rules=rules, assumptions=assumptions, chance=chance, opted_out=phone in opted_out)
        ends += household.run()
        progress(len(theirs))
    return ends


def missing_channels(policy: Policy, available: frozenset[str]) -> list[str]:
    """Return the channels that a policy's escalations name and that are not available, each once."""
    return [name for name in dict.fromkeys(_named(policy)) if name not in available]


def _named(policy: Policy) -> Iterator[str]:
    for escalation in policy.asking.escalations:
        yield from (step.channel.value for step in escalation.steps)


def _households(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """Put together the payments that wait for the same phone."""
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(case.household, []).append(case)
    return found
