"""A whole world from one seed: accounts, payments until so many were challenged, and hours until all rests."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from cardwatch.domain.account import Account, PushTarget
from cardwatch.domain.changes import Change, PutAccount, successor
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.languages import languages
from cardwatch.domain.money import Money
from cardwatch.domain.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from cardwatch.domain.transaction import Status, Transaction
from cardwatch.ports import LogEntry, Store
from cardwatch.services.label_transaction import label_transaction
from cardwatch.services.put_account import release_account
from cardwatch.services.reach import Sender
from cardwatch.services.tell_payment_system import start_telling
from tests.builders import OWN_NUMBER, make_account, make_transaction
from tests.simulation.dials import RULES, Dials
from tests.simulation.endings import ALL, check_the_end
from tests.simulation.holders import Holders
from tests.simulation.invariants import Watch
from tests.simulation.providers import Analysts, Carrier, MailServer, PaymentSystem, PushService
from tests.simulation.server import Server
from tests.simulation.stage import Process, Stage
from tests.simulation.stores import Around, FaultyMemoryStore, FaultySqliteStore

ZONES = ("America/Los_Angeles", "America/New_York", "Europe/Berlin", "Asia/Tokyo", "UTC")
CHANNELS = (("sms",), ("sms", "email"), ("sms", "email", "push"), ("sms", "push"), ("email",), ("email", "push"))
WORKERS = 2
"""That send on one channel at once."""

REST_MS = 6 * HOUR_MS
"""After the last payment, until answers that come hours late are in."""

_LONGEST_MS = 20 * DAY_MS


class World:
    """One run."""

    def __init__(
        self,
        seed: int,
        *,
        challenges: int,
        dials: Dials | None = None,
        sqlite: Path | None = None,
        phones: int = 0,
        trace: bool = False,
    ) -> None:
        self.stage = stage = Stage(seed, dials=dials or Dials(), trace=trace)
        stage.on_machine_crash = self._reopen
        self._challenges = challenges
        self._file = sqlite
        self._phones = phones
        self._around = Around(stage)
        self.store: Store = self._open()
        self.payments: dict[str, Transaction] = {}
        rules = RULES[seed % len(RULES)]
        others = {"email": MailServer.own_address, "push": "push", "callback": PaymentSystem.own_address, "alert": "us"}
        sender = Sender(institution="Cardwatch", own_number=OWN_NUMBER, others=others, rules=rules)
        self.watch = Watch(stage, sender)
        self._around.written = lambda changes: self.watch.written(changes, self.store)
        self._pause_ms = stage.random.choice((8, 20, 40)) * SECOND_MS
        span_ms = challenges * self._pause_ms
        self.server = Server(stage, self.watch, sender, store=lambda: self.store)
        self._desk = Process("desk", stage)
        self._set_up_outside(span_ms)
        self._set_up_accounts(phones or max(4, min(challenges // stage.random.choice((3, 5, 12)), 150)))
        self._ended = False
        self.log: tuple[LogEntry, ...] = ()
        """The whole change log, once the run has ended."""

    def run(self) -> None:
        """Let everything happen, and check the end."""
        try:
            self._surely(lambda: start_telling(store=self.store))
            self.stage.at(0, self._pay)
            for worker in self.server.workers:
                self._every((3, 9), partial(self.server.work, worker))
            self._every((1, 10), self.server.score)
            self._every((5, 40), self.server.sweep)
            self._every((2, 30), self.server.tell)
            self._every((120, 900), self._analyse)
            self._every((120, 600), self._change_accounts)
            self.stage.run()
            check_the_end(self.watch, self.store, self.payment_system)
            self.log = tuple(self.store.log(after=0, limit=ALL))
        except Exception as error:
            error.add_note(self.replay)
            raise
        finally:
            self.store.close()

    @property
    def replay(self) -> str:
        """The command that shows this very run."""
        dials = self.stage.dials
        options = [
            " --storm" if dials.stall == Dials.storm().stall else "",
            f" --race {dials.race}" if dials.race else "",
            f" --crash-at {dials.crash_at}" if dials.crash_at else "",
            f" --phones {self._phones}" if self._phones else "",
            " --store sqlite" if self._file else "",
        ]
        return (
            f"replay: python -m tests.simulation.replay --seed {self.stage.seed}"
            f" --challenges {self._challenges}{''.join(options)} --trace"
        )

    # Setting up

    def _open(self) -> Store:
        return FaultySqliteStore(self._file, self._around) if self._file else FaultyMemoryStore(self._around)

    def _reopen(self) -> None:
        """Come back after a crash of the machine with only the file."""
        if self._file is not None:
            self.store.close()
            self.store = self._open()

    def _set_up_outside(self, span_ms: int) -> None:
        stage, watch, server = self.stage, self.watch, self.server
        carrier = Carrier(stage, watch, span_ms=span_ms)
        mail, push = MailServer(stage, watch, span_ms=span_ms), PushService(stage, watch, span_ms=span_ms)
        self.payment_system = PaymentSystem(stage, watch, span_ms=span_ms)
        holders = Holders(stage, watch, server, carrier, self.payments, store=lambda: self.store)
        carrier.on_report, carrier.on_delivered = server.receive_report, holders.read_text
        mail.on_delivered = push.on_delivered = holders.read_link
        for provider in (carrier, mail, push, self.payment_system, Analysts(stage, watch, span_ms=span_ms)):
            server.add_workers(provider, WORKERS)

    def _set_up_accounts(self, phones: int) -> None:
        """Add accounts, every third of which shares the telephone of another."""
        draw = self.stage.random
        self._users = [f"user_{number}" for number in range(phones * 3 // 2)]
        for number, user_id in enumerate(self._users):
            account = make_account(
                user_id,
                phone_number=f"+1202555{1000 + number % phones}",
                email=f"{user_id}@example.com",
                push=PushTarget(fcm_token=f"device of {user_id}"),
                channels=draw.choices(CHANNELS, weights=(4, 5, 8, 2, 1, 1))[0],
                time_zone=draw.choice(ZONES),
                language=draw.choice(sorted(languages())),
            )
            self._put(PutAccount(account))

    def _surely(self, work: Callable[[], None]) -> None:
        """Do something before anything else happens, however often it takes."""
        while not self.stage.attempt(self._desk, work):
            self._desk.up_at_ms = 0

    def _put(self, change: Change) -> None:
        self._surely(lambda: _ignore(self.store.apply([change])))

    def _every(self, seconds: tuple[int, int], work: Callable[[], None]) -> None:
        """Do something again and again, at first often, and seldom once all rests; to the end of the run."""

        def again() -> None:
            if not self._ended:
                work()
                low, high = seconds
                slower = 10 if self._paying_ended_ms and self.stage.now_ms > self._paying_ended_ms + HOUR_MS else 1
                self.stage.idly(self.stage.random.randrange(low * 1000, high * 1000) * slower, again)

        self.stage.idly(self.stage.random.randrange(seconds[1] * 1000), again)

    # Payments, analysts, accounts

    _paying_ended_ms = 0

    def _pay(self) -> None:
        """Make a suspicious payment, and the next one later, until enough were challenged."""
        if self.watch.challenges >= self._challenges:
            self._paying_ended_ms = self.stage.now_ms
            self.stage.idly(REST_MS, self._rest)
            return
        draw = self.stage.random
        key = f"txn_{len(self.payments)}"
        payment = make_transaction(
            key,
            user_id=draw.choice(self._users),
            amount=Money(int(10 ** draw.uniform(2, 6)), "USD"),
            card=draw.choice(("4242", "0007", "9310", "tok_1", None)),
            timestamp_ms=self.stage.now_ms,
            received_at_ms=self.stage.now_ms,
        )
        self.payments[key] = payment
        self.server.pay(payment)
        self.stage.at(draw.choice((0, self._pause_ms, 2 * self._pause_ms)), self._pay)

    def _rest(self) -> None:
        """End once nothing is left to do, which callbacks may take days for."""
        nothing_due = not any(
            self.store.due_message_ids(channel=name, now_ms=2**53, limit=1)
            for name in ("sms", "email", "push", "callback", "alert")
        )
        read = not self.store.log(after=self.store.cursor("callback"), limit=1)
        too_long = self.stage.now_ms > self._paying_ended_ms + _LONGEST_MS
        if (nothing_due and read and not self.stage.waiting) or too_long:
            self._ended = True
        else:
            self.stage.idly(10 * MINUTE_MS, self._rest)

    def _analyse(self) -> None:
        """Let an analyst judge some payments that wait for it, and call one that is being asked about fraud."""
        draw = self.stage.random
        for status, share in ((Status.IN_REVIEW, 0.1), (Status.CHALLENGED, 0.02)):
            for record in self.store.transactions(status=status, limit=50).records:
                if draw.random() < share:
                    key = record.transaction.transaction_id
                    value = draw.choice((LabelValue.FRAUD, LabelValue.GENUINE))
                    self.stage.attempt(self._desk, partial(self._label, key, value))

    def _label(self, key: str, value: LabelValue) -> None:
        label_transaction(
            key,
            value=value,
            source=LabelSource.ANALYST,
            note=None,
            replace=False,
            store=self.store,
            now_ms=self._desk.now_ms(),
        )

    def _change_accounts(self) -> None:
        """Release accounts that are held, and let a few holders change number or device."""
        draw = self.stage.random
        for user_id in self._users:
            account = self.store.account(user_id)
            assert account is not None
            if account.held_since_ms is not None and draw.random() < 0.5:
                self.stage.attempt(self._desk, partial(self._release, user_id))
            elif draw.random() < 0.003:
                self._change(account)

    def _release(self, user_id: str) -> None:
        release_account(user_id, store=self.store)

    def _change(self, account: Account) -> None:
        draw = self.stage.random
        changed = successor(account, push=PushTarget(fcm_token=f"device {self.stage.token()[:8]}"))
        if draw.random() < 0.5:
            phone = f"+1202556{draw.randrange(10_000):04d}"
            changed = msgspec.structs.replace(changed, phone_number=phone, phone_changed_at_ms=self._desk.now_ms())
        self.stage.attempt(self._desk, lambda: _ignore(self.store.apply([PutAccount(changed)])))


def _ignore(_: object) -> None:
    """Drop a result."""
