"""Cardholders, and the programs that open their mail: they read what arrives, and answer as people do.

Whether a payment is theirs is fixed by the seed. They forget codes, mistype digits, change their minds, answer by two
channels at once, opt out, or say nothing; and their answers are lost, late, doubled and out of order.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial

from cardwatch.domain.answer_link import AnswerLink, LinkAction, sign_link
from cardwatch.domain.challenge import ChallengeState, ChannelName
from cardwatch.domain.languages import language
from cardwatch.domain.message import Message, MessageKind
from cardwatch.domain.question import last_four_of, transliterate
from cardwatch.domain.reply import Meaning
from cardwatch.domain.times import HOUR_MS, MINUTE_MS, SECOND_MS
from cardwatch.domain.transaction import Transaction
from cardwatch.ports import Store
from tests.simulation.acts import Act
from tests.simulation.invariants import Watch
from tests.simulation.providers import Carrier
from tests.simulation.server import LINK_KEY, Server
from tests.simulation.stage import Stage

GENUINE = 0.65
LINK_LIFE_MS = 72 * HOUR_MS

UNCLEAR = (
    "what is this?",
    "yes?",
    "yes but no",
    "not yes",
    "maybe",
    "",
    "yes no",
    "I am driving and will answer later",
    "yes 12 34",
    "👍👎",
    "who is this, I never said yes to texts",
    "eyes",
)
DELAYS_MS = (3_000, 8_000, 20_000, 60_000, *(minutes * MINUTE_MS for minutes in (4, 10, 28, 45, 180)))


class Holders:
    """Everybody who reads what we send."""

    def __init__(
        self,
        stage: Stage,
        watch: Watch,
        server: Server,
        carrier: Carrier,
        payments: Mapping[str, Transaction],
        *,
        store: Callable[[], Store],
    ) -> None:
        self._stage = stage
        self._watch = watch
        self._server = server
        self._carrier = carrier
        self._payments = payments
        self._store = store
        self._texts = 0

    def read_text(self, message: Message) -> None:
        """Let a holder read a text, and perhaps answer."""
        challenge = self._store().challenge(message.challenge_id or "")
        if challenge is None:
            return
        if message.kind is not MessageKind.ACK:
            self._react(message)
        elif challenge.state is ChallengeState.ASKED and self._stage.chance(0.7):
            self._text(message, self._opinion(message), remembers=0.9)
        elif challenge.state is ChallengeState.CONFIRMED and self._stage.chance(0.1):
            self._text(message, Meaning.NO, remembers=0.5)

    def read_link(self, message: Message) -> None:
        """Let a scanner open the links of a mail or notification, then a holder read it."""
        if self._stage.chance(0.3):
            self._stage.at(self._stage.random.randrange(5_000), lambda: self._scan(message))
        stage, says = self._stage, self._opinion(message)
        mood = stage.random.choices(("answers", "ignores", "changes mind", "splits"), weights=(60, 25, 10, 5))[0]
        if mood == "ignores":
            return
        self._press(message, says, self._delay_ms(message))
        if mood == "changes mind":
            self._press(message, _other(says), self._delay_ms(message))
        if mood == "splits":
            self._press(message, _other(says), self._delay_ms(message) % (5 * SECOND_MS))

    # Texts

    def _react(self, message: Message) -> None:
        stage, says = self._stage, self._opinion(message)
        moods = ("answers", "ignores", "changes mind", "splits", "unclear", "stop", "help", "wrong phone")
        mood = stage.random.choices(moods, weights=(62, 12, 8, 3, 10, 2, 1, 1))[0]
        stage.count(f"holder {mood}")
        match mood:
            case "answers":
                self._text(message, says)
            case "changes mind":
                self._text(message, says)
                self._text(message, _other(says))
            case "splits":
                at_ms = self._delay_ms(message)
                self._text(message, says, delay_ms=at_ms)
                self._text(message, _other(says), delay_ms=at_ms)
            case "unclear":
                for _ in range(stage.random.choice((1, 1, 2))):
                    self._text(message, Meaning.UNCLEAR)
            case "stop":
                self._text(message, Meaning.STOP)
                if stage.chance(0.8):
                    self._text(message, Meaning.START, delay_ms=stage.random.randrange(HOUR_MS))
            case "help":
                self._text(message, Meaning.HELP)
            case "wrong phone":
                self._text(message, says, address="+12025559999")

    def _text(
        self,
        message: Message,
        meaning: Meaning,
        *,
        remembers: float = 0.65,
        delay_ms: int | None = None,
        address: str | None = None,
    ) -> None:
        """Send a text, once or twice, each of which may be lost and may come in more than once."""
        stage = self._stage
        yes, code = self._yes_and_code(message)
        typed = code if code and stage.chance(remembers) else None
        if typed and stage.chance(0.03):
            typed = "00"  # no question has that code
        body = self._body(meaning, yes, typed, message)
        for _ in range(1 + stage.chance(0.08)):
            self._texts += 1
            act = Act(
                transaction_id=message.transaction_id or "",
                message_id=message.message_id,
                channel=ChannelName.SMS,
                address=address or message.address,
                meaning=meaning,
                body=body,
                code=typed if meaning is Meaning.YES else None,
                sid=f"SMin{self._texts:08d}",
            )
            at_ms = self._delay_ms(message) if delay_ms is None else delay_ms
            stage.at(at_ms, partial(self._leave, act))

    def _leave(self, act: Act) -> None:
        """Let a text leave the telephone: the carrier acts on keywords at once, and hands it to us."""
        stage = self._stage
        if act.meaning is Meaning.STOP:
            self._carrier.opted_out.add(act.address)
        if act.meaning is Meaning.START:
            self._carrier.opted_out.discard(act.address)
        if stage.chance(stage.dials.webhook_lost):
            stage.count("texts lost")
            return
        for _ in range(1 + stage.chance(stage.dials.webhook_repeated)):
            late_ms = stage.random.choice((100, stage.random.randrange(30_000)))
            stage.at(late_ms, lambda: self._server.receive_text(act))

    def _yes_and_code(self, message: Message) -> tuple[str, str | None]:
        payment = self._payments[message.transaction_id or ""]
        account = self._store().account(payment.user_id)
        yes = transliterate(language(account.language if account else "en").yes_word)
        found = re.search(rf"\b{re.escape(yes)} (\d\d)\b", message.body)
        return yes, found[1] if found else None

    def _body(self, meaning: Meaning, yes: str, code: str | None, message: Message) -> str:
        stage = self._stage
        match meaning:
            case Meaning.YES:
                word = stage.random.choice((yes, yes.lower(), f"{yes}!", yes.capitalize(), f" {yes.lower()}. "))
                if code is None:
                    return word
                return stage.random.choice((f"{word} {code}", f"{code} {word}", f"{yes}{code}", f"{word} #{code}"))
            case Meaning.NO:
                payment = self._payments[message.transaction_id or ""]
                account = self._store().account(payment.user_id)
                word = transliterate(language(account.language if account else "en").no_word)
                return stage.random.choice((word, word.lower(), f"{word}!"))
            case Meaning.UNCLEAR:
                return stage.random.choice(UNCLEAR)
        return meaning.value.upper()

    # Links

    def _press(self, message: Message, says: Meaning, delay_ms: int) -> None:
        """Open a link after a while, and press its button: with right digits or wrong ones, once or twice."""
        stage = self._stage
        right = last_four_of(self._payments[message.transaction_id or ""].card)
        typed: list[str | None] = [right]
        if right and says is Meaning.YES and stage.chance(0.15):
            wrong = f"{(int(right) + 1) % 10_000:04d}"
            typed = [*[wrong] * (1 if stage.chance(0.7) else 4), right]
        if stage.chance(0.15):
            typed.append(typed[-1])
        for number, digits in enumerate(typed):
            act = self._link_act(message, says, digits)
            stage.at(delay_ms + 3_000 * number, partial(self._open, message, act))

    def _open(self, message: Message, act: Act) -> None:
        stage, token = self._stage, link_token(message, act.meaning)
        form = self._server.look(token)
        if form is None:
            stage.count("links without a page")
            return
        thinks_ms = stage.random.choice((500, 5_000, 40_000, 31 * MINUTE_MS))
        stage.at(thinks_ms, lambda: self._server.press(token, form=form, act=act))

    def _scan(self, message: Message) -> None:
        """Open both links as a mail filter does, post without the form, and press buttons without knowing digits."""
        store, stage = self._store(), self._stage
        before = (store.challenge(message.challenge_id or ""), store.messages_about(message.challenge_id or ""))
        for meaning in (Meaning.YES, Meaning.NO):
            self._server.look(link_token(message, meaning))
        if stage.chance(0.3):
            act = self._link_act(message, Meaning.UNCLEAR, None)
            for meaning in (Meaning.YES, Meaning.NO):
                self._server.press(link_token(message, meaning), form=stage.random.choice(("", "1.x")), act=act)
        after = (store.challenge(message.challenge_id or ""), store.messages_about(message.challenge_id or ""))
        if before != after:
            self._watch.fail(2, f"looking at the links of {message.message_id} changed something")
        stage.count("links scanned")
        token, known = link_token(message, Meaning.YES), last_four_of(self._payments[message.transaction_id or ""].card)
        form = self._server.look(token)
        if known and form and stage.chance(0.1):
            stage.count("buttons pressed by scanners")
            self._server.press(token, form=form, act=self._link_act(message, Meaning.UNCLEAR, None))

    def _link_act(self, message: Message, says: Meaning, digits: str | None) -> Act:
        return Act(
            transaction_id=message.transaction_id or "",
            message_id=message.message_id,
            channel=message.channel,
            address=message.address,
            meaning=says,
            digits=digits,
        )

    # What they think

    def _opinion(self, message: Message) -> Meaning:
        genuine = self._stage.fixed(f"truth of {message.transaction_id}").random() < GENUINE
        return Meaning.YES if genuine else Meaning.NO

    def _delay_ms(self, message: Message) -> int:
        """Return how long a holder takes: seconds, hours, or to the very end of the question's life."""
        stage = self._stage
        left_ms = (message.expires_at_ms or 0) - stage.now_ms
        if stage.chance(0.15) and left_ms > 0:
            return max(0, left_ms + stage.random.randrange(-4_000, 4_000))
        return stage.random.choices(DELAYS_MS, weights=(14, 16, 18, 20, 12, 8, 5, 4, 3))[0]


def link_token(message: Message, meaning: Meaning) -> str:
    """Return the token of a message's link, as its channel makes it."""
    action = LinkAction.CONFIRM if meaning is Meaning.YES else LinkAction.DENY
    ends_at_ms = (message.expires_at_ms or 0) + LINK_LIFE_MS
    return sign_link(AnswerLink(message.message_id, action, ends_at_ms, message.nonce or ""), key=LINK_KEY)


def _other(meaning: Meaning) -> Meaning:
    return Meaning.NO if meaning is Meaning.YES else Meaning.YES
