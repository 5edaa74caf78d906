"""A provider whose answers are scripted: it takes everything unless told otherwise."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message
from cardwatch.ports import NotSent, OnUnknown, Sent, UnknownSent

Answer = Sent | NotSent | UnknownSent


@dataclass
class ScriptedChannel:
    """Answers sends in the scripted order, then takes everything; keeps what it took, by our message id."""

    answers: list[Answer] = field(default_factory=list)
    took: dict[str, list[str]] = field(default_factory=dict)
    """Sids of what was taken; more than one is a text sent twice."""
    can_look_up: bool = True
    name: str = "sms"
    own_address: str = "+12025550199"
    on_unknown: OnUnknown = OnUnknown.LOOK_UP
    on_send: Callable[[Message], None] | None = None

    @classmethod
    def answering(cls, *answers: Answer) -> "ScriptedChannel":
        """Return a provider that gives these answers first."""
        return cls(answers=list(answers))

    def take(self, message: Message) -> Sent:
        """Keep a text as taken."""
        sids = self.took.setdefault(message.message_id, [])
        sids.append(f"SM{message.message_id}:{len(sids)}")
        return Sent(sids[-1])

    def send(self, message: Message) -> Answer:
        """Give the next scripted answer, else take the text."""
        if self.on_send is not None:
            self.on_send(message)
        if self.answers and not isinstance(self.answers[0], Sent):
            return self.answers.pop(0)
        taken = self.take(message)
        return self.answers.pop(0) if self.answers else taken

    def find(self, message: Message) -> Sent | None:
        """Look a text up among those taken."""
        if not self.can_look_up:
            raise OperatingError("the provider cannot say now")
        sids = self.took.get(message.message_id)
        return Sent(sids[0]) if sids else None
