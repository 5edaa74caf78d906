"""Removing an endpoint with the configs and models that were made for it; archives stay in the bucket."""

from dataclasses import dataclass

from infrastructure.sagemaker.deployment.account import Account
from infrastructure.sagemaker.deployment.errors import DeployError
from infrastructure.sagemaker.deployment.planning import named
from infrastructure.sagemaker.deployment.waiting import Patience, settled


@dataclass(frozen=True)
class Removal:
    """What carries our tag, by name."""

    endpoint: str | None
    configs: tuple[str, ...]
    models: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return what would be removed, a line each."""
        said = [f"endpoint   {self.endpoint}"] if self.endpoint else []
        return [*said, *(f"config     {one}" for one in self.configs), *(f"model      {one}" for one in self.models)]


def find_removal(account: Account, endpoint: str) -> Removal:
    """Find what was made for an endpoint; raises DeployError when the endpoint itself was not made here."""
    found = account.endpoint(endpoint)
    if found is not None and account.made_for(found.arn) != endpoint:
        raise DeployError(f"{endpoint} was not made by this script (it lacks its tag): it is left alone")
    prefix = named(endpoint, "").rpartition("-")[0] + "-"
    configs = tuple(one.name for one in account.configs(prefix) if account.made_for(one.arn) == endpoint)
    models = tuple(one.name for one in account.models(prefix) if account.made_for(one.arn) == endpoint)
    return Removal(endpoint if found else None, configs, models)


def remove(removal: Removal, account: Account, patience: Patience) -> None:
    """Remove it, the endpoint first: configs and models that serve must not go before it."""
    if removal.endpoint:
        standing = settled(account, removal.endpoint, patience)
        if standing is not None:
            account.delete_endpoint(removal.endpoint)
            settled(account, removal.endpoint, patience)
    for config in removal.configs:
        account.delete_config(config)
        patience.say(f"removed endpoint config {config}")
    for model in removal.models:
        account.delete_model(model)
        patience.say(f"removed model {model}")
