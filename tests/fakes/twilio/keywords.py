"""Twilio's opt-out handling: single words that stop texts to a number, allow them again, or ask for help."""

from dataclasses import dataclass, field

STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
HELP_WORDS = frozenset({"HELP", "INFO"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})
"""YES among them on long codes, as Twilio's older help pages say; a service can take it out."""


@dataclass
class OptOuts:
    """Who stopped our texts, by which words."""

    numbers: set[str] = field(default_factory=set)
    stop_words: set[str] = field(default_factory=lambda: set(STOP_WORDS))
    start_words: set[str] = field(default_factory=lambda: set(START_WORDS))
    advanced: bool = False
    """Advanced Opt-Out: posts say which kind of word Twilio took a text for."""
    answered: list[tuple[str, str]] = field(default_factory=list)
    """Numbers that Twilio answered by itself, with the kind of word."""

    def take(self, number: str, body: str) -> str | None:
        """Take a text in; returns the kind of word it is (STOP, START, HELP), None for any other."""
        word = body.strip().upper()
        if word in self.stop_words:
            kind = "STOP"
            self.numbers.add(number)
        elif word in self.start_words:
            kind = "START"
            if number not in self.numbers:
                return kind if self.advanced and word != "YES" else None
            self.numbers.discard(number)
        elif word in HELP_WORDS:
            kind = "HELP"
        else:
            return None
        self.answered.append((number, kind))
        return kind
