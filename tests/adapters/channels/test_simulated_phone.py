"""The simulated phone: takes every text, shows what arrived, and replies by Twilio's signed form."""

from cardwatch.adapters.channels.simulated_phone import SIGNATURE_HEADER, SimulatedPhone
from cardwatch.adapters.channels.twilio.signature import parse_form, verify
from cardwatch.adapters.channels.twilio.webhook import inbound_text
from cardwatch.adapters.clock import SeededRandomness
from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.changes import AddMessage
from cardwatch.domain.message import MessageState
from cardwatch.domain.provider_post import InboundText
from cardwatch.ports import Sent
from tests.builders import OWN_NUMBER, PHONE, make_message, make_reply

URL = "http://127.0.0.1:8000/webhook/twilio"


def phone_over(store: MemoryStore) -> SimulatedPhone:
    """Return the phone over a store."""
    return SimulatedPhone(store=store, own_address=OWN_NUMBER, randomness=SeededRandomness(7))


def test_every_text_is_taken_at_once_and_the_same_one_gets_the_same_sid() -> None:
    """A sid like Twilio's; a text sent again after a crash is the same text."""
    phone = phone_over(MemoryStore())
    first = phone.send(make_message())
    assert first.provider_sid.startswith("SM")
    assert len(first.provider_sid) == 34
    assert phone.send(make_message()) == first
    assert phone.send(make_message("chl_2:question")) != first


def test_a_text_is_found_in_the_conversation_once_it_was_recorded() -> None:
    """Claimed but not recorded is not found; recorded is."""
    store = MemoryStore()
    phone = phone_over(store)
    store.apply([AddMessage(make_message(state=MessageState.SENDING))])
    assert phone.find(make_message()) is None
    store.apply([AddMessage(make_message("m2", state=MessageState.ACCEPTED, provider_sid="SM1"))])
    assert phone.find(make_message("m2")) == Sent("SM1")


def test_the_phone_shows_what_arrived_and_what_was_typed() -> None:
    """A text that still lies in the outbox is not on the phone."""
    store = MemoryStore()
    store.apply(
        [
            AddMessage(make_message("m1", state=MessageState.ACCEPTED)),
            AddMessage(make_message("m2", state=MessageState.QUEUED)),
            AddMessage(make_reply("SM9")),
        ]
    )
    assert {m.message_id for m in phone_over(store).shown(PHONE)} == {"m1", "SM9"}


def test_a_typed_reply_is_a_signed_form_like_twilios() -> None:
    """It passes the same check and the same reading as a real one; each has a sid of its own."""
    phone = phone_over(MemoryStore())
    typed = phone.typed(url=URL, phone=PHONE, body="Sí & no")
    fields = parse_form(typed.body)
    assert fields is not None
    assert {name for name, _ in fields} == {
        "MessageSid",
        "AccountSid",
        "From",
        "To",
        "Body",
        "NumMedia",
        "NumSegments",
    }
    assert verify(
        public_url="http://127.0.0.1:8000",
        raw_path_and_query="/webhook/twilio",
        body_params=fields,
        signature=typed.headers[SIGNATURE_HEADER],
        tokens=[phone.auth_token],
    )
    assert inbound_text(fields) == InboundText(
        message_id=typed.message_sid, phone=PHONE, own_number=OWN_NUMBER, body="Sí & no"
    )
    assert phone.typed(url=URL, phone=PHONE, body="Sí & no").message_sid != typed.message_sid
