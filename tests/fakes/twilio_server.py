"""The fake Twilio's public names: state, faults, magic numbers, signed posts, and how to serve it."""

from tests.fakes.twilio.account import FakeTwilio
from tests.fakes.twilio.callbacks import CallbackPlan
from tests.fakes.twilio.numbers import ACCOUNT_SID, AUTH_TOKEN, OWN_NUMBERS, error_body, number_failing_with
from tests.fakes.twilio.server import ServedTwilio, running_twilio
from tests.fakes.twilio.texts import Fault, Text
from tests.fakes.twilio.webhooks import NO_ANSWER, NO_CONNECTION, Post, post_signed, signature

__all__ = [
    "ACCOUNT_SID",
    "AUTH_TOKEN",
    "NO_ANSWER",
    "NO_CONNECTION",
    "OWN_NUMBERS",
    "CallbackPlan",
    "FakeTwilio",
    "Fault",
    "Post",
    "ServedTwilio",
    "Text",
    "error_body",
    "number_failing_with",
    "post_signed",
    "running_twilio",
    "signature",
]
