"""The few calls that a deployment makes of S3 and SageMaker, by boto3; every error becomes one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from infrastructure.sagemaker.deployment.errors import DeployError
from infrastructure.sagemaker.deployment.planning import TAG

CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
"""Statuses that pass by themselves."""

_CONTROL = Config(retries={"mode": "standard", "max_attempts": 5})
_RUNTIME = Config(retries={"mode": "standard", "max_attempts": 3}, read_timeout=70)  # the container may take 60 s


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as it stands."""

    status: str
    config_name: str
    reason: str
    """Why the last change failed, empty if it did not."""
    arn: str

    @property
    def changing(self) -> bool:
        """Whether it will be something else by itself."""
        return self.status in CHANGING


@dataclass(frozen=True)
class Named:
    """A model or an endpoint config that is there."""

    name: str
    arn: str


class Account:
    """An AWS account in a region."""

    def __init__(self, region: str, *, url: str | None = None, runtime_url: str | None = None) -> None:
        """Make the clients; the URLs stand for AWS's own, for emulators. Raises DeployError."""
        with _one_line("AWS"):
            session = boto3.session.Session(region_name=region)
            self._s3 = session.client("s3", endpoint_url=url, config=_CONTROL)
            self._sagemaker = session.client("sagemaker", endpoint_url=url, config=_CONTROL)
            self._runtime = session.client("sagemaker-runtime", endpoint_url=runtime_url, config=_RUNTIME)
        self.region = region

    def upload(self, bucket: str, key: str, body: bytes) -> bool:
        """Put an object where none is yet; returns whether it was put."""
        if not self._there("bucket", self._s3.head_bucket, Bucket=bucket):
            raise DeployError(
                f"there is no bucket {bucket}: make it with `aws s3 mb s3://{bucket} --region {self.region}`"
            )
        if self._there("object", self._s3.head_object, Bucket=bucket, Key=key):
            return False
        with _one_line(f"uploading to bucket {bucket}"):
            self._s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/gzip")
        return True

    def endpoint(self, name: str) -> Endpoint | None:
        """Return an endpoint, None if there is none."""
        found = self._found("the endpoint", self._sagemaker.describe_endpoint, EndpointName=name)
        if found is None:
            return None
        reason = " ".join(str(found.get("FailureReason", "")).split())
        return Endpoint(found["EndpointStatus"], found["EndpointConfigName"], reason, found["EndpointArn"])

    def ensure_model(self, request: dict[str, Any]) -> bool:
        """Make a model where none of its name is; returns whether it was made."""
        name = request["ModelName"]
        if self._found("the model", self._sagemaker.describe_model, ModelName=name) is not None:
            return False
        with _one_line(f"making model {name}"):
            self._sagemaker.create_model(**request)
        return True

    def ensure_config(self, name: str, config: dict[str, Any], tags: list[dict[str, str]]) -> bool:
        """Make an endpoint config where none of its name is; returns whether it was made."""
        if self._found("the config", self._sagemaker.describe_endpoint_config, EndpointConfigName=name) is not None:
            return False
        with _one_line(f"making endpoint config {name}"):
            self._sagemaker.create_endpoint_config(EndpointConfigName=name, Tags=tags, **config)
        return True

    def create_endpoint(self, name: str, config: str, tags: list[dict[str, str]]) -> None:
        """Begin to make an endpoint."""
        with _one_line(f"making endpoint {name}"):
            self._sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tags)

    def update_endpoint(self, name: str, config: str) -> None:
        """Begin to give an endpoint another config; it serves all the while."""
        with _one_line(f"updating endpoint {name}"):
            self._sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)

    def delete_endpoint(self, name: str) -> None:
        """Begin to remove an endpoint."""
        with _one_line(f"removing endpoint {name}"):
            self._sagemaker.delete_endpoint(EndpointName=name)

    def delete_config(self, name: str) -> None:
        """Remove an endpoint config."""
        with _one_line(f"removing endpoint config {name}"):
            self._sagemaker.delete_endpoint_config(EndpointConfigName=name)

    def delete_model(self, name: str) -> None:
        """Remove a model; its archive stays in the bucket."""
        with _one_line(f"removing model {name}"):
            self._sagemaker.delete_model(ModelName=name)

    def configs(self, prefix: str) -> list[Named]:
        """Return the endpoint configs whose names begin so."""
        return self._listed("list_endpoint_configs", "EndpointConfig", prefix)

    def models(self, prefix: str) -> list[Named]:
        """Return the models whose names begin so."""
        return self._listed("list_models", "Model", prefix)

    def made_for(self, arn: str) -> str | None:
        """Return the endpoint that something was made for here, None if it was not made here."""
        with _one_line("reading tags"):
            pages = self._sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
            tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
        found: str | None = tags.get(TAG)
        return found

    def invoke(self, endpoint: str, *, variant: str, body: bytes) -> bytes:
        """Ask a variant for scores; returns its answer."""
        with _one_line(f"asking {endpoint} ({variant})"):
            answer = self._runtime.invoke_endpoint(
                EndpointName=endpoint,
                TargetVariant=variant,
                ContentType="application/json",
                Accept="application/json",
                Body=body,
            )
            said: bytes = answer["Body"].read()
        return said

    def _listed(self, operation: str, kind: str, prefix: str) -> list[Named]:
        with _one_line(f"listing {kind}s"):
            pages = self._sagemaker.get_paginator(operation).paginate(NameContains=prefix)
            found = [Named(one[f"{kind}Name"], one[f"{kind}Arn"]) for page in pages for one in page[f"{kind}s"]]
        return [one for one in found if one.name.startswith(prefix)]

    @staticmethod
    def _found(what: str, describe: Any, **asked: str) -> dict[str, Any] | None:
        with _one_line(f"looking for {what}"):
            try:
                found: dict[str, Any] = describe(**asked)
            except ClientError as error:
                # SageMaker has no error of its own for what is not there.
                if "Could not find" in error.response["Error"].get("Message", ""):
                    return None
                raise
        return found

    @staticmethod
    def _there(what: str, head: Any, **asked: str) -> bool:
        with _one_line(f"looking for the {what}"):
            try:
                head(**asked)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return False
                raise
        return True


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError):
        raise DeployError("there are no AWS credentials: run `aws configure`, or set AWS_PROFILE") from None
    except ClientError as error:
        said = error.response.get("Error", {})
        message = " ".join(str(said.get("Message", "")).split())
        raise DeployError(f"{what}: {said.get('Code', 'refused')}: {message}") from None
    except (BotoCoreError, ValueError) as error:
        raise DeployError(f"{what}: {' '.join(str(error).split())}") from None
