"""What the page starts with, read from the application in a bounded number of steps."""

from collections import Counter
from collections.abc import Sequence

from cardwatch.console.rows import PhoneEntry, is_history
from cardwatch.console.tally import FLAGGED
from cardwatch.domain.account import Account
from cardwatch.domain.challenge import OPEN
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.learning.seed_accounts import SEED_PERSONAS
from cardwatch.runtime.application import Application

_FLAGGED_MAX = 25
_QUESTIONS_MAX = 50


def flagged_and_newest(application: Application, *, limit: int) -> Sequence[TransactionRecord]:
    """Return the newest payments and the newest flagged ones, in order of arrival, without imported history."""
    pages = [application.transactions(user_id=None, status=None, limit=limit, before=None)]
    pages += [
        application.transactions(user_id=None, status=status, limit=_FLAGGED_MAX, before=None) for status in FLAGGED
    ]
    records = {record.sequence: record for page in pages for record in page.records if not is_history(record)}
    return [records[sequence] for sequence in sorted(records)]


def phone_entries(application: Application) -> Sequence[PhoneEntry]:
    """Return the phones that the page offers, those with an open question first; none with a real provider.

    The phones of the seed accounts are always offered.
    """
    if not application.provider.simulated:
        return ()
    challenged = application.transactions(user_id=None, status=Status.CHALLENGED, limit=_QUESTIONS_MAX, before=None)
    questions = [r.challenge for r in challenged.records if r.challenge is not None and r.challenge.state in OPEN]
    open_questions = Counter(question.phone for question in questions)
    holders = dict.fromkeys([question.user_id for question in questions] + list(SEED_PERSONAS))
    entries: dict[str, PhoneEntry] = {}
    for user_id in holders:
        account = application.account(user_id)
        if account is not None and account.phone_number is not None:
            entries.setdefault(account.phone_number, _entry(account, account.phone_number, open_questions))
    return sorted(entries.values(), key=lambda entry: (entry.open_questions == 0, entry.user_id))


def decided_since_start(application: Application) -> int:
    """Return how many payments this process has decided."""
    metric = "cardwatch_decisions_total"
    samples = (sample for family in application.metrics.registry.collect() for sample in family.samples)
    return round(sum(sample.value for sample in samples if sample.name == metric))


def log_head(application: Application) -> int:
    """Return the position of the last entry of the change log, by bisection: the log is read forward only."""
    low, high = 0, 1
    while application.log(after=high, limit=1):
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if application.log(after=middle, limit=1):
            low = middle + 1
        else:
            high = middle
    return low


def _entry(account: Account, phone: str, open_questions: Counter[str]) -> PhoneEntry:
    return PhoneEntry(
        phone=phone, user_id=account.user_id, name=account.name, open_questions=open_questions.get(phone, 0)
    )
