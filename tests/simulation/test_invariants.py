"""Each invariant can fail: small worlds in which one rule of ours is broken on purpose, and the watch sees it."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from cardwatch.domain.challenge import Challenge
from cardwatch.domain.changes import Change
from cardwatch.domain.reply import Meaning, Reply, understand
from cardwatch.ports import OnUnknown
from cardwatch.services import (
    answer_link,
    ask_cardholder,
    handle_reply,
    questions,
    reply_turn,
    send_messages,
    settle_challenge,
    tell_payment_system,
)
from cardwatch.services.reply_turn import Result, Turn, Verdict
from cardwatch.services.send_messages import Claim, Delivery, NotFound
from tests.simulation import server
from tests.simulation.dials import Dials
from tests.simulation.invariants import Violation
from tests.simulation.providers import Line, MailServer
from tests.simulation.stage import Stage
from tests.simulation.stores import FaultyMemoryStore
from tests.simulation.world import World

Break = Callable[[pytest.MonkeyPatch], None]


def ignores_the_code(patch: pytest.MonkeyPatch) -> None:
    """Any YES is to the question that stands."""

    def yes(turn: Turn) -> Verdict:
        standing = turn.standing()
        return settle_challenge.yes_to(turn, standing[0]) if standing else (turn.outcome(Result.UNMATCHED), [])

    patch.setattr(handle_reply, "_yes", yes)


def takes_the_unclear_for_yes(patch: pytest.MonkeyPatch) -> None:
    """What says nothing clear is a yes."""

    def hopeful(body: str) -> Reply:
        reply = understand(body)
        return Reply(Meaning.YES) if reply.meaning is Meaning.UNCLEAR else reply

    patch.setattr(handle_reply, "understand", hopeful)


def ignores_a_no(patch: pytest.MonkeyPatch) -> None:
    """A NO does nothing."""
    patch.setattr(handle_reply, "_no", lambda turn: (turn.outcome(Result.UNMATCHED), []))


def knows_no_expiry(patch: pytest.MonkeyPatch) -> None:
    """A YES counts whenever it comes."""
    patch.setattr(Turn, "is_over", lambda *_: False)
    patch.setattr(server, "expire_challenges", lambda **_: ())
    patch.setattr("tests.simulation.invariants.Watch.swept", lambda *_, **__: None)


def never_sweeps(patch: pytest.MonkeyPatch) -> None:
    """Nobody ends what is over."""
    patch.setattr(server, "expire_challenges", lambda **_: ())


def asks_no_digits(patch: pytest.MonkeyPatch) -> None:
    """A link confirms for whoever presses its button."""
    patch.setattr(answer_link, "_refuse_digits", lambda *_: None)


def sends_again_what_is_unknown(patch: pytest.MonkeyPatch) -> None:
    """Nothing is looked up."""

    def hasty(claim: Claim, *, channel: Line) -> Delivery:
        return NotFound() if claim.look_up else send_messages.deliver(claim, channel=channel)

    patch.setattr(server, "deliver", hasty)


def mails_twice(patch: pytest.MonkeyPatch) -> None:
    """A mail of which nobody knows is sent again."""
    patch.setattr(MailServer, "on_unknown", OnUnknown.RESEND)


def looks_up_too_early(patch: pytest.MonkeyPatch) -> None:
    """What timed out is looked up before its provider lists it."""
    patch.setattr(send_messages, "LOOK_UP_DELAY_MS", 0)


def asks_at_once(patch: pytest.MonkeyPatch) -> None:
    """No question waits for another."""

    def plan(**fields: Any) -> object:
        with patch.context() as forgetful:
            forgetful.setattr(FaultyMemoryStore, "open_challenges", lambda *_: ())
            return ask_cardholder.plan_challenge(**fields)

    patch.setattr(server, "plan_challenge", plan)


def holds_no_account(patch: pytest.MonkeyPatch) -> None:
    """After a NO the account pays on."""
    patch.setattr(Turn, "hold", lambda *_: [])


def leaves_the_payment(patch: pytest.MonkeyPatch) -> None:
    """A NO ends the question, and its payment stays where it is."""

    def close(challenge: Challenge, *states: Any, **fields: Any) -> list[Change]:
        return ask_cardholder.close(challenge, *states, **{**fields, "status": None})

    patch.setattr(settle_challenge, "close", close)


def sends_whatever_is_due(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether a message is still wanted."""
    patch.setattr(send_messages, "_why_unwanted", lambda *_, **__: None)


def texts_without_end(patch: pytest.MonkeyPatch) -> None:
    """A challenge has as many texts as it likes."""
    patch.setattr(questions, "TEXTS_MAX", 99)


def tells_only_decisions(patch: pytest.MonkeyPatch) -> None:
    """What becomes of a payment later is not told."""
    patch.setattr(tell_payment_system, "_KINDS", frozenset({"transaction.decided"}))


def labels_nothing(patch: pytest.MonkeyPatch) -> None:
    """What a holder says is not kept as a label."""
    patch.setattr(reply_turn.Turn, "label", lambda *_: [])


@pytest.mark.parametrize(
    ("break_it", "numbers"),
    [
        (ignores_the_code, {2}),
        (takes_the_unclear_for_yes, {7}),
        (ignores_a_no, {7}),
        (knows_no_expiry, {2}),
        (never_sweeps, {3}),
        (asks_no_digits, {2, 7}),
        (sends_again_what_is_unknown, {1}),
        (mails_twice, {1}),
        (looks_up_too_early, {1}),
        (asks_at_once, {5}),
        (holds_no_account, {4}),
        (leaves_the_payment, {3, 4}),
        (sends_whatever_is_due, {5}),
        (texts_without_end, {5}),
        (tells_only_decisions, {6}),
        (labels_nothing, {4}),
    ],
)
def test_a_broken_rule_is_seen(break_it: Break, numbers: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a few small worlds, by the invariant that is about it, with the command that shows the run."""
    break_it(monkeypatch)
    worlds = [World(seed, challenges=150, dials=Dials(unknown=0.3)) for seed in range(12)]
    with pytest.raises(Violation) as caught:
        _run_all(worlds)
    assert caught.value.number in numbers, str(caught.value)
    assert f"--seed {caught.value.seed} --challenges 150" in "".join(caught.value.__notes__)


def test_a_reminder_in_the_night_is_seen() -> None:
    """A process that knows no quiet hours meets the watch, which does."""
    worlds = [World(seed, challenges=150) for seed in range(2, 12, 4)]
    for world in worlds:
        sender = world.server._sender
        restless = msgspec.structs.replace(sender.rules, quiet_hours=None)
        world.server._sender = msgspec.structs.replace(sender, rules=restless)
    with pytest.raises(Violation, match="reminds in quiet hours"):
        _run_all(worlds)


def test_true_randomness_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that draws from anything but its seed has another log the next time."""
    monkeypatch.setattr(Stage, "token", lambda _: os.urandom(16).hex())
    logs: list[Sequence[object]] = []
    for _ in range(2):
        world = World(5, challenges=60)
        world.run()
        logs.append(world.log)
    assert logs[0] != logs[1]


def _run_all(worlds: Sequence[World]) -> None:
    for world in worlds:
        world.run()
