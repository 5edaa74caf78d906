"""What Lambda puts into Score's failure destination: which part of the stream it gave up on, and why.

The message has no records in it, only their place; they are read from the stream, which keeps them for 24 hours.
Format: AWS, "Using AWS Lambda with Amazon DynamoDB", on-failure destinations.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from cardwatch.domain.errors import OperatingError
from cardwatch.entrypoints.aws.streams import stream_records
from cardwatch.runtime.settings import Settings

PAGE: Final = 100
PAGES_MAX: Final = 100


class FailedBatch(msgspec.Struct, frozen=True):
    """A stretch of a shard that was given up."""

    message_id: str
    """Of the queue's message."""
    cause: str
    """Lambda's word: "RetryAttemptsExhausted", "RecordAgeExceeded"."""
    stream_arn: str
    shard_id: str
    first: str
    last: str
    """Sequence numbers, both among those given up."""

    def transaction_ids(self, settings: Settings) -> Iterator[str]:
        """Yield the payments whose records are in it, read from the stream; raises OperatingError."""
        for record in stream_records({"Records": list(_read(self, settings))}):
            if record.new_and_pending and record.transaction_id is not None:
                yield record.transaction_id


def failed_batches(event: Mapping[str, Any]) -> Iterator[FailedBatch]:
    """Yield what the messages of an SQS event are about; others than Lambda's own are passed over."""
    for message in event.get("Records") or ():
        try:
            body = json.loads(message["body"])
            info = body["DDBStreamBatchInfo"]
            yield FailedBatch(
                message_id=str(message["messageId"]),
                cause=str(body.get("requestContext", {}).get("condition") or "given up"),
                stream_arn=str(info["streamArn"]),
                shard_id=str(info["shardId"]),
                first=str(info["startSequenceNumber"]),
                last=str(info["endSequenceNumber"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            continue


def _read(batch: FailedBatch, settings: Settings) -> Iterator[Mapping[str, Any]]:
    import boto3.session  # noqa: PLC0415  heavy; only what reads pays for it
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    # What Lambda wrote is asked for as it stands; an emulator's names are shorter than AWS's.
    config = Config(connect_timeout=2, read_timeout=5, parameter_validation=False)
    session = boto3.session.Session(region_name=settings.aws_region)
    client = session.client("dynamodbstreams", endpoint_url=settings.aws_endpoint_url, config=config)
    try:
        iterator = client.get_shard_iterator(
            StreamArn=batch.stream_arn,
            ShardId=batch.shard_id,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=batch.first,
        )["ShardIterator"]
        for _ in range(PAGES_MAX):
            page = client.get_records(ShardIterator=iterator, Limit=PAGE)
            for record in page["Records"]:
                yield record
                if record["dynamodb"]["SequenceNumber"] == batch.last:
                    return
            iterator = page.get("NextShardIterator")
            if iterator is None:
                return
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        if code == "TrimmedDataAccessException":
            return  # older than a day: the sweep's look at pending payments is left
        raise OperatingError(f"the stream cannot be read ({code})") from None
    except BotoCoreError as error:
        raise OperatingError(f"the stream cannot be read ({type(error).__name__})") from None
