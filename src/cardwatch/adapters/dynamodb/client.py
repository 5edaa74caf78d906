"""Making the low-level clients: what is waited for, and how often it is tried again."""

import logging
from typing import Any, Final

import msgspec

CONNECT_TIMEOUT_S: Final = 1.0
READ_TIMEOUT_S: Final = 3.0
"""DynamoDB answers in milliseconds; what takes seconds is a lost connection, which is better tried anew."""

TOTAL_ATTEMPTS: Final = 4
"""With botocore's backoff (up to 1, 2 and 4 s by full jitter) this ends well within a Lambda's time."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where DynamoDB is: a region, and an emulator's URL (None: AWS itself)."""

    region: str | None = None
    url: str | None = None


class Clients(msgspec.Struct, frozen=True):
    """The low-level clients of the tables and of their streams; both may be shared by threads."""

    tables: Any
    streams: Any


def open_clients(endpoint: Endpoint, *, pool: int = 10) -> Clients:
    """Make the clients, with credentials from where boto3 finds them; `pool` connections are kept."""
    import boto3.session  # noqa: PLC0415 - heavy; only a process whose store is DynamoDB pays for it
    from botocore.config import Config  # noqa: PLC0415

    for name in ("boto3", "botocore", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.WARNING)  # at DEBUG they log what is stored
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": TOTAL_ATTEMPTS, "mode": "standard"},
        max_pool_connections=pool,
        tcp_keepalive=True,
        # Requests are built by this package alone, and DynamoDB checks them itself.
        parameter_validation=False,
    )
    session = boto3.session.Session(region_name=endpoint.region)
    return Clients(
        session.client("dynamodb", endpoint_url=endpoint.url, config=config),
        session.client("dynamodbstreams", endpoint_url=endpoint.url, config=config),
    )
