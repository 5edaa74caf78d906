"""Logs as JSON lines, in every home. They never carry a name, a number, an address or a text of a person."""

import logging
import sys
from typing import TextIO

import structlog

_FRAMES_MAX = 8


def configure_logging(level: str, stream: TextIO | None = None) -> None:
    """Write JSON lines, one event each, to standard error (or another stream); what libraries log goes the same way."""
    target = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _only_the_kind_of_error,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    # Libraries are heard from warnings on: below that they may repeat what people sent.
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


def _only_the_kind_of_error(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Keep the type and place of an exception; its message may quote what a person sent."""
    error = event.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["trace"] = _places(error)[-_FRAMES_MAX:]
    return event


def _places(error: BaseException) -> list[str]:
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('cardwatch/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places
