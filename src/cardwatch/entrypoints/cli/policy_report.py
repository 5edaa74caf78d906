"""How `cardwatch policy` shows a policy, and what a day under one or two of them comes to."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from rich.box import SIMPLE, SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from cardwatch.domain.decision import Outcome
from cardwatch.domain.escalation import DEFAULT_ESCALATION, AskingRules, Escalation
from cardwatch.domain.policy import ListEntry, Policy
from cardwatch.domain.policy_conditions import Conditions
from cardwatch.entrypoints.cli.output import console
from cardwatch.runtime.settings import Settings
from cardwatch.simulation.assumptions import Assumptions, rows
from cardwatch.simulation.day import Day
from cardwatch.simulation.tally import Payments, Tally

_BARS = "▁▂▃▄▅▆▇█"
_NAME_LENGTH_MAX = 18

Kind = Literal["count", "share", "ratio", "minutes"]


class Column(NamedTuple):
    """What one policy did to the day."""

    name: str
    tally: Tally


class Line(NamedTuple):
    """One number of a report; a line without values heads those below it."""

    label: str
    values: Sequence[float | None] = ()
    kind: Kind = "count"
    alarm: bool = False
    """Whether anything but none is a fault."""


def print_report(day: Day, columns: Sequence[Column], assumptions: Assumptions, *, considered: int) -> None:
    """Print the columns side by side, then the hours of the questions, then what was assumed."""
    others = len(day.cases) - considered
    console.print(f"{day.source}{f'; {others:,} of them are simply approved' if others else ''}", markup=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for title in _titles(columns):
        table.add_column(escape(title), justify="right")
    if len(columns) > 1:
        table.add_column("change", justify="right")
    for line in _lines(columns):
        _add(table, line)
    console.print(table)
    _print_hours(columns)
    _print_assumptions(assumptions)


def print_policy(policy: Policy, *, source: str, settings: Settings) -> None:
    """Print a policy as tables."""
    console.print(f"policy: {source}\n", markup=False)
    if policy.deny or policy.rules or policy.allow:
        table = Table("", "when", "then", box=SIMPLE_HEAD, pad_edge=False)
        for entry in policy.deny:
            table.add_row("deny", _entry(entry), Outcome.DECLINE.value)
        for rule in policy.rules:
            table.add_row(f"rule {escape(rule.name)}", _when(rule.when), rule.then.value)
        for entry in policy.allow:
            table.add_row("allow", _entry(entry), Outcome.APPROVE.value)
        console.print(table)
    threshold = "the model's" if settings.fraud_threshold is None else f"{settings.fraud_threshold:g}"
    console.print(f"else a score at or above {threshold} threshold is challenged, any other payment approved\n")
    table = Table("escalation", "when", "steps", "life", "no answer", box=SIMPLE_HEAD, pad_edge=False)
    for escalation in (*policy.asking.escalations, DEFAULT_ESCALATION):
        built_in = escalation is DEFAULT_ESCALATION
        name = "built in" if built_in else escape(escalation.name)
        when = "no other applies" if built_in and policy.asking.escalations else _when(escalation.when)
        life_s = escalation.expires_after_s or settings.challenge_ttl_s
        table.add_row(name, when, _steps(escalation), _duration(life_s), escalation.default_action.value)
    console.print(table)
    for text in _limits(policy.asking):
        console.print(text, markup=False)


def _lines(columns: Sequence[Column]) -> Iterator[Line]:
    """Yield everything that is shown; what is none under every policy, and may well be, is left out."""
    tallies = [column.tally for column in columns]
    yield from _conduct(tallies)
    yield from _money(tallies)
    yield from _messages(tallies)


def _conduct(tallies: Sequence[Tally]) -> Iterator[Line]:
    yield Line("challenges", [t.challenges for t in tallies])
    yield from _some("not challenged: approved", [t.approved_unasked for t in tallies])
    yield from _some("not challenged: declined", [t.declined_unasked for t in tallies])
    yield from _some("not challenged: review", [t.reviewed_unasked for t in tallies])
    for reason in dict.fromkeys(reason for t in tallies for reason in t.not_asked):
        yield Line(f"not asked: {_words(reason)}", [t.not_asked.get(reason, 0) for t in tallies])
    yield Line("How challenges ended")
    for name in tallies[0].ended:
        yield Line(_ENDED.get(name, _words(name)), [t.ended[name] for t in tallies])
    yield Line("Answers")
    yield Line("answered in time", [t.answered_share for t in tallies], "share")
    for name in tallies[0].answered_on:
        yield Line(f"by {name}", [t.answered_on[name] for t in tallies])
    yield Line("answered too late", [t.answered_too_late for t in tallies])
    yield Line("minutes to an answer, median", [t.minutes_to_answer.median for t in tallies], "minutes")
    yield Line("minutes to an answer, 95 %", [t.minutes_to_answer.p95 for t in tallies], "minutes")
    yield Line("minutes money was held, median", [t.minutes_held.median for t in tallies], "minutes")
    yield Line("minutes money was held, 95 %", [t.minutes_held.p95 for t in tallies], "minutes")
    yield Line("analysts' cases", [t.cases for t in tallies])


def _money(tallies: Sequence[Tally]) -> Iterator[Line]:
    yield Line("Fraud")
    yield from _worth("stopped", [t.fraud.stopped for t in tallies])
    yield from _worth("with analysts", [t.fraud.with_analysts for t in tallies])
    unasked = [t.fraud.approved_unasked for t in tallies]
    if any(payments.count for payments in unasked):
        yield from _worth("approved unasked", unasked)
    yield from _worth("released by a wrong YES", [t.fraud.released_by_yes for t in tallies])
    yield Line("released without a YES", [t.fraud.released_without_yes.count for t in tallies], alarm=True)
    yield Line("Genuine payments declined")
    yield from _worth("by the default action", [t.genuine.declined_by_default for t in tallies])
    yield from _worth("by their holder's NO", [t.genuine.declined_by_no for t in tallies])
    yield from _some("by a rule or a list", [t.genuine.declined_unasked.count for t in tallies])


def _messages(tallies: Sequence[Tally]) -> Iterator[Line]:
    yield Line("Messages")
    for name in tallies[0].messages:
        yield Line(name, [t.messages[name] for t in tallies])
    yield Line("per challenge", [t.messages_per_challenge for t in tallies], "ratio")
    yield Line("most texts about one challenge", [t.texts_most for t in tallies])
    yield Line("reminders sent", [t.reminders_sent for t in tallies])
    yield Line("put off by quiet hours", [t.reminders_deferred for t in tallies])
    for name in tallies[0].reminders_passed_over:
        values = [t.reminders_passed_over[name] for t in tallies]
        yield Line(f"dropped: {_DROPPED[name]}", values)
    yield Line("questions that waited for another", [t.waited for t in tallies])


_ENDED = {"expired_to_review": "expired, to review", "expired_to_declined": "expired, declined"}
_DROPPED = {"quiet_hours": "quiet hours", "cap": "cap of three texts", "not_reached": "not reachable"}


def _some(label: str, values: Sequence[float]) -> Iterator[Line]:
    if any(values):
        yield Line(label, values)


def _worth(label: str, payments: Sequence[Payments]) -> Iterator[Line]:
    """Yield a number of payments, and what they are worth where all are in one currency."""
    yield Line(label, [one.count for one in payments])
    currencies = {currency for one in payments for currency in one.amounts}
    if len(currencies) == 1:
        currency = currencies.pop()
        yield Line(f"  in {currency}", [float(one.amounts.get(currency, 0)) for one in payments])


def _add(table: Table, line: Line) -> None:
    if not line.values:
        table.add_section()
        table.add_row(f"[bold]{line.label}[/]")
        return
    cells = [_cell(value, line.kind) for value in line.values]
    if line.alarm:
        cells = [f"[{'red' if value else 'green'}]{cell}[/]" for cell, value in zip(cells, line.values, strict=True)]
    indent = "" if line.label in ("challenges", "analysts' cases") else "  "
    table.add_row(f"{indent}{line.label}", *cells, *([_change(line)] if len(cells) > 1 else []))


def _cell(value: float | None, kind: Kind) -> str:
    if value is None:
        return "-"
    match kind:
        case "share":
            return f"{value:.1%}"
        case "ratio":
            return f"{value:.2f}"
        case "minutes":
            return f"{value:.1f}"
        case "count":
            return f"{value:,.0f}"


def _change(line: Line) -> str:
    first, last = line.values[0], line.values[-1]
    if first is None or last is None or _cell(first, line.kind) == _cell(last, line.kind):
        return ""
    change = f"{100 * (last - first):.1f} pts" if line.kind == "share" else _cell(last - first, line.kind)
    return ("+" if last > first else "") + change


def _print_hours(columns: Sequence[Column]) -> None:
    """Print how many questions and reminders went out in each hour of the holders' own day."""
    highest = max((max(column.tally.questions_by_hour) for column in columns), default=0)
    if not highest:
        return
    titles = _titles(columns)
    width = max(map(len, titles))
    console.print("questions and reminders by the holders' own hour (right: the most in one hour)")
    for title, column in zip(titles, columns, strict=True):
        bars = "".join(_bar(count, highest) * 2 for count in column.tally.questions_by_hour)
        console.print(f"  {title:<{width}}  {bars}  {max(column.tally.questions_by_hour):,}", markup=False)
    console.print(f"  {'':<{width}}  " + "".join(f"{hour:<12}" for hour in (0, 6, 12, 18)).rstrip() + "\n")


def _bar(count: int, highest: int) -> str:
    return " " if not count else _BARS[min(len(_BARS) - 1, count * len(_BARS) // (highest + 1))]


def _print_assumptions(assumptions: Assumptions) -> None:
    """Print what was assumed, under the names by which it can be replaced."""
    console.print("assumed (change with --assume NAME=VALUE or --assumptions FILE):")
    table = Table(box=SIMPLE, pad_edge=False, show_header=True)
    table.add_column("")
    shown = dict(rows(assumptions))
    by_channel = {name: value for name, value in shown.items() if "." in name and not name.startswith("asleep")}
    channels = list(dict.fromkeys(name.partition(".")[0] for name in by_channel))
    for channel in channels:
        table.add_column(f"{channel}.", justify="right")
    for what in dict.fromkeys(name.partition(".")[2] for name in by_channel):
        table.add_row(what, *(by_channel[f"{channel}.{what}"] for channel in channels))
    console.print(table)
    others = [f"{name}={value}" for name, value in shown.items() if name not in by_channel]
    console.print("  " + "\n  ".join(_wrapped(others)), markup=False)


def _wrapped(texts: Sequence[str], *, width: int = 76) -> Iterator[str]:
    """Yield lines of texts with two spaces between them, none cut."""
    line = ""
    for text in texts:
        if line and len(line) + 2 + len(text) > width:
            yield line
            line = text
        else:
            line = f"{line}  {text}" if line else text
    yield line


def _titles(columns: Sequence[Column]) -> list[str]:
    """Return short names of the policies that tell them apart: the file's own, else the end of its path."""
    stems = [Path(column.name).stem if Path(column.name).suffix else column.name for column in columns]
    names = stems if len(set(stems)) == len(stems) else [column.name for column in columns]
    return [name if len(name) <= _NAME_LENGTH_MAX else f"…{name[1 - _NAME_LENGTH_MAX :]}" for name in names]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _entry(entry: ListEntry) -> str:
    note = f" ({entry.note})" if entry.note else ""
    return escape(f"{entry.field.value} is {entry.value}{note}")


def _when(conditions: Conditions) -> str:
    given = {name: value for name, value in msgspec.to_builtins(conditions).items() if value is not None}
    texts = [
        f"{_words(name)} {', '.join(value) if isinstance(value, list) else value}" for name, value in given.items()
    ]
    return escape("; ".join(texts)) or "always"


def _steps(escalation: Escalation) -> str:
    lines = []
    for step in escalation.steps:
        reminder = f" (again after {_duration(step.remind_after_s)})" if step.remind_after_s else ""
        until = f", next after {_duration(step.wait_s)}" if step.wait_s else ", to the end"
        lines.append(f"{step.channel.value}{reminder}{until}")
    return "\n".join(lines)


def _duration(seconds: int) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _limits(asking: AskingRules) -> Iterator[str]:
    """Yield the quiet hours and the limits of texts in words."""
    quiet = asking.quiet_hours
    yield "reminders at any hour" if quiet is None else f"no reminder from {quiet.start} to {quiet.end} (own time)"
    if asking.texts.number_unchanged_for_s:
        changed = _duration(asking.texts.number_unchanged_for_s)
        yield f"no text to a number that changed within {changed}"
    for currency, limit in asking.texts.amount_at_most.items():
        yield f"no text about more than {limit} {currency}"
