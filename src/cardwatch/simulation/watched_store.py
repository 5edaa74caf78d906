"""The reference store, watched: what is due when, and what a policy's rules did."""

from collections.abc import Callable, Sequence

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.challenge import OPEN, Challenge, ChallengeState, ChannelName
from cardwatch.domain.changes import (
    AddChallenge,
    AddMessage,
    Change,
    MoveTransaction,
    PutChallenge,
    PutMessage,
)
from cardwatch.domain.message import TO_DO, Direction, Message
from cardwatch.domain.transaction import Status
from cardwatch.services.questions import texts_left


class WatchedStore(MemoryStore):
    """A memory store that says when there will be something to do, so that a virtual clock can jump there."""

    def __init__(self, *, now_ms: Callable[[], int], on_due: Callable[[int], None]) -> None:
        """Take the clock, and what is told of each time (ms) at which something falls due."""
        super().__init__()
        self._now_ms = now_ms
        self._on_due = on_due
        self.left_challenged_at_ms: dict[str, int] = {}
        """When each payment first left the status in which its money is held."""
        self.waited: set[str] = set()
        """Challenges that were queued behind another one."""
        self.deferred: set[tuple[str, int]] = set()
        """Reminders (challenge, step) that waited for the end of the quiet hours."""
        self.passed_over: list[tuple[str, int, bool]] = []
        """Reminders that fell due and were never sent: challenge, when (ms), whether it had no text left."""

    def apply(self, changes: Sequence[Change]) -> Change | None:
        """Apply changes as every store does, and note what they mean."""
        rewritten = [change.challenge.challenge_id for change in changes if isinstance(change, PutChallenge)]
        before = {challenge_id: self.challenge(challenge_id) for challenge_id in rewritten}
        failed = super().apply(changes)
        if failed is not None:
            return failed
        asks = any(isinstance(change, AddMessage) for change in changes)
        for change in changes:
            match change:
                case AddMessage(message=message) | PutMessage(message=message):
                    self._note_message(message)
                case AddChallenge(challenge=challenge):
                    self._note_challenge(challenge)
                case PutChallenge(challenge=challenge):
                    self._note_reminder(before[challenge.challenge_id], challenge, asks=asks)
                    self._note_challenge(challenge)
                case MoveTransaction(expected=Status.CHALLENGED):
                    self.left_challenged_at_ms.setdefault(change.transaction_id, self._now_ms())
        return None

    def _note_message(self, message: Message) -> None:
        if message.direction is Direction.OUTBOUND and message.state in TO_DO:
            self._on_due(message.due_at_ms)

    def _note_challenge(self, challenge: Challenge) -> None:
        if challenge.state is ChallengeState.QUEUED:
            self.waited.add(challenge.challenge_id)
        if challenge.state in OPEN:
            self._on_due(challenge.expires_at_ms)
        if challenge.state is ChallengeState.ASKED and challenge.act_at_ms is not None:
            self._on_due(challenge.act_at_ms)

    def _note_reminder(self, before: Challenge | None, after: Challenge, *, asks: bool) -> None:
        """See whether a reminder that is due was put off, or given up: the service writes nothing else with it."""
        if before is None or before.reminded or before.step != after.step or after.state is not ChallengeState.ASKED:
            return
        due = before.act_at_ms is not None and before.act_at_ms <= self._now_ms()
        if not due or before.steps[before.step].remind_after_s is None or asks:
            return
        if after.reminded:
            by_text = after.channel == ChannelName.SMS
            out_of_texts = by_text and texts_left(self.messages_about(after.challenge_id)) < 1
            self.passed_over.append((after.challenge_id, self._now_ms(), out_of_texts))
        elif after.act_at_ms is not None and after.act_at_ms > self._now_ms():
            self.deferred.add((after.challenge_id, after.step))
