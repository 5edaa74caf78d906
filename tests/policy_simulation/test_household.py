"""What the simulation says of a policy is what its rules do."""

import msgspec
import pytest

from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.escalation import QuietHours
from cardwatch.domain.message import MessageKind
from cardwatch.domain.policy import Policy, parse_policy
from cardwatch.domain.times import HOUR_MS, MINUTE_MS
from cardwatch.domain.transaction import Status
from cardwatch.simulation.chance import Chance
from cardwatch.simulation.day import Day
from cardwatch.simulation.household import PassedOver, Rules
from cardwatch.simulation.run import live_through, suspicious
from cardwatch.simulation.tally import tally
from tests.policy_simulation.days import (
    NOON_MS,
    PROMPT,
    SILENT,
    TTL_MS,
    UNREACHABLE,
    assume,
    case,
    live,
    policy,
)

SMS = {"channel": "sms"}


def test_who_paid_confirms_and_who_did_not_denies() -> None:
    """A genuine payment is approved a minute after its text arrived, a fraud is declined, and nothing is left open."""
    genuine, fraud = live([case(1), case(2, fraud=True)], policy(SMS), assume())
    assert (genuine.status, fraud.status) == (Status.APPROVED, Status.DECLINED)
    assert (genuine.answered_on, fraud.answered_on) == ("sms", "sms")
    assert all(MINUTE_MS <= end.held_ms < 2 * MINUTE_MS for end in (genuine, fraud))
    counted = tally([genuine, fraud])
    assert (counted.fraud.stopped.count, counted.fraud.stopped.amounts) == (1, {"USD": "21.40"})
    assert counted.ended["confirmed"] == counted.ended["denied"] == 1
    assert (counted.cases, counted.answered_share) == (0, 1.0)


def test_silence_declines_where_the_policy_says_so_else_an_analyst_has_it() -> None:
    """The default action decides about payments that nobody answers, and about no others."""
    cases, silent = [case(1), case(2, fraud=True)], assume(sms=SILENT)
    declined = tally(live(cases, policy(SMS, default_action="decline"), silent))
    reviewed = tally(live(cases, policy(SMS), silent))
    assert (declined.ended["expired_to_declined"], declined.cases) == (2, 0)
    assert declined.genuine.declined_by_default.count == declined.fraud.stopped.count == 1
    assert (reviewed.ended["expired_to_review"], reviewed.cases) == (2, 2)
    assert reviewed.genuine.declined_by_default.count == 0
    assert declined.minutes_held.median == reviewed.minutes_held.median == 30.0


def test_email_follows_when_the_wait_for_a_text_is_over() -> None:
    """The next channel is tried after the step's wait, and its answer by link counts like any other."""
    tried = policy({**SMS, "wait_s": 300}, {"channel": "email"})
    (end,) = live([case()], tried, assume(sms=SILENT))
    text, mail = end.taken
    assert {text.channel, mail.channel} == {"sms", "email"}
    assert abs(text.at_ms - mail.at_ms) == 300_000
    assert (end.status, end.answered_on) == (Status.APPROVED, "email")
    assert 6 * MINUTE_MS <= end.held_ms < 7 * MINUTE_MS


def test_reminder_is_put_off_to_the_end_of_the_quiet_hours() -> None:
    """A reminder due at 7:50 waits until 8:00 by the account's own clock."""
    seven_fifty = NOON_MS - 4 * HOUR_MS - 10 * MINUTE_MS
    tried = policy({**SMS, "remind_after_s": 60}, expires_after_s=3600)
    (end,) = live([case(at_ms=seven_fifty - MINUTE_MS)], tried, assume(sms=SILENT))
    reminders = [taken for taken in end.taken if taken.kind is MessageKind.REMINDER]
    assert [reminder.at_ms for reminder in reminders] == [NOON_MS - 4 * HOUR_MS]
    counted = tally([end])
    assert (counted.reminders_sent, counted.reminders_deferred) == (1, 1)


def test_reminder_is_dropped_where_quiet_hours_outlast_the_question() -> None:
    """At midnight it would come after the question's life; without quiet hours it goes out."""
    midnight = NOON_MS - 12 * HOUR_MS
    step = {**SMS, "remind_after_s": 60}
    (quiet,) = live([case(at_ms=midnight)], policy(step), assume(sms=SILENT))
    (loud,) = live([case(at_ms=midnight)], policy(step, quiet_hours=None), assume(sms=SILENT))
    assert quiet.passed_over == (PassedOver.QUIET_HOURS,)
    assert (tally([quiet]).reminders_sent, tally([loud]).reminders_sent) == (0, 1)


def test_no_challenge_has_more_than_three_texts() -> None:
    """A question, two answers to what is unclear, and the reminder that would be a fourth text is dropped."""
    confused = assume(unclear_share=1, unclear_again_share=1, prompted_answer_share=0, prompted_median_s=1)
    failing = msgspec.structs.replace(confused, sms=msgspec.structs.replace(PROMPT, unreachable_share=1))
    step = {**SMS, "remind_after_s": 600}
    (prompted,) = live([case()], policy(step), confused)
    (retried,) = live([case()], policy(step), failing)
    assert len([taken for taken in prompted.taken if taken.channel == "sms"]) == 3
    assert len([taken for taken in retried.taken if taken.channel == "sms"]) == 2
    assert tally([prompted]).texts_most == 3


def test_the_cap_drops_a_reminder() -> None:
    """Whoever forgot the code, and was then unclear, has had three texts: there is none left to remind them."""
    cases = []
    for number in range(0, 80, 2):
        user_id, phone = f"user_{number}", f"+1202555{2000 + number}"
        cases.append(case(number, user_id=user_id, phone_number=phone))
        cases.append(case(number + 1, at_ms=NOON_MS + 1000, user_id=user_id, phone_number=phone))
    confused = assume(forgets_code_share=1, unclear_again_share=0.8, prompted_answer_share=0.6)
    counted = tally(live(cases, policy({**SMS, "remind_after_s": 900}, expires_after_s=3600), confused))
    assert counted.waited == 40
    assert counted.reminders_passed_over["cap"] > 0
    assert counted.texts_most == 3


def test_one_question_stands_on_a_phone_and_the_other_waits() -> None:
    """Two payments in a row: the second is asked once the first is answered, and carries a code."""
    pair = [case(1), case(2, phone_number="+12025551001", user_id="user_1", at_ms=NOON_MS + 1000)]
    first, second = live(pair, policy(SMS), assume())
    assert (first.waited, second.waited) == (False, True)
    assert (first.status, second.status) == (Status.APPROVED, Status.APPROVED)
    assert second.challenge is not None
    assert second.challenge.code is not None
    assert second.held_ms > first.held_ms


def test_a_no_holds_the_account_and_what_follows_is_not_asked() -> None:
    """A fraud's holder denies it; the next payment goes to review without a question."""
    hour_later = case(2, fraud=True, phone_number="+12025551001", user_id="user_1", at_ms=NOON_MS + HOUR_MS)
    denied, held = live([case(1, fraud=True), hour_later], policy(SMS), assume())
    assert (denied.status, held.status, held.not_asked) == (Status.DECLINED, Status.IN_REVIEW, "account_held")


def test_what_cannot_arrive_goes_to_the_next_channel_or_to_an_analyst() -> None:
    """A handset that is off is tried twice; where e-mail follows it is put there, else the question ends."""
    off = assume(sms=UNREACHABLE)
    (alone,) = live([case()], policy(SMS), off)
    (followed,) = live([case()], policy({**SMS, "wait_s": 600}, {"channel": "email"}), off)
    assert alone.challenge is not None
    assert alone.challenge.state is ChallengeState.UNDELIVERABLE
    assert alone.status is Status.IN_REVIEW
    assert (followed.status, followed.answered_on) == (Status.APPROVED, "email")


def test_a_device_that_is_gone_is_forgotten_at_once() -> None:
    """The text follows without the wait for an answer that cannot come."""
    (end,) = live([case()], policy({"channel": "push", "wait_s": 600}, SMS), assume(push=UNREACHABLE))
    assert (end.answered_on, len(end.taken)) == ("sms", 2)
    assert end.held_ms < 2 * MINUTE_MS


def test_channels_that_are_not_there_are_passed_over() -> None:
    """With texts alone a question by e-mail goes to a text, and with no way left nobody is asked."""
    only_texts = frozenset({"sms"})
    (text,) = live([case()], policy({"channel": "email", "wait_s": 60}, SMS), assume(), channels=only_texts)
    (none,) = live([case()], policy({"channel": "email"}), assume(), channels=only_texts)
    assert text.answered_on == "sms"
    assert (none.not_asked, none.status) == ("no_channel", Status.IN_REVIEW)


@pytest.mark.parametrize(("fraud", "answered"), [(True, False), (False, True)])
def test_who_sleeps_sees_nothing_before_waking(fraud: bool, answered: bool) -> None:
    """At 3:00 who has just paid is awake; the victim of a fraud is not, and answers too late."""
    asleep = QuietHours(start="23:00", end="07:00")
    (end,) = live([case(fraud=fraud, at_ms=NOON_MS - 9 * HOUR_MS)], policy(SMS), assume(asleep=asleep))
    assert (end.answered_on is not None) is answered
    assert tally([end]).answered_too_late == int(not answered)


def test_only_a_yes_releases_a_fraud() -> None:
    """Whatever goes wrong, a fraud that was asked about is approved by its holder's YES or not at all."""
    cases = [case(number, fraud=True) for number in range(60)]
    worst = assume(
        wrong_yes_share=0.2, unclear_share=0.3, unclear_again_share=0.5, provider_failure_share=0.3, stop_share=0.1
    )
    counted = tally(live(cases, policy({**SMS, "remind_after_s": 60, "wait_s": 120}, {"channel": "email"}), worst))
    assert counted.fraud.released_by_yes.count > 0
    assert counted.fraud.released_without_yes.count == 0
    assert counted.texts_most <= 3


def test_a_number_that_opted_out_is_not_texted() -> None:
    """What stood when the day began stands in it; e-mail still goes out."""
    (end,) = live_through(
        [case()],
        rules=Rules(policy({**SMS, "wait_s": 60}, {"channel": "email"}), frozenset({"sms", "email"}), TTL_MS),
        assumptions=assume(),
        chance=Chance(1),
        opted_out=frozenset({"+12025551001"}),
    )
    assert [taken.channel for taken in end.taken] == ["email"]


def test_payments_that_every_policy_approves_are_left_out() -> None:
    """What one policy challenges and the other approves is counted under both."""
    low = msgspec.structs.replace(case(2), score=0.1)
    day = Day(source="two", cases=(case(1), low))
    strict = parse_policy(b'{"rules": [{"name": "all", "when": {"score_at_least": 0}, "then": "challenge"}]}')
    kept = suspicious(day, [Policy(), strict])
    assert suspicious(day, [Policy()]) == [day.cases[0]]
    assert kept == list(day.cases)
    assert tally(live(kept, Policy(), assume())).approved_unasked == 1
