"""Our side: the processes that take payments, send, sweep, tell, and handle what is posted, each of which may die.

They do what the runtime does, with the same services, and know nothing but the store after a crash. Each channel has
two workers at once.
"""

from collections.abc import Callable
from functools import partial

from cardwatch.domain.answer_link import form_token, form_token_holds, read_link
from cardwatch.domain.changes import AddTransaction, DecideTransaction
from cardwatch.domain.decision import Outcome
from cardwatch.domain.provider_post import DeliveryReport, InboundText
from cardwatch.domain.times import SECOND_MS
from cardwatch.domain.transaction import Status, Transaction
from cardwatch.ports import Store
from cardwatch.services.answer_link import LinkResult, answer_link, look_at_link
from cardwatch.services.ask_cardholder import ChallengePlan, plan_challenge
from cardwatch.services.escalate_challenges import escalate_challenges
from cardwatch.services.expire_challenges import expire_challenges
from cardwatch.services.handle_reply import handle_reply
from cardwatch.services.reach import Sender
from cardwatch.services.reply_turn import Result
from cardwatch.services.send_messages import LEASE_MS, Claim, Delivery, claim_messages, deliver, record_delivery
from cardwatch.services.tell_payment_system import tell_payment_system
from cardwatch.services.track_delivery import track_delivery
from tests.builders import OWN_NUMBER, make_decision
from tests.simulation.acts import Act
from tests.simulation.invariants import Watch
from tests.simulation.providers import Line, Provider
from tests.simulation.stage import Process, Stage

LINK_KEY = b"the key of simulated links"
TTL_MS = 1_800 * SECOND_MS
CHANGE_WINDOW_MS = 3_600 * SECOND_MS
SWEEP_LIMIT = 1_000
_DELIVERIES_MAX = 6


class Worker:
    """A process that sends on one channel."""

    def __init__(self, line: Line, process: Process) -> None:
        self.line = line
        self.process = process


class Server:
    """All processes of ours."""

    def __init__(self, stage: Stage, watch: Watch, sender: Sender, *, store: Callable[[], Store]) -> None:
        self._stage = stage
        self._watch = watch
        self._sender = sender
        self._store = store
        self.web = stage.process("web")
        self.scorer = stage.process("scorer")
        self.sweeper = stage.process("sweeper")
        self.teller = stage.process("teller")
        self.workers: list[Worker] = []

    def add_workers(self, provider: Provider, number: int) -> None:
        """Let so many workers send through a provider."""
        for index in range(number):
            process = self._stage.process(f"{provider.name} worker {index}")
            self.workers.append(Worker(Line(provider, process, self._stage, self._watch), process))

    # Payments

    def pay(self, payment: Transaction) -> None:
        """Take a suspicious payment in; the payment system repeats what was not answered."""
        store = self._store()
        if not self._stage.attempt(self.web, lambda: _nothing(store.apply([AddTransaction(payment)]))):
            self._stage.at(2 * SECOND_MS, lambda: self.pay(payment))

    def score(self) -> None:
        """Decide what is pending: challenge it if its holder can be asked."""
        self._stage.attempt(self.scorer, self._score)

    def _score(self) -> None:
        for record in self._store().transactions(status=Status.PENDING, limit=100).records:
            self._decide(record.transaction)

    def _decide(self, payment: Transaction) -> None:
        store, now_ms = self._store(), self.scorer.now_ms()
        score = self._stage.fixed(payment.transaction_id).random()
        plan = plan_challenge(
            store=store,
            account=store.account(payment.user_id),
            transaction=payment,
            score=score,
            now_ms=now_ms,
            ttl_ms=TTL_MS,
            sender=self._sender,
            token=self._stage.token(),
        )
        asked = isinstance(plan, ChallengePlan)
        outcome = Outcome.CHALLENGE if asked else Outcome.REVIEW
        decision = make_decision(outcome=outcome, decided_at_ms=now_ms, score=score)
        decided = DecideTransaction(payment.transaction_id, decision, Status.CHALLENGED if asked else Status.IN_REVIEW)
        self._stage.count("challenged" if asked else f"not asked: {getattr(plan, 'reason', '')}")
        store.apply([decided, *(plan.changes if isinstance(plan, ChallengePlan) else ())])

    # The outbox

    def work(self, worker: Worker) -> None:
        """Claim what is due on a channel, and let each message go its way."""
        self._stage.attempt(worker.process, lambda: self._claim(worker))

    def _claim(self, worker: Worker) -> None:
        stage, now_ms, races = self._stage, worker.process.now_ms(), self._stage.races
        for claim in claim_messages(store=self._store(), channel=worker.line, now_ms=now_ms, limit=8):
            to_be_sent = not claim.look_up and claim.refusal is None
            if to_be_sent and races == stage.races:
                self._watch.claimed(claim.message, store=self._store(), now_ms=now_ms)
            stalls = stage.chance(stage.dials.stall)
            waits_ms = stage.random.randrange(LEASE_MS + 10 * SECOND_MS) if stalls else 0
            stage.at(waits_ms, partial(self._deliver, worker, claim), of=worker.process)

    def _deliver(self, worker: Worker, claim: Claim) -> None:
        self._stage.attempt(worker.process, lambda: self._speak(worker, claim))

    def _speak(self, worker: Worker, claim: Claim) -> None:
        delivery = deliver(claim, channel=worker.line)
        stage = self._stage
        waits_ms = worker.line.latency_ms + (LEASE_MS if stage.chance(stage.dials.stall) else 0)
        stage.at(waits_ms, lambda: self._record(worker, claim, delivery), of=worker.process)

    def _record(self, worker: Worker, claim: Claim, delivery: Delivery) -> None:
        def record() -> None:
            recorded = record_delivery(
                claim,
                delivery,
                store=self._store(),
                sender=self._sender,
                now_ms=worker.process.now_ms(),
                token=self._stage.token(),
            )
            self._stage.count(f"recorded: {recorded}")

        self._stage.attempt(worker.process, record)

    # What time brings about

    def sweep(self) -> None:
        """Expire what is over, and put again what nobody answered."""
        self._stage.attempt(self.sweeper, self._sweep)

    def _sweep(self) -> None:
        store, now_ms, races = self._store(), self.sweeper.now_ms(), self._stage.races
        token = self._stage.token()
        expire_challenges(store=store, sender=self._sender, now_ms=now_ms, token=token, limit=SWEEP_LIMIT)
        if races == self._stage.races:
            self._watch.swept(store, now_ms=now_ms)
        moved = escalate_challenges(store=store, sender=self._sender, now_ms=now_ms, token=self._stage.token())
        self._stage.counts["escalated"] += len(moved)

    def tell(self) -> None:
        """Turn what happened into callbacks and alerts."""
        limit = self._stage.random.choice((1, 10, 100))
        self._stage.attempt(
            self.teller,
            lambda: _nothing(
                tell_payment_system(store=self._store(), sender=self._sender, now_ms=self.teller.now_ms(), limit=limit)
            ),
        )

    # What is posted

    def receive_report(self, told: DeliveryReport, *, delivery: int = 1) -> None:
        """Let a report come in; one that met no answer comes again, a few times."""

        def track() -> None:
            tracked = track_delivery(
                told, store=self._store(), sender=self._sender, now_ms=self.web.now_ms(), token=self._stage.token()
            )
            self._stage.count(f"report: {tracked}")

        if not self._stage.attempt(self.web, track):
            self._again(lambda: self.receive_report(told, delivery=delivery + 1), delivery)

    def receive_text(self, act: Act, *, delivery: int = 1) -> None:
        """Let a holder's text come in, in the same way."""
        if not self._stage.attempt(self.web, lambda: self._act(act, lambda: self._handle(act))):
            self._again(lambda: self.receive_text(act, delivery=delivery + 1), delivery)

    def _handle(self, act: Act) -> Result:
        text = InboundText(message_id=act.sid, phone=act.address, own_number=OWN_NUMBER, body=act.body)
        return handle_reply(
            text,
            store=self._store(),
            sender=self._sender,
            now_ms=self.web.now_ms(),
            token=self._stage.token(),
            change_window_ms=CHANGE_WINDOW_MS,
        ).result

    def look(self, token: str) -> str | None:
        """Return the form of a link's page, None where there is no page."""
        link = read_link(token, key=LINK_KEY)
        if link is None:
            return None
        now_ms = self.web.now_ms()
        page = look_at_link(link, store=self._store(), sender=self._sender, now_ms=now_ms)
        return form_token(token, key=LINK_KEY, now_ms=now_ms) if page else None

    def press(self, token: str, *, form: str, act: Act) -> None:
        """Let the form of a link's page be posted; a failure is seen by who posts, and not repeated here."""
        self._stage.attempt(self.web, lambda: self._press(token, form, act))

    def _press(self, token: str, form: str, act: Act) -> None:
        now_ms = self.web.now_ms()
        link = read_link(token, key=LINK_KEY)
        if link is None or not form_token_holds(form, token, key=LINK_KEY, now_ms=now_ms):
            self._stage.count("forms refused")
            return
        self._act(
            act,
            lambda: answer_link(
                link,
                digits=act.digits,
                store=self._store(),
                sender=self._sender,
                now_ms=now_ms,
                token=self._stage.token(),
                change_window_ms=CHANGE_WINDOW_MS,
            ),
        )

    def _act(self, act: Act, handle: Callable[[], Result | LinkResult]) -> None:
        """Handle an answer, with the watch knowing what was meant."""
        races = self._stage.races
        wanted = self._watch.wanted(act, self._store(), now_ms=self.web.now_ms())
        self._watch.acts.append((act, self.web.now_ms()))
        try:
            result = handle()
        finally:
            self._watch.acts.pop()
        self._stage.count(f"{act.channel} answer: {result}")
        self._stage.tell(f"{act.channel} {act.meaning} about {act.transaction_id}: {result}")
        if races == self._stage.races:
            self._watch.answered(act, result, wanted)

    def _again(self, work: Callable[[], None], delivery: int) -> None:
        stage = self._stage
        if delivery < _DELIVERIES_MAX and not stage.chance(stage.dials.webhook_lost):
            stage.count("webhooks delivered again after a crash")
            stage.at(stage.random.randrange(1_000, 15_000), work)


def _nothing(_: object) -> None:
    """Drop a result."""
