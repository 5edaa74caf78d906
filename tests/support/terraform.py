"""Terraform run on a copy of the configuration, and its plan read as data.

The provider comes from a folder that holds `registry.terraform.io/`: `CARDWATCH_TERRAFORM_PLUGINS` names it, else
`TF_PLUGIN_CACHE_DIR`, else it is looked for where Terraform itself looks for mirrors, and below /opt. Nothing is
downloaded. Plans are made without any account: the account's id is given, and creating asks AWS nothing.

A plan shows what will be made of what is known before: names, settings and the statements of policies. ARNs of keys
and secrets are unknown until they exist, so a policy's text is too; its statements are read instead.
"""

import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

CONFIGURATION = Path(__file__).parents[2] / "infrastructure" / "terraform"

PLUGINS_VARIABLE = "CARDWATCH_TERRAFORM_PLUGINS"
PROVIDER = Path("registry.terraform.io/hashicorp/aws")

FUNCTIONS = ("transaction", "score", "notify", "webhook", "accounts", "user_response", "sweep")
ACCOUNT_ID = "123456789012"

_MIRRORS = ("~/.terraform.d/plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins")
"""Where Terraform looks by itself (its documentation, "Implied Local Mirror Directories")."""

_OFFLINE = """
provider "aws" {
  access_key                  = "testing"
  secret_key                  = "testing"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}
"""
_TIMEOUT_S = 540


class TerraformMissing(Exception):
    """Terraform or its provider is not here; says what would do."""


class TerraformFailed(Exception):
    """A command failed; carries what it printed."""


def plugin_folder() -> Path:
    """Return the folder that holds the provider; raises TerraformMissing."""
    if shutil.which("terraform") is None:
        raise TerraformMissing("terraform is not installed")
    named = [os.environ[name] for name in (PLUGINS_VARIABLE, "TF_PLUGIN_CACHE_DIR") if os.environ.get(name)]
    places = [Path(place).expanduser() for place in (*named, *_MIRRORS)]
    places += sorted(found.parents[2] for found in Path("/opt").glob(f"*/{PROVIDER}"))
    for place in places:
        if any((place / PROVIDER).glob("5.*")):
            return place
    raise TerraformMissing(
        f"the aws provider is not here: name the folder of registry.terraform.io/ in {PLUGINS_VARIABLE}"
    )


class Terraform:
    """A copy of the configuration in a folder of its own, with stand-ins for the packages."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str] | None = None) -> None:
        """Copy and initialise; without an `environment` that leads to an emulator nothing is ever asked of AWS."""
        plugins = plugin_folder()
        self.folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))},
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            **(environment or {}),
        }
        for path in CONFIGURATION.glob("*.tf"):
            shutil.copy(path, folder / path.name)
        if environment is None:
            (folder / "offline_override.tf").write_text(_OFFLINE, "utf-8")
        for function in FUNCTIONS:
            with zipfile.ZipFile(folder / f"{function}.zip", "w") as package:
                package.writestr(f"{function}.py", "def lambda_handler(event, context):\n    return None\n")
        self.run("init", "-input=false", f"-plugin-dir={plugins}")

    def run(self, *arguments: str) -> str:
        """Run a command and return what it printed; raises TerraformFailed."""
        done = subprocess.run(
            ["terraform", *arguments],  # noqa: S607  found on the path above
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise TerraformFailed(done.stdout + done.stderr)
        return done.stdout

    def plan(self, **variables: object) -> "Plan":
        """Plan with variables, against an empty state or the one that is here; raises TerraformFailed."""
        self.run(
            "plan", "-input=false", "-no-color", f"-var-file={self.write_variables(variables)}", "-out=test.tfplan"
        )
        return Plan(json.loads(self.run("show", "-json", "test.tfplan")))

    def apply(self, **variables: object) -> "State":
        """Make everything and return what then is; raises TerraformFailed."""
        file = self.write_variables(variables)
        self.run("apply", "-input=false", "-no-color", "-auto-approve", "-parallelism=20", f"-var-file={file}")
        return State(json.loads(self.run("show", "-json")))

    def destroy(self, **variables: object) -> None:
        """Destroy everything; raises TerraformFailed."""
        file = self.write_variables(variables)
        self.run("destroy", "-input=false", "-no-color", "-auto-approve", "-parallelism=20", f"-var-file={file}")

    def write_variables(self, variables: Mapping[str, object]) -> str:
        """Write a file of variables beside the copy and return its name."""
        (self.folder / "test.tfvars.json").write_text(json.dumps({"package_dir": ".", **variables}), "utf-8")
        return "test.tfvars.json"


@dataclass(frozen=True)
class Statement:
    """One statement of a policy as far as it is known."""

    policy: str
    """Address of the policy's document."""
    actions: frozenset[str]
    resources: frozenset[str | None]
    """None for those that are unknown until they exist."""
    principals: frozenset[str]


class Plan:
    """What a plan will make; every resource by its address, as `terraform show -json` gives it."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content

    @cached_property
    def created(self) -> Mapping[str, Mapping[str, Any]]:
        """Resources that will be created: address to planned values, without those that are unknown."""
        return {
            change["address"]: change["change"]["after"]
            for change in self.content["resource_changes"]
            if change["mode"] == "managed" and "create" in change["change"]["actions"]
        }

    def of(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the planned resources of a type, by what distinguishes them: `this["score"]` gives "score"."""
        found = {}
        for address, values in self.created.items():
            if address.startswith(f"{kind}."):
                rest = address.removeprefix(f"{kind}.")
                name, bracket, key = rest.partition("[")
                key = key.rstrip("]")
                found[json.loads(key) if bracket and not key.isdigit() else name] = values
        return found

    def unknown(self, address: str) -> Mapping[str, Any]:
        """Return which values of a resource are unknown before it exists."""
        for change in self.content["resource_changes"]:
            if change["address"] == address:
                unknown: Mapping[str, Any] = change["change"]["after_unknown"]
                return unknown
        raise KeyError(address)

    def output(self, name: str) -> Any:
        """Return an output as far as it is known."""
        return self.content["output_changes"][name]["after"]

    def statements(self) -> Iterator[Statement]:
        """Yield every statement of every policy document, whether its text is known yet or not."""
        for address, values in self._documents():
            for statement in values.get("statement") or ():
                yield Statement(
                    policy=address,
                    actions=frozenset(statement.get("actions") or ()),
                    resources=frozenset(statement.get("resources") or ()),
                    principals=frozenset(_flat(statement.get("principals") or ())),
                )

    def _documents(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        kind = "aws_iam_policy_document"
        for change in self.content["resource_changes"]:
            if change["type"] == kind and change["mode"] == "data":
                yield change["address"], change["change"]["after"]
        for resource in (
            self.content.get("prior_state", {}).get("values", {}).get("root_module", {}).get("resources", ())
        ):
            if resource["type"] == kind:
                yield resource["address"], resource["values"]


@cache
def default_plan() -> Plan:
    """Return the plan with every variable at its default, made once for all tests; raises TerraformMissing."""
    with tempfile.TemporaryDirectory(prefix="terraform-") as folder:
        return Terraform(Path(folder)).plan(account_id=ACCOUNT_ID)


class State:
    """What is there after an apply; every resource by its address."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        resources = content["values"]["root_module"]["resources"]
        self.resources: Mapping[str, Mapping[str, Any]] = {
            resource["address"]: resource["values"] for resource in resources if resource["mode"] == "managed"
        }
        self.outputs: Mapping[str, Any] = {
            name: output["value"] for name, output in content["values"]["outputs"].items()
        }


def _flat(principals: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for principal in principals:
        yield from principal.get("identifiers") or ()
