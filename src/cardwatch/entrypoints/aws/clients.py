"""Secrets Manager and Lambda as far as the functions call them. boto3 is loaded with the first call."""

from functools import cached_property
from typing import Any

from cardwatch.domain.errors import OperatingError

TIMEOUT_S = 2.0
TOTAL_ATTEMPTS = 3


class AwsClients:
    """Clients of one process, each made at its first use."""

    def __init__(self, *, region: str | None, endpoint_url: str | None) -> None:
        """`endpoint_url` replaces AWS's own endpoints, for emulators."""
        self._region = region
        self._endpoint_url = endpoint_url

    def read_secret(self, arn: str) -> str:
        """Return a secret's text; raises OperatingError with AWS's code, never with more."""
        answer = self._call(self._secrets.get_secret_value, "the secret cannot be read", SecretId=arn)
        text: str = answer.get("SecretString") or ""
        return text

    def invoke(self, function: str, payload: bytes) -> None:
        """Hand an event to a function without waiting for it; raises OperatingError where it was not taken."""
        self._call(
            self._lambda.invoke,
            "the function was not invoked",
            FunctionName=function,
            InvocationType="Event",
            Payload=payload,
        )

    @cached_property
    def _secrets(self) -> Any:
        return self._client("secretsmanager")

    @cached_property
    def _lambda(self) -> Any:
        return self._client("lambda")

    def _client(self, service: str) -> Any:
        import boto3.session  # noqa: PLC0415  heavy; only what calls pays for it
        from botocore.config import Config  # noqa: PLC0415

        config = Config(
            connect_timeout=TIMEOUT_S,
            read_timeout=TIMEOUT_S,
            retries={"total_max_attempts": TOTAL_ATTEMPTS, "mode": "standard"},
        )
        session = boto3.session.Session(region_name=self._region)
        return session.client(service, endpoint_url=self._endpoint_url, config=config)

    @staticmethod
    def _call(verb: Any, failed: str, **parameters: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            return verb(**parameters)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            raise OperatingError(f"{failed} ({code})") from None
        except BotoCoreError as error:
            raise OperatingError(f"{failed} ({type(error).__name__})") from None
