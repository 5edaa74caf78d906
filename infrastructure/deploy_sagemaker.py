"""Puts a model behind a SageMaker endpoint: `python deploy_sagemaker.py`; again changes nothing.

Packs the bundle, uploads it to S3_BUCKET_NAME, makes or updates model, endpoint config and endpoint, waits, compares
scores with this machine's, and goes back to what was there when anything fails. `--dry-run` shows the plan, `--delete`
removes what was made. Reads AWS_REGION, SAGEMAKER_ROLE_ARN, S3_BUCKET_NAME, SAGEMAKER_ENDPOINT_NAME and
CARDWATCH_SAGEMAKER_IMAGE. Works from a checkout too, where the package is not installed: `src` then goes on the path.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
if find_spec("cardwatch") is None:
    sys.path.insert(0, str(ROOT / "src"))

from infrastructure.sagemaker.deployment.errors import DeployError, SettingsMissing
from infrastructure.sagemaker.deployment.planning import (
    ENDPOINT_NAME,
    INSTANCE_TYPE,
    Plan,
    Shape,
    Target,
    make_plan,
    read_target,
    region_of,
)
from rich.console import Console

from cardwatch.domain.errors import CardwatchError

if TYPE_CHECKING:
    from infrastructure.sagemaker.deployment.account import Account
    from infrastructure.sagemaker.deployment.waiting import Patience

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130

output = Console(soft_wrap=True, highlight=False)


def main(arguments: list[str] | None = None) -> int:
    """Deploy or delete, with progress; returns the exit code. No traceback for an error made on purpose."""
    chosen = parser().parse_args(arguments)
    try:
        if chosen.delete:
            delete(chosen)
        else:
            deploy(chosen)
    except SettingsMissing as error:
        for line in error.lines:
            say(line)
        return WRONG_USAGE
    except (CardwatchError, OSError) as error:
        say(f"deploy_sagemaker: {error}")
        return FAILED
    except KeyboardInterrupt:
        say("stopped; a change that was begun goes on in SageMaker: run this again to go on, or with --delete")
        return INTERRUPTED
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line's."""
    made = argparse.ArgumentParser(description="Put a model behind a SageMaker endpoint.")
    add = made.add_argument
    name = os.environ.get("SAGEMAKER_ENDPOINT_NAME") or ENDPOINT_NAME
    add("--bundle", help="name, folder or pickle of the model (default: yours if one is found, else the shipped one)")
    add("--image", help="URI of our image (default: CARDWATCH_SAGEMAKER_IMAGE)")
    add("--endpoint-name", default=name, help="name of the endpoint (default: %(default)s)")
    add("--instance-type", default=INSTANCE_TYPE, help="what each variant runs on (default: %(default)s)")
    add("--instances", type=int, default=1, help="how many of them; two or more survive the loss of one (default: 1)")
    add("--challenger", metavar="BUNDLE", help="a second model that answers a share of the requests")
    add("--challenger-weight", type=float, default=0.1, help="that share, between 0 and 1 (default: %(default)s)")
    add("--shadow", metavar="BUNDLE", help="a second model that gets copies of requests and answers nobody")
    add("--capture-percent", type=int, default=0, help="share of requests kept in the bucket (default: none)")
    add("--wait-minutes", type=float, default=30.0, help="how long to wait for each change (default: 30)")
    add("--poll-seconds", type=float, default=10.0, help="how often to look (default: 10)")
    add("--dry-run", action="store_true", help="show what would be done and ask nothing of AWS but what is there")
    add("--delete", action="store_true", help="remove the endpoint, and the configs and models made for it")
    return made


def deploy(chosen: argparse.Namespace) -> None:
    """Bring the endpoint to what was asked for; raises CardwatchError."""
    target = read_target(os.environ, image=chosen.image)
    with TemporaryDirectory(prefix="cardwatch-") as work:
        plan = _plan(chosen, target, Path(work))
        for line in plan.lines():
            say(line)
        if chosen.dry_run:
            say("nothing was done")
            return
        from infrastructure.sagemaker.deployment.rollout import roll_out  # noqa: PLC0415  boto3 is not in every install

        account = _account(target.region)
        with patience_of(chosen) as patience:
            roll_out(plan, account, patience)
    say(f"done: {plan.shape.endpoint} serves; functions use it with SAGEMAKER_ENDPOINT_NAME={plan.shape.endpoint}")


def delete(chosen: argparse.Namespace) -> None:
    """Remove what was made for the endpoint; raises CardwatchError."""
    region = region_of(os.environ)
    account = _account(region)
    from infrastructure.sagemaker.deployment.removal import find_removal, remove  # noqa: PLC0415  needs boto3

    removal = find_removal(account, chosen.endpoint_name)
    lines = removal.lines()
    for line in lines or [f"there is nothing to remove for {chosen.endpoint_name} in {region}"]:
        say(line)
    if chosen.dry_run or not lines:
        say("nothing was done")
        return
    with patience_of(chosen) as patience:
        remove(removal, account, patience)
    say("removed; the archives stay in the bucket, below cardwatch/models")


def say(line: str) -> None:
    """Print a line."""
    output.print(line, markup=False)


@contextmanager
def patience_of(chosen: argparse.Namespace) -> Iterator["Patience"]:
    """Give what waits, with a spinner where a terminal shows it."""
    from infrastructure.sagemaker.deployment.waiting import Patience  # noqa: PLC0415  needs boto3

    with output.status("asking AWS") as spinner:
        yield Patience(
            limit_s=chosen.wait_minutes * 60,
            poll_s=chosen.poll_seconds,
            say=say,
            show=spinner.update,
        )


def _shape(chosen: argparse.Namespace) -> Shape:
    return Shape(
        endpoint=chosen.endpoint_name,
        instance_type=chosen.instance_type,
        instances=chosen.instances,
        challenger_weight=chosen.challenger_weight,
        capture_percent=chosen.capture_percent,
    )


def _plan(chosen: argparse.Namespace, target: Target, work: Path) -> Plan:
    from infrastructure.sagemaker.deployment.archives import find_bundle, pack  # noqa: PLC0415  loads the model library

    champion = pack(find_bundle(chosen.bundle, script=Path(__file__).resolve(), say=say), work=work, say=say)
    challenger, shadow = (
        pack(name, work=work, say=say) if name else None for name in (chosen.challenger, chosen.shadow)
    )
    return make_plan(target, _shape(chosen), champion, challenger=challenger, shadow=shadow)


def _account(region: str) -> "Account":
    """Connect; raises DeployError where boto3 is not installed."""
    if find_spec("boto3") is None:
        raise DeployError("boto3 is not installed: pip install -r requirements-aws.txt")
    from infrastructure.sagemaker.deployment.account import Account  # noqa: PLC0415  see above

    url = os.environ.get("CARDWATCH_AWS_ENDPOINT_URL") or None
    # An emulator of the control plane scores nothing: AWS's own variable names who does.
    return Account(region, url=url, runtime_url=os.environ.get("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME") or url)


if __name__ == "__main__":
    sys.exit(main())
