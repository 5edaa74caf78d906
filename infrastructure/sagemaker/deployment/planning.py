"""What a deployment consists of, decided before anything is asked of AWS.

Names hold a hash of what they name, so that the same deployment again finds everything there, and a changed one makes
new things beside the old ones, which stay for the way back.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infrastructure.sagemaker.deployment.archives import Archive
from infrastructure.sagemaker.deployment.errors import DeployError, SettingsMissing

ENDPOINT_NAME = "fraud-detection-endpoint"
"""The setup guide's."""

INSTANCE_TYPE = "ml.c5.large"
"""Two processors of x86-64; one scores thousands of payments a second."""

TAG = "cardwatch:endpoint"
"""What marks everything made here, with the endpoint's name as value; nothing without it is ever removed."""

CAPTURE_PREFIX = "cardwatch/captured"

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

_HOW = {
    "AWS_REGION": "export AWS_REGION=us-east-2, the region of bucket and endpoint",
    "SAGEMAKER_ROLE_ARN": "export SAGEMAKER_ROLE_ARN=arn:aws:iam::ACCOUNT:role/NAME, a role that SageMaker may take "
    "(`aws iam get-role --role-name NAME --query Role.Arn`; what it needs: infrastructure/sagemaker/README.md)",
    "S3_BUCKET_NAME": "export S3_BUCKET_NAME=NAME, a bucket in that region (`aws s3 mb s3://NAME` makes one)",
    "CARDWATCH_SAGEMAKER_IMAGE": "give --image URI or export CARDWATCH_SAGEMAKER_IMAGE=URI, our image in your registry "
    "(how to build and push it: infrastructure/sagemaker/README.md)",
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a deployment goes."""

    region: str
    role: str
    bucket: str
    image: str


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the endpoint shall be like."""

    endpoint: str
    instance_type: str = INSTANCE_TYPE
    instances: int = 1
    challenger_weight: float = 0.1
    """Share of requests that the challenger answers, above 0 and below 1."""
    capture_percent: int = 0
    """Share of requests that are kept in the bucket with their answers, 0 to 100."""


@dataclass(frozen=True)
class Variant:
    """A model of the endpoint."""

    name: str
    archive: Archive
    model_name: str
    weight: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A deployment: everything that will be there when it is done."""

    target: Target
    shape: Shape
    variants: tuple[Variant, ...]
    shadow: Variant | None
    config_name: str
    config: dict[str, Any]
    """The request that makes the endpoint config."""

    @property
    def all_variants(self) -> tuple[Variant, ...]:
        """Those that answer, and the shadow."""
        return (*self.variants, *((self.shadow,) if self.shadow else ()))

    @property
    def tags(self) -> list[dict[str, str]]:
        """What everything is marked with."""
        return [{"Key": TAG, "Value": self.shape.endpoint}]

    def url(self, archive: Archive) -> str:
        """Where an archive lies."""
        return f"s3://{self.target.bucket}/{archive.key}"

    def model(self, variant: Variant) -> dict[str, Any]:
        """Return the request that makes a model; it runs without network."""
        container = {"Image": self.target.image, "ModelDataUrl": self.url(variant.archive)}
        return {
            "ModelName": variant.model_name,
            "PrimaryContainer": container,
            "ExecutionRoleArn": self.target.role,
            "EnableNetworkIsolation": True,
            "Tags": self.tags,
        }

    def lines(self) -> list[str]:
        """Return the plan in words, a line each."""
        shape, target = self.shape, self.target
        said = [f"endpoint   {shape.endpoint} in {target.region}", f"config     {self.config_name}"]
        for variant in self.all_variants:
            share = "shadow" if variant is self.shadow else f"{variant.weight:.0%} of requests"
            said += [
                f"variant    {variant.name}: {share}, {shape.instances} x {shape.instance_type}",
                f"  model    {variant.model_name} ({variant.archive.facts.model_version})",
                f"  archive  {self.url(variant.archive)} ({len(variant.archive.body):,} bytes)",
            ]
        said += [f"image      {target.image}", f"role       {target.role}"]
        if shape.capture_percent:
            said.append(f"capture    {shape.capture_percent} % to s3://{target.bucket}/{CAPTURE_PREFIX}")
        return said


def region_of(environment: Mapping[str, str]) -> str:
    """Return the region; raises SettingsMissing."""
    region = environment.get("AWS_REGION", "")
    if not region:
        raise SettingsMissing([f"AWS_REGION is not set: {_HOW['AWS_REGION']}"])
    return region


def read_target(environment: Mapping[str, str], *, image: str | None) -> Target:
    """Read where the deployment goes; raises SettingsMissing with a line for each value that is missing or wrong."""
    given = {name: environment.get(name, "") for name in _HOW}
    given["CARDWATCH_SAGEMAKER_IMAGE"] = image or given["CARDWATCH_SAGEMAKER_IMAGE"]
    shapes = {"SAGEMAKER_ROLE_ARN": _ROLE, "S3_BUCKET_NAME": _BUCKET}
    lines = []
    for name, value in given.items():
        if not value:
            lines.append(f"{name} is not set: {_HOW[name]}")
        elif name in shapes and not shapes[name].fullmatch(value):
            lines.append(f"{name} is {value}, which cannot be: {_HOW[name]}")
    if lines:
        raise SettingsMissing(lines)
    return Target(
        region=given["AWS_REGION"],
        role=given["SAGEMAKER_ROLE_ARN"],
        bucket=given["S3_BUCKET_NAME"],
        image=given["CARDWATCH_SAGEMAKER_IMAGE"],
    )


def make_plan(
    target: Target, shape: Shape, champion: Archive, *, challenger: Archive | None = None, shadow: Archive | None = None
) -> Plan:
    """Plan a deployment; raises DeployError when it cannot be."""
    _check(shape)
    if challenger is not None and shadow is not None:
        # SageMaker takes a shadow beside exactly one variant.
        raise DeployError("an endpoint has a challenger or a shadow, not both: SageMaker shadows a single variant only")

    def variant(name: str, archive: Archive, weight: float) -> Variant:
        url = f"s3://{target.bucket}/{archive.key}"
        return Variant(name, archive, named(shape.endpoint, [target.image, target.role, url]), weight)

    if challenger is None:
        variants = [variant("champion", champion, 1.0)]
    else:
        share = shape.challenger_weight
        variants = [variant("champion", champion, 1 - share), variant("challenger", challenger, share)]
    shadowed = variant("shadow", shadow, 1.0) if shadow is not None else None
    config = _config(target, shape, variants, shadowed)
    return Plan(
        target=target,
        shape=shape,
        variants=tuple(variants),
        shadow=shadowed,
        config_name=named(shape.endpoint, config),
        config=config,
    )


def named(endpoint: str, content: object) -> str:
    """Return a name of at most 63 characters that begins with the endpoint's and ends with a hash of a content."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    return f"{endpoint[:50].rstrip('-')}-{digest}"


def _check(shape: Shape) -> None:
    if not _NAME.fullmatch(shape.endpoint):
        raise DeployError("an endpoint's name has at most 63 letters, digits and hyphens between them")
    if shape.instances < 1:
        raise DeployError("--instances must be at least 1")
    if not 0 < shape.challenger_weight < 1:
        raise DeployError("--challenger-weight must be above 0 and below 1")
    if not 0 <= shape.capture_percent <= 100:
        raise DeployError("--capture-percent must be between 0 and 100")


def _config(target: Target, shape: Shape, variants: list[Variant], shadow: Variant | None) -> dict[str, Any]:
    def entry(variant: Variant) -> dict[str, Any]:
        return {
            "VariantName": variant.name,
            "ModelName": variant.model_name,
            "InstanceType": shape.instance_type,
            "InitialInstanceCount": shape.instances,
            "InitialVariantWeight": round(variant.weight, 6),
        }

    config: dict[str, Any] = {"ProductionVariants": [entry(variant) for variant in variants]}
    if shadow is not None:
        config["ShadowProductionVariants"] = [entry(shadow)]
    if shape.capture_percent:
        config["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": shape.capture_percent,
            "DestinationS3Uri": f"s3://{target.bucket}/{CAPTURE_PREFIX}",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"], "CsvContentTypes": ["text/csv"]},
        }
    return config
