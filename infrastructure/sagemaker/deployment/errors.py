"""What stops a deployment."""

from cardwatch.domain.errors import CardwatchError


class DeployError(CardwatchError):
    """A deployment cannot go on; the message says in one line why, and what stands now."""


class SettingsMissing(DeployError):
    """Values that have to be given are not; `lines` says of each how to get it."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("; ".join(lines))


class StillChanging(DeployError):
    """The endpoint was still being changed when the time was up."""
