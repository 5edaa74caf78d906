"""`cardwatch policy` on the command line: what it prints, for people and machines, and how it fails."""

import json
import os
from contextlib import closing
from pathlib import Path

import pytest

from cardwatch.adapters.clock import SystemClock
from cardwatch.adapters.sqlite.store import SqliteStore
from cardwatch.domain.changes import PutAccount
from cardwatch.domain.decision import Outcome
from cardwatch.entrypoints.cli.app import run
from cardwatch.entrypoints.cli.policy_faults import find_faults
from cardwatch.simulation.assumptions import Assumptions, rows
from tests.builders import make_account
from tests.policy_simulation.test_days import stored

CANDIDATE = {
    "rules": [{"name": "small", "when": {"amount_below": "20", "currency": "USD"}, "then": "approve"}],
    "deny": [{"field": "ip", "value": "203.0.113.9", "note": "card [testing]"}],
    "asking": {
        "escalations": [
            {
                "name": "large",
                "when": {"amount_at_least": "200", "currency": "USD"},
                "steps": [
                    {"channel": "push", "wait_s": 120},
                    {"channel": "sms", "remind_after_s": 300, "wait_s": 900},
                    {"channel": "email"},
                ],
                "expires_after_s": 3600,
                "default_action": "decline",
            }
        ],
        "texts": {"number_unchanged_for_s": 86400, "amount_at_most": {"USD": "5000.00"}},
    },
}

SIMULATE = ["policy", "simulate", "--synthetic", "--challenges", "120"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a data folder of its own."""
    monkeypatch.setenv("CARDWATCH_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def candidate(tmp_path: Path) -> str:
    """Return a policy file that can be used."""
    path = tmp_path / "candidate.json"
    path.write_text(json.dumps(CANDIDATE))
    return str(path)


def test_a_good_policy_is_said_to_be_good(candidate: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what is in it; channels that this installation lacks are a note beside."""
    assert run(["policy", "check", candidate]) == 0
    printed = capsys.readouterr()
    assert "good: 1 deny, 1 rules, 0 allow, 1 escalations" in printed.out
    assert "asks by push and email, which is not configured here" in " ".join(printed.err.split())


def test_every_fault_is_one_line_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Faults of any part are found in one go; the exit code is 1."""
    path = tmp_path / "wrong.json"
    path.write_text(
        json.dumps(
            {
                "deny": [{"field": "ipp", "value": "1"}, {"field": "ip", "value": ""}],
                "rules": [
                    {"name": "a", "when": {}, "then": "review"},
                    {"name": "b", "when": {"amount_at_least": "5"}, "then": "review"},
                    {"name": "c", "when": {"score_at_least": 0.5}, "then": "decline"},
                    {"name": "a", "when": {}, "then": "review"},
                ],
                "asking": {
                    "escalations": [{"name": "y", "steps": [{"channel": "sms"}, {"channel": "email"}]}],
                    "quiet_hours": {"start": "25:00"},
                    "texts": {"amount_at_most": {"XXX": "3"}},
                },
                "extra": 1,
            }
        )
    )
    assert run(["policy", "check", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    places = [line.removeprefix(f"{path}: ").partition(": ")[0] for line in lines]
    assert places == [
        "/deny/0/field",
        "/deny/1/value",
        "/rules/1/when/amount_at_least",
        "/rules/2/when",
        "/asking/escalations/0/steps/0",
        "/asking/quiet_hours/start",
        "/asking/texts/amount_at_most/XXX",
        "/",
        "/rules",
    ]
    assert run(["policy", "check", str(path), "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["faults"]) == 9


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b'{"rules": 5}', b'{"asking": []}', b'{"asking": {"x": 1}}', b'{"a":1}', b"\xff"],
)
def test_what_is_no_policy_at_all_has_one_fault(data: bytes) -> None:
    """Nothing is too broken to be named."""
    assert len(find_faults(data)) == 1


def test_an_empty_list_is_a_fault_with_its_place() -> None:
    """Also beside other faults, and in any part."""
    rule = {"name": "a", "when": {"score_at_least": 0.1, "not_countries": []}, "then": "decline"}
    escalation = {"name": "b", "when": {"mccs": []}, "steps": [{"channel": "sms"}]}
    faults = find_faults(json.dumps({"rules": [rule], "asking": {"escalations": [escalation]}}).encode())
    assert [fault.pointer for fault in faults] == ["/rules/0/when/not_countries", "/asking/escalations/0/when/mccs"]


def test_the_built_in_policy_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no file is, what is built in is in force."""
    assert run(["policy", "show"]) == 0
    printed = capsys.readouterr().out
    assert "built in: there is no policy file" in printed
    assert "sms, next after 10 min" in printed
    assert "no reminder from 21:00 to 08:00" in printed


def test_the_policy_in_force_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lists, rules, escalations and limits, as text and as JSON."""
    (folder / "policy.json").write_text(json.dumps(CANDIDATE))
    assert run(["policy", "show"]) == 0
    printed = capsys.readouterr().out
    for expected in ("ip is 203.0.113.9 (card [testing])", "rule small", "sms (again after 5 min), next after 15 min"):
        assert expected in printed
    assert "no text about more than 5000.00 USD" in printed
    assert run(["policy", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["file"] == str(folder / "policy.json")
    assert shown["policy"]["asking"]["escalations"][0]["default_action"] == "decline"


def test_a_day_is_shown_side_by_side(candidate: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both policies have their column, differences are shown, and so is everything that was assumed."""
    assert run([*SIMULATE, "--compare", candidate, "--assume", "sms.answer_share=0.61"]) == 0
    printed = capsys.readouterr()
    for expected in ("built in", "candidate", "change", "released without a YES", "0.61", "genuine_share=0.6", "█"):
        assert expected in printed.out
    assert "not configured here" in printed.err


def test_the_same_seed_prints_the_same(candidate: str, capsys: pytest.CaptureFixture[str]) -> None:
    """To the letter; another seed does not."""
    printed = []
    for seed in ("4", "4", "5"):
        assert run([*SIMULATE, "--policy", candidate, "--seed", seed, "--json"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != printed[2]
    (result,) = json.loads(printed[0])["results"]
    assert result["policy"] == candidate
    assert result["fraud"]["released_without_yes"]["count"] == 0
    assert sum(result["ended"].values()) == result["challenges"]


def test_only_configured_channels_are_used_where_that_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but texts is configured here; by default every channel is tried."""
    assert run([*SIMULATE, "--only-configured", "--json"]) == 0
    only = json.loads(capsys.readouterr().out)
    assert run([*SIMULATE, "--json"]) == 0
    everything = json.loads(capsys.readouterr().out)
    assert (only["channels"], only["results"][0]["messages"]["email"]) == (["sms"], 0)
    assert everything["channels"] == ["email", "push", "sms"]
    assert everything["results"][0]["messages"]["email"] > 0


def test_a_day_of_the_store_is_taken_where_there_is_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By default and when asked for; the store is left as it was."""
    now_ms = SystemClock().now_ms()
    with closing(SqliteStore(folder / "cardwatch.db")) as store:
        store.apply([PutAccount(make_account("user_1")), *stored(1, now_ms, Outcome.CHALLENGE)])
    for options in ([], ["--from-store"]):
        assert run(["policy", "simulate", "--json", *options]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["day"]["payments"], shown["results"][0]["challenges"]) == (1, 1)
    with closing(SqliteStore(folder / "cardwatch.db")) as store:
        record = store.transaction("txn_1")
    assert record is not None
    assert record.challenge is None


def test_without_a_stored_day_one_is_made_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty store is no day; asked for one, the command says so."""
    with closing(SqliteStore(folder / "cardwatch.db")):
        pass
    assert run(["policy", "simulate", "--challenges", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["day"]["source"].startswith("a synthetic day")
    assert run(["policy", "simulate", "--from-store"]) == 1
    assert "nobody was asked about a payment in the last 7 days" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["check", "nowhere.json"], 1, "nowhere.json: No such file or directory"),
        (["simulate", "--policy", "nowhere.json"], 1, "nowhere.json: No such file or directory"),
        (["simulate", "--compare", "broken.json"], 1, "broken.json: not a policy"),
        (["simulate", "--assumptions", "broken.json"], 1, "broken.json: not a JSON object of assumptions"),
        (["simulate", "--from-store"], 1, "there is no data in"),
        (["simulate", "--assume", "sms.answer_share=7"], 2, "--assume: not an assumption"),
        (["simulate", "--from-store", "--challenges", "5"], 2, "--challenges counts the payments"),
        (["simulate", "--challenges", "0"], 2, "--challenges"),
        (["check"], 2, "FILE"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    arguments: list[str],
    code: int,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """1 for what failed, 2 for what cannot be asked for; never a traceback."""
    monkeypatch.chdir(os.environ["CARDWATCH_DATA_DIR"])
    Path("broken.json").write_text("{")
    assert run(["policy", *arguments]) == code
    printed = capsys.readouterr()
    assert expected in " ".join(printed.err.split())
    assert printed.out == ""
    assert printed.err.count("error:") == 1


def test_help_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command explains itself."""
    assert run(["policy", "--help"]) == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in ("check", "show", "simulate"))
    assert run(["policy", "simulate", "--help"]) == 0
    printed = capsys.readouterr().out
    assert all(option in printed for option in ("--compare", "--from-store", "--assume", "--only-configured", "--seed"))


def test_the_documented_policy_is_good_and_every_assumption_is_documented() -> None:
    """What docs/policy.md shows can be copied; what it explains is all there is."""
    text = (Path(__file__).parents[2] / "docs" / "policy.md").read_text("utf-8")
    example = text.partition("```json\n")[2].partition("```")[0]
    assert find_faults(example.encode()) == []
    explained = text.partition("| assumption | meaning |")[2]
    names = {name.partition(".")[2] or name for name, _ in rows(Assumptions()) if not name.startswith("asleep")}
    assert {name for name in names if f"`{name}`" not in explained} == set()
