"""The embedded process as entry points see it: every use case as one call, durable when it returns.

Writing goes through the one writer; reading uses a connection of its own and sees what is committed.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.account_submission import AccountSubmission
from cardwatch.domain.answer_link import LinkAction, form_token, form_token_holds, read_link, sign_link
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.message import Message
from cardwatch.domain.provider_post import DeliveryReport, InboundText
from cardwatch.domain.submission import Submission
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.ports import (
    Clock,
    Gazetteer,
    GroupStore,
    LogEntry,
    Provider,
    Randomness,
    StoreReader,
    TransactionPage,
)
from cardwatch.runtime.compiled_features import FeatureCompiler
from cardwatch.runtime.housekeeping import Housekeeping
from cardwatch.runtime.outbox import Outbox
from cardwatch.runtime.scoring import ScoringConsumer
from cardwatch.runtime.settings import Settings
from cardwatch.runtime.sweeps import Sweeps
from cardwatch.runtime.telemetry import PrometheusMetrics
from cardwatch.runtime.warm_up import warm_up
from cardwatch.runtime.writer import Writer
from cardwatch.services.answer_link import LinkPage, LinkResult, answer_link, look_at_link
from cardwatch.services.explain_transaction import Explained, NotExplained, explain_transaction
from cardwatch.services.handle_reply import handle_reply
from cardwatch.services.label_transaction import Labelled, label_transaction
from cardwatch.services.put_account import AccountPut, put_account, release_account
from cardwatch.services.record_transaction import Recorded, Recording, record_transaction
from cardwatch.services.reply_turn import ReplyOutcome, Result
from cardwatch.services.score_transaction import Judges
from cardwatch.services.track_delivery import Tracked, track_delivery

T = TypeVar("T")

_RETRIES_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What an application is made of."""

    settings: Settings
    store: GroupStore
    reader: StoreReader
    housekeeping: Housekeeping
    compiler: FeatureCompiler
    clock: Clock
    randomness: Randomness
    gazetteer: Gazetteer
    metrics: PrometheusMetrics
    judges: Judges
    writer: Writer
    scoring: ScoringConsumer
    outbox: Outbox
    sweeps: Sweeps
    provider: Provider
    link_key: bytes


class Application:
    """Cardwatch in one process."""

    def __init__(self, parts: Parts) -> None:
        self.settings = parts.settings
        self.metrics = parts.metrics
        self.judges = parts.judges
        self.ready = False
        self._parts = parts
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the writer and what goes on beside the requests."""
        self._catch_up()
        parts = self._parts
        warm_up(
            store=parts.store,
            scoring=parts.scoring,
            clock=parts.clock,
            gazetteer=parts.gazetteer,
            randomness=parts.randomness,
        )
        parts.outbox.start()
        self._tasks = [
            asyncio.create_task(self._parts.writer.run()),
            *self._parts.housekeeping.start(),
            *self._parts.sweeps.start(),
            *self._parts.compiler.start(),
        ]

    async def stop(self) -> None:
        """Finish what is queued and what providers are being told, then let go of the store."""
        self.ready = False
        writer_task, *others = self._tasks
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._parts.outbox.stop()
        self._parts.writer.stop()
        await writer_task
        self._parts.housekeeping.close()
        self._parts.reader.close()
        self._parts.store.close()

    def _catch_up(self) -> None:
        """Decide what an earlier process left, and pass over imported history, before anyone waits behind it."""
        parts = self._parts
        more = True
        while more:
            with parts.store.group():
                more = parts.scoring.run() or parts.scoring.pass_over()
            parts.scoring.committed()

    async def record(self, submission: Submission, *, wait_ms: int) -> Recorded:
        """Take a payment in and wait up to `wait_ms` for its decision; the payment is durable in any case.

        Raises InvalidInput, or StoreUnavailable when the store cannot take it now.
        """
        recorded, decision = await self._parts.writer.submit(lambda: self._record(submission, wait=wait_ms > 0))
        if decision is None:
            return recorded
        try:
            # Scoring takes part in the same group, so the decision is usually there already.
            record = decision.result() if decision.done() else await asyncio.wait_for(decision, wait_ms / 1000)
        except TimeoutError:
            self._parts.scoring.forget(recorded.record.transaction.transaction_id)
            return recorded
        return Recorded(recorded.recording, record)

    def _record(
        self, submission: Submission, *, wait: bool
    ) -> tuple[Recorded, asyncio.Future[TransactionRecord] | None]:
        parts = self._parts
        recorded = record_transaction(
            submission,
            store=parts.store,
            gazetteer=parts.gazetteer,
            randomness=parts.randomness,
            now_ms=parts.clock.now_ms(),
        )
        undecided = recorded.recording is not Recording.CONFLICT and recorded.record.status is Status.PENDING
        if not (wait and undecided):
            return recorded, None
        return recorded, parts.scoring.decision(recorded.record.transaction.transaction_id)

    def transaction(self, transaction_id: str) -> TransactionRecord | None:
        """Return a payment."""
        return self._parts.reader.transaction(transaction_id)

    def transactions(
        self, *, user_id: str | None, status: Status | None, limit: int, before: int | None
    ) -> TransactionPage:
        """Return a page of payments, newest first."""
        return self._parts.reader.transactions(user_id=user_id, status=status, limit=limit, before=before)

    def explain(self, record: TransactionRecord) -> Explained | NotExplained:
        """Explain a payment's score from its stored vector; raises ScorerUnavailable."""
        return explain_transaction(record, judges=self.judges)

    async def label(
        self, transaction_id: str, *, value: LabelValue, source: LabelSource, note: str | None, replace: bool
    ) -> Labelled:
        """Label a payment."""
        parts = self._parts
        return await self._write(
            lambda: label_transaction(
                transaction_id,
                value=value,
                source=source,
                note=note,
                replace=replace,
                store=parts.store,
                now_ms=parts.clock.now_ms(),
            )
        )

    def account(self, user_id: str) -> Account | None:
        """Return an account."""
        return self._parts.reader.account(user_id)

    def accounts(self, *, limit: int, after: str) -> Sequence[Account]:
        """Return accounts in order of their ids."""
        return self._parts.reader.accounts(limit=limit, after=after)

    async def put_account(self, user_id: str, submission: AccountSubmission) -> AccountPut:
        """Create or replace an account."""
        parts = self._parts
        return await self._write(
            lambda: put_account(
                user_id, submission, store=parts.store, gazetteer=parts.gazetteer, now_ms=parts.clock.now_ms()
            )
        )

    async def release_account(self, user_id: str) -> Account | None:
        """End the hold that a NO put on an account."""
        return await self._write(lambda: release_account(user_id, store=self._parts.store))

    def opted_out_since(self, phone: str) -> int | None:
        """Return when a number opted out of texts (ms), None if it takes them."""
        return self._parts.reader.opted_out_since(phone)

    def conversation(self, phone: str, *, limit: int) -> Sequence[Message]:
        """Return the latest texts to and from a phone."""
        return self._parts.reader.conversation(phone, limit=limit)

    def log(self, *, after: int, limit: int) -> Sequence[LogEntry]:
        """Return what happened after a position of the change log."""
        return self._parts.reader.log(after=after, limit=limit)

    def exposition(self) -> bytes:
        """Print the metrics."""
        positions = {"score": self._parts.reader.cursor("score")}
        self.metrics.gauge(writer_waiting=self._parts.writer.waiting, positions=positions)
        return self.metrics.exposition()

    @property
    def provider(self) -> Provider:
        """The messaging provider."""
        return self._parts.provider

    async def receive_text(self, text: InboundText) -> ReplyOutcome:
        """Handle a cardholder's text, and send what follows from it."""
        parts = self._parts
        outcome = await self._write_surely(
            lambda: handle_reply(
                text,
                store=parts.store,
                sender=parts.outbox.sender,
                now_ms=parts.clock.now_ms(),
                token=parts.randomness.token(16),
                change_window_ms=parts.settings.change_window_s * 1000,
            )
        )
        self.metrics.count("replies_total", {"outcome": outcome.result.value})
        parts.outbox.wake()
        return outcome

    async def track_delivery(self, report: DeliveryReport) -> Tracked:
        """Record what the provider says of a text, and send what follows from it."""
        parts = self._parts
        tracked = await self._write_surely(
            lambda: track_delivery(
                report,
                store=parts.store,
                sender=parts.outbox.sender,
                now_ms=parts.clock.now_ms(),
                token=parts.randomness.token(16),
            )
        )
        parts.outbox.wake()
        return tracked

    def look_at_link(self, token: str) -> LinkPage | None:
        """Return what the page of a link shows, None for one that is not valid; changes nothing."""
        parts = self._parts
        link = read_link(token, key=parts.link_key)
        if link is None:
            return None
        return look_at_link(link, store=parts.reader, sender=parts.outbox.sender, now_ms=parts.clock.now_ms())

    def deny_token(self, link_token: str) -> str | None:
        """Return the token that denies what another link of the same message confirms."""
        link = read_link(link_token, key=self._parts.link_key)
        if link is None:
            return None
        return sign_link(msgspec.structs.replace(link, action=LinkAction.DENY), key=self._parts.link_key)

    def form_token(self, link_token: str) -> str:
        """Return what the form on a link's page carries."""
        return form_token(link_token, key=self._parts.link_key, now_ms=self._parts.clock.now_ms())

    async def answer_link(self, token: str, *, form: str, digits: str | None) -> Result | LinkResult:
        """Answer a question by its link, from the form of its page; sends what follows from it."""
        parts = self._parts
        link = read_link(token, key=parts.link_key)
        if link is None or not form_token_holds(form, token, key=parts.link_key, now_ms=parts.clock.now_ms()):
            return LinkResult.INVALID
        result = await self._write_surely(
            lambda: answer_link(
                link,
                digits=digits,
                store=parts.store,
                sender=parts.outbox.sender,
                now_ms=parts.clock.now_ms(),
                token=parts.randomness.token(16),
                change_window_ms=parts.settings.change_window_s * 1000,
            )
        )
        self.metrics.count("replies_total", {"outcome": result.value})
        parts.outbox.wake()
        return result

    async def _write_surely(self, work: Callable[[], T]) -> T:
        """Write what its sender will not send again: Twilio waits 15 s and repeats only what never connected."""
        for pause_s in _RETRIES_S:
            try:
                return await self._write(work)
            except OperatingError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(pause_s)
        return await self._write(work)

    async def _write(self, work: Callable[[], T]) -> T:
        return await self._parts.writer.submit(work)
