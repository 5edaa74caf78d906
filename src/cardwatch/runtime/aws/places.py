"""Free text to places in the serverless home; loaded with the first text, since that takes a quarter of a second."""

from functools import cached_property

from cardwatch.adapters.gazetteer import OfflineGazetteer
from cardwatch.domain.place import Place
from cardwatch.ports import Gazetteer
from cardwatch.runtime.aws.home import Home


def gazetteer_of(_: Home) -> Gazetteer:
    """Return the offline gazetteer, not loaded yet."""
    return _LazyGazetteer()


class _LazyGazetteer:
    @cached_property
    def _loaded(self) -> OfflineGazetteer:
        return OfflineGazetteer()

    def resolve(self, text: str, *, country: str | None = None) -> Place | None:
        return self._loaded.resolve(text, country=country)
