"""`cardwatch policy`: check a policy file, show what is in force, and try a policy on a day before it goes live."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
import typer

from cardwatch.domain.challenge import ChannelName
from cardwatch.domain.errors import CardwatchError, InvalidInput
from cardwatch.domain.escalation import DEFAULT_ESCALATION
from cardwatch.domain.policy import Policy, parse_policy
from cardwatch.entrypoints.cli.options import DataDir, Json, WrongUsage, settings_for
from cardwatch.entrypoints.cli.output import console, notes, print_json, progress
from cardwatch.entrypoints.cli.policy_faults import find_faults
from cardwatch.entrypoints.cli.policy_report import Column, print_policy, print_report
from cardwatch.runtime.bootstrap import load_policy, open_reader, system_clock
from cardwatch.runtime.settings import Settings
from cardwatch.simulation.assumptions import Assumptions, read_assumptions
from cardwatch.simulation.chance import Chance
from cardwatch.simulation.day import Day
from cardwatch.simulation.household import Rules
from cardwatch.simulation.run import CHANNELS, live_through, missing_channels, suspicious
from cardwatch.simulation.stored_day import LOOK_BACK_DAYS, stored_day
from cardwatch.simulation.synthetic_day import synthetic_day
from cardwatch.simulation.tally import tally

CHALLENGES = 2_000
_IN_FORCE = "in force"

app = typer.Typer(help="Check, show and try what decides and how holders are asked.", no_args_is_help=True)

PolicyFile: TypeAlias = Annotated[Path, typer.Argument(help="Policy file (JSON).", metavar="FILE")]
Challenges: TypeAlias = Annotated[
    int | None, typer.Option(help="Suspicious payments of the synthetic day [2000].", min=1, max=200_000)
]
FromStore: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--from-store/--synthetic",
        help="The latest day of the last 7 in the data folder on which somebody was asked, or a made-up one; "
        "default: what there is.",
    ),
]
OnlyConfigured: TypeAlias = Annotated[
    bool, typer.Option("--only-configured", help="Only by the channels that the settings name.")
]
AssumptionsFile: TypeAlias = Annotated[
    Path | None, typer.Option("--assumptions", help="JSON file with assumptions about holders and providers.")
]
Assume: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--assume", help="One assumption, NAME=VALUE, such as away_share=0.1; may be repeated."),
]
Seed: TypeAlias = Annotated[int, typer.Option(help="Same seed, same day.", min=0, max=2**31)]


@app.command()
def check(file: PolicyFile, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Check a policy file: one line for each fault, with its place; exits 1 if there is one."""
    settings = settings_for(data_dir)
    data = _read(file)
    faults = find_faults(data)
    if as_json:
        print_json({"file": str(file), "faults": faults})
    for fault in () if as_json else faults:
        console.print(f"{file}: {fault.pointer or '/'}: {fault.detail}", markup=False)
    if faults:
        raise typer.Exit(1)
    policy = parse_policy(data)
    _warn_of_channels(str(file), policy, settings)
    if not as_json:
        counts = f"{len(policy.deny)} deny, {len(policy.rules)} rules, {len(policy.allow)} allow"
        console.print(f"{file}: good: {counts}, {len(policy.asking.escalations)} escalations", markup=False)


@app.command()
def show(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show the policy that is in force, with what is built in."""
    settings = settings_for(data_dir)
    policy, file = load_policy(settings), settings.policy_file
    if as_json:
        source = None if file is None else str(file)
        print_json({"file": source, "policy": policy, "built_in_escalation": DEFAULT_ESCALATION})
        return
    print_policy(policy, source="built in: there is no policy file" if file is None else str(file), settings=settings)
    _warn_of_channels("the policy", policy, settings)


@app.command()
def simulate(
    policy: Annotated[Path | None, typer.Option(help="Policy file to try; default: the one in force.")] = None,
    compare: Annotated[Path | None, typer.Option(help="Policy file to try beside it, on the same holders.")] = None,
    challenges: Challenges = None,
    seed: Seed = 1,
    from_store: FromStore = None,
    only_configured: OnlyConfigured = False,
    assumptions: AssumptionsFile = None,
    assume: Assume = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Live through a day of suspicious payments under a policy, or two: nothing is sent, nobody is asked.

    The real rules run by a virtual clock. What holders and providers do is assumed, printed, and can be replaced.
    """
    if from_store and challenges is not None:
        raise WrongUsage.at("", "--challenges counts the payments of a synthetic day; --from-store takes a real one")
    settings = settings_for(data_dir)
    assumed = _assumptions(assumptions, assume or ())
    tried = _tried(policy, compare, settings)
    chance = Chance(seed)
    day = _day(settings, from_store, challenges or CHALLENGES, chance, assumed)
    channels = configured_channels(settings) if only_configured else CHANNELS
    cases = suspicious(day, [one for _, one in tried])
    columns: list[Column] = []
    with progress("living through the day", total=len(cases) * len(tried)) as advance:
        for name, one in tried:
            rules = Rules(one, channels, settings.challenge_ttl_s * 1000)
            ends = live_through(
                cases, rules=rules, assumptions=assumed, chance=chance, opted_out=day.opted_out, progress=advance
            )
            columns.append(Column(name, tally(ends)))
    for name, one in tried:
        _warn_of_channels("the policy in force" if name == _IN_FORCE else name, one, settings)
    if as_json:
        about_day = {"source": day.source, "payments": len(day.cases), "considered": len(cases)}
        results = [{"policy": column.name, **msgspec.to_builtins(column.tally)} for column in columns]
        about = {"day": about_day, "seed": seed, "channels": sorted(channels), "assumptions": assumed}
        print_json({**about, "results": results})
    else:
        print_report(day, columns, assumed, considered=len(cases))


def configured_channels(settings: Settings) -> frozenset[str]:
    """Return the channels that this installation can send by; texts go to the simulated phone where none is set."""
    by_push = settings.fcm_credentials or settings.vapid_private_key
    others = {ChannelName.EMAIL: settings.email_from, ChannelName.PUSH: by_push}
    return frozenset({ChannelName.SMS.value, *(name.value for name, setting in others.items() if setting)})


def _warn_of_channels(name: str, policy: Policy, settings: Settings) -> None:
    missing = missing_channels(policy, configured_channels(settings))
    if missing:
        named = " and ".join(missing)
        notes.print(f"[yellow]note:[/] {name} asks by {named}, which is not configured here", soft_wrap=True)


def _tried(policy: Path | None, compare: Path | None, settings: Settings) -> list[tuple[str, Policy]]:
    """Return the policies to try with their names, the one in force first unless another is named."""
    if policy is not None:
        tried = [(str(policy), _policy(policy))]
    else:
        tried = [(_IN_FORCE if settings.policy_file else "built in", load_policy(settings))]
    if compare is not None:
        tried.append((str(compare), _policy(compare)))
    return tried


def _policy(file: Path) -> Policy:
    try:
        return parse_policy(_read(file))
    except InvalidInput as error:
        raise InvalidInput.at("", f"{file}: {error}") from error


def _read(file: Path) -> bytes:
    return file.expanduser().read_bytes()


def _assumptions(file: Path | None, assumed: Sequence[str]) -> Assumptions:
    given = None if file is None else _read(file)
    try:
        if given is not None:
            read_assumptions(given)
    except InvalidInput as error:
        raise InvalidInput.at("", f"{file}: {error}") from error
    try:
        return read_assumptions(given, assumed)
    except InvalidInput as error:
        raise WrongUsage.at("", f"--assume: {error}") from error


def _day(settings: Settings, from_store: bool | None, challenges: int, chance: Chance, assumed: Assumptions) -> Day:
    """Return the day to live through: the one that was asked for, else a real one where there is one."""
    found = None
    if from_store or (from_store is None and settings.database.exists()):
        with closing(open_reader(settings)) as reader, progress("reading the latest day") as advance:
            found = stored_day(reader, now_ms=system_clock().now_ms(), chance=chance, progress=advance)
    if found is None and from_store:
        raise CardwatchError(
            f"nobody was asked about a payment in the last {LOOK_BACK_DAYS} days; --synthetic makes up a day"
        )
    return found or synthetic_day(challenges, seed=chance.seed, assumptions=assumed)
