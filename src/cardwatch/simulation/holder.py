"""What a holder does with a message: sees it after a while or never, and answers as somebody who paid or did not."""

from enum import StrEnum

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.message import Message, MessageKind
from cardwatch.simulation.assumptions import Assumptions
from cardwatch.simulation.chance import Chance
from cardwatch.simulation.day import Case


class Said(StrEnum):
    """What a holder says."""

    YES = "yes"
    YES_WITHOUT_CODE = "yes_without_code"
    NO = "no"
    UNCLEAR = "unclear"
    STOP = "stop"


class Holder(msgspec.Struct, frozen=True):
    """The holder of one account on that day; every answer is drawn by the payment it is about."""

    account: Account
    assumptions: Assumptions
    chance: Chance

    def answers_after_ms(self, message: Message, case: Case, *, now_ms: int) -> int | None:
        """Return how long after a question's arrival its holder answers it, None if never."""
        if self.chance.happens(self.assumptions.away_share, "away", self.account.user_id):
            return None
        attended = self.assumptions.on(message.channel)
        first = message.kind is MessageKind.QUESTION and message.message_id.endswith(":1")
        share = attended.answer_share if first else attended.reminder_answer_share
        about = self._about(case, message.channel, *(() if first else (message.message_id,)))
        if not self.chance.happens(share, "answers", *about):
            return None
        delay_ms = self.chance.delay_ms(attended.answer_median_s, attended.answer_spread, "delay", *about)
        return self._wakes_at_ms(case, now_ms) - now_ms + delay_ms

    def answers_prompt_after_ms(self, case: Case, number: int) -> int | None:
        """Return how long after being asked once more the holder answers, None if never."""
        if not self.chance.happens(self.assumptions.prompted_answer_share, "prompted", *self._about(case, number)):
            return None
        return self.chance.delay_ms(self.assumptions.prompted_median_s, 1.0, "again", *self._about(case, number))

    def says_by_text(self, case: Case, *, attempt: int, code: str | None) -> Said:
        """Return what the holder texts, the first time (attempt 0) or when asked again."""
        assumed, about = self.assumptions, self._about(case)
        if attempt == 0 and self.chance.happens(assumed.stop_share, "stop", *about):
            return Said.STOP
        share = assumed.unclear_share if attempt == 0 else assumed.unclear_again_share
        if self.chance.happens(share, "unclear", *about, attempt):
            return Said.UNCLEAR
        if not self.confirms(case):
            return Said.NO
        forgets = code is not None and attempt == 0
        if forgets and self.chance.happens(assumed.forgets_code_share, "forgets", *about):
            return Said.YES_WITHOUT_CODE
        return Said.YES

    def mistypes_digits(self, case: Case) -> bool:
        """Say whether the digits that confirm a payment by a link are first typed wrong."""
        return self.chance.happens(self.assumptions.unclear_share, "digits", *self._about(case))

    def confirms(self, case: Case) -> bool:
        """Say whether the holder means yes: who paid, but for mistakes."""
        share = self.assumptions.wrong_yes_share if case.fraud else self.assumptions.wrong_no_share
        mistaken = self.chance.happens(share, "mistaken", *self._about(case))
        return case.fraud == mistaken

    def _wakes_at_ms(self, case: Case, now_ms: int) -> int:
        """Return from when on the holder sees anything: who has just paid is awake."""
        if self.assumptions.asleep is None or not case.fraud:
            return now_ms
        return self.assumptions.asleep.end_after(now_ms, time_zone=self.account.time_zone)

    def _about(self, case: Case, *more: object) -> tuple[object, ...]:
        return (case.transaction.transaction_id, *more)


def typed(said: Said, code: str | None) -> str:
    """Return the text for what is said, with the code that the question carries."""
    match said:
        case Said.YES:
            return f"YES {code}" if code else "YES"
        case Said.YES_WITHOUT_CODE:
            return "YES"
        case Said.NO:
            return "NO"
        case Said.STOP:
            return "STOP"
        case Said.UNCLEAR:
            return "what is this?"
