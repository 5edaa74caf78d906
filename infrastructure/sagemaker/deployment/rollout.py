"""Making or updating an endpoint, and the way back: what failed leaves what was there before, or nothing.

An update goes by a new endpoint config beside the former one: SageMaker serves from the old instances until the new
ones are healthy. Only what this run made is removed on the way back.
"""

from infrastructure.sagemaker.deployment.account import Account, Endpoint
from infrastructure.sagemaker.deployment.errors import DeployError, StillChanging
from infrastructure.sagemaker.deployment.planning import Plan
from infrastructure.sagemaker.deployment.smoke import smoke_test
from infrastructure.sagemaker.deployment.waiting import Patience, settled

_FAILED = ("Failed", "OutOfService")
"""Of an endpoint in such a state nothing can be done but remove it."""


def roll_out(plan: Plan, account: Account, patience: Patience) -> None:
    """Bring the endpoint to the plan; raises DeployError that says what stands, once the way back was gone."""
    _Rollout(plan, account, patience).run()


class _Rollout:
    """One run, and what it has made so far."""

    def __init__(self, plan: Plan, account: Account, patience: Patience) -> None:
        self._plan, self._account, self._patience = plan, account, patience
        self._name = plan.shape.endpoint
        self._models: list[str] = []
        self._configs: list[str] = []

    def run(self) -> None:
        """Make what is missing, change the endpoint, prove it, or go back."""
        before = self._standing()
        try:
            self._prepare()
            unchanged = before is not None and before.config_name == self._plan.config_name
            if not unchanged:
                self._begin(before)
        except DeployError:
            self._remove_made()
            raise
        if unchanged:
            self._patience.say(f"{self._name} has this config already")
            self._prove()
            return
        try:
            self._await_new()
            self._prove()
        except DeployError as error:
            self._patience.say(f"failed: {error}")
            raise DeployError(f"{error}; {self._go_back(before, error)}") from None

    def _settled(self) -> Endpoint | None:
        return settled(self._account, self._name, self._patience)

    def _standing(self) -> Endpoint | None:
        """Return the endpoint that is to be updated; one that failed before is removed, if it was made here."""
        found = self._settled()
        if found is None or found.status not in _FAILED:
            return found
        if self._account.made_for(found.arn) != self._name:
            how = f"`aws sagemaker delete-endpoint --endpoint-name {self._name}`"
            raise DeployError(f"{self._name} is {found.status} and was not made by this script: remove it with {how}")
        self._patience.say(f"{self._name} is {found.status} from an earlier attempt: removing it")
        self._account.delete_endpoint(self._name)
        return self._settled()

    def _prepare(self) -> None:
        """Upload the archives and make models and config where they are not there yet."""
        plan, say = self._plan, self._patience.say
        for variant in plan.all_variants:
            uploaded = self._account.upload(plan.target.bucket, variant.archive.key, variant.archive.body)
            say(f"{'uploaded' if uploaded else 'already there:'} {plan.url(variant.archive)}")
            if self._account.ensure_model(plan.model(variant)):
                self._models.append(variant.model_name)
                say(f"made model {variant.model_name}")
        if self._account.ensure_config(plan.config_name, plan.config, plan.tags):
            self._configs.append(plan.config_name)
            say(f"made endpoint config {plan.config_name}")

    def _begin(self, before: Endpoint | None) -> None:
        if before is None:
            self._account.create_endpoint(self._name, self._plan.config_name, self._plan.tags)
        else:
            self._account.update_endpoint(self._name, self._plan.config_name)

    def _await_new(self) -> None:
        found = self._settled()
        if found is None:
            raise DeployError(f"{self._name} is gone: somebody removed it meanwhile")
        if found.status != "InService" or found.config_name != self._plan.config_name:
            why = f": {found.reason}" if found.reason else ""
            log = f"/aws/sagemaker/Endpoints/{self._name}"
            raise DeployError(f"{self._name} did not take the new config{why} (its log group: {log})")

    def _prove(self) -> None:
        for line in smoke_test(self._plan, self._account):
            self._patience.say(line)
        if self._plan.shadow is not None:
            self._patience.say("the shadow gets copies of requests and answers nobody: it cannot be tested from here")

    def _go_back(self, before: Endpoint | None, error: DeployError) -> str:
        """Restore what was there before; returns what stands now, in words."""
        if before is not None and isinstance(error, StillChanging):
            # SageMaker refuses another change until this one has ended.
            return f"until it ends {before.config_name} serves: run this again to go on"
        try:
            if before is None:
                self._uncreate()
            else:
                self._restore(before)
            self._remove_made()
        except DeployError as second:
            return f"going back failed too: {second}"
        if before is None:
            return "everything that was made is removed again"
        return f"{self._name} serves with {before.config_name} again"

    def _uncreate(self) -> None:
        if self._account.endpoint(self._name) is not None:
            self._account.delete_endpoint(self._name)
            self._settled()

    def _restore(self, before: Endpoint) -> None:
        """Bring the former config back, unless SageMaker kept it by itself."""
        now = self._account.endpoint(self._name)
        if now is not None and now.status == "InService" and now.config_name == before.config_name:
            return
        self._patience.say(f"going back to {before.config_name}")
        if now is not None and now.status not in _FAILED:
            self._account.update_endpoint(self._name, before.config_name)
        else:
            self._uncreate()
            self._account.create_endpoint(self._name, before.config_name, self._plan.tags)
        after = self._settled()
        if after is None or after.status != "InService" or after.config_name != before.config_name:
            raise DeployError(f"{self._name} is {after.status if after else 'gone'}")

    def _remove_made(self) -> None:
        """Remove config and models of this run; what cannot be removed is told, and stops nothing."""
        removals = [(self._account.delete_config, one) for one in self._configs]
        removals += [(self._account.delete_model, one) for one in self._models]
        for remove, name in removals:
            try:
                remove(name)
            except DeployError as error:
                self._patience.say(f"left behind: {error}")
