"""What one entity must remember: the named integers, rings and lists that its features ask for, and their places.

Source text refers to an integer as `s[@name]`; `Plan.resolve` puts its position there once all features have asked.
State is one flat list: scalars (stored), totals (recomputed when loaded), then regions of fixed capacity.
"""

import re
from dataclasses import dataclass, field

from cardwatch.features.encode import OCTAVE_STEPS, SCALE_SIZE
from cardwatch.features.spec import LABEL_TILE_S, LABEL_WINDOW_S

LABELS = "labels"
"""Name of the ring that counts, by the day of the payment, confirmed frauds ("frauds"), those of them whose amount was
not high ("low_frauds"), and all payments ("payments")."""

_BITS = ("account_bit", "merchant_bit")
_LARGEST = ("excess",)

BUCKETS_PER_OCTAVE = 8
STEPS_PER_BUCKET = OCTAVE_STEPS // BUCKETS_PER_OCTAVE
BUCKETS = SCALE_SIZE // STEPS_PER_BUCKET


@dataclass
class Ring:
    """A sliding window of tiles, oldest first; only tiles that hold a payment take an entry.

    The window is the tile of now and the `window_s // tile_s` tiles before it, so it always covers `window_s`
    and at most one tile more. Tiles are counted from 1970-01-01T00:00:00Z.
    """

    name: str
    """The ring's name in generated source."""
    window_s: int
    tile_s: int
    columns: list[str] = field(default_factory=list)
    """What each tile keeps of its payments' contributions: their sum, for some their largest or all their bits."""
    walked: list[tuple[str, int]] = field(default_factory=list)
    """Column and length in seconds of each shorter window that is read by walking over the tiles."""

    @property
    def capacity(self) -> int:
        """How many tiles the window covers."""
        return self.window_s // self.tile_s + 1

    @property
    def totalled(self) -> list[str]:
        """The columns whose sum over the window is kept beside the tiles."""
        walked = {column for column, _ in self.walked}
        return [] if self.name == LABELS else [c for c in self.columns if is_sum(c) and c not in walked]


def is_sum(column: str) -> bool:
    """Whether tiles add up a contribution; of others they keep the largest or all bits."""
    return column not in _BITS + _LARGEST


def is_bits(column: str) -> bool:
    """Whether tiles join the bits of a contribution."""
    return column in _BITS


@dataclass
class Plan:
    """The state of one entity; `lag` is the grace in minutes after which a closed minute counts, None without lag."""

    entity: str
    lag: int | None = None
    scalars: list[str] = field(default_factory=list)
    rings: dict[str, Ring] = field(default_factory=dict)
    """Sliding windows by name, that of labels among them."""
    label_windows: list[int] = field(default_factory=list)
    """Lengths in seconds of the windows over which confirmed payments are counted."""
    recents: dict[str, int] = field(default_factory=dict)
    """Lists of the most recently used hashes: field of the payment -> capacity."""
    quantiles: list[int] = field(default_factory=list)
    """Running quantiles of the amount, in thousandths."""
    last_place: bool = False
    run: bool = False
    """Whether the run of confirmed frauds is asked for."""
    read_lines: list[str] = field(default_factory=list)
    """What the features compute before they are returned, each line once."""

    def scalar(self, name: str) -> str:
        """Keep a named integer; returns how source refers to it."""
        if name not in self.scalars:
            self.scalars.append(name)
        return f"s[@{name}]"

    def ring(self, window_s: int, tile_s: int, column: str) -> str:
        """Keep a sliding window of a contribution; returns the local name of its value."""
        name = f"{window_s}_{tile_s}"
        ring = self.rings.setdefault(name, Ring(name, window_s, tile_s))
        if column not in ring.columns:
            ring.columns.append(column)
        return f"{column}_{ring.name}"

    def walk(self, window_s: int, tile_s: int, column: str) -> str:
        """Keep a contribution for several windows in the ring of the longest; returns the local name of its value."""
        ring = self.rings.setdefault(f"walked_{tile_s}", Ring(f"walked_{tile_s}", window_s, tile_s))
        ring.window_s = max(window_s, ring.window_s)
        if column not in ring.columns:
            ring.columns.append(column)
        if (column, window_s) not in ring.walked:
            ring.walked.append((column, window_s))
        return f"{column}_{window_s}_{tile_s}"

    def labels(self, column: str, window_s: int = 0) -> None:
        """Keep a column of labels by day, and count it over a window that ends where labels are known."""
        ring = self.rings.setdefault(LABELS, Ring(LABELS, LABEL_WINDOW_S, LABEL_TILE_S))
        if column not in ring.columns:
            ring.columns.append(column)
        if column == "low_frauds":
            self.scalar("own")
            self.scalar("amount")
        if window_s and window_s not in self.label_windows:
            self.label_windows.append(window_s)

    @property
    def windows(self) -> list[Ring]:
        """The sliding windows of payments, without that of labels."""
        return [ring for ring in self.rings.values() if ring.name != LABELS]

    def recent(self, value: str, capacity: int) -> None:
        """Keep a list of the most recently used hashes of a field."""
        self.recents[value] = max(capacity, self.recents.get(value, 0))

    def quantile(self, permille: int) -> str:
        """Keep a running quantile; returns the local name of its value, which is set where `amounts` is not 0."""
        if permille not in self.quantiles:
            self.quantiles.append(permille)
            at = f"bucket_{permille}"
            self.line(f"{at} = s[@{at}]")
            self.line(f"quantile_{permille} = ((17 + 2 * ({at} & 7)) << ({at} >> 3)) / 16.0")
        return f"quantile_{permille}"

    def line(self, text: str) -> None:
        """Add a line to the read function unless it stands there already."""
        if text not in self.read_lines:
            self.read_lines.append(text)

    def stored_scalars(self) -> list[str]:
        """Return the names of all integers that are stored as they are, in order."""
        names = ["last", *self.scalars]
        names += [f"ring_{ring.name}" for ring in self.rings.values()]
        names += [f"recent_{value}" for value in self.recents]
        if self.quantiles:
            names += ["lowest", "highest"]
            names += [name for q in self.quantiles for name in (f"bucket_{q}", f"below_{q}")]
        if self.last_place:
            names += ["place_time", "place_x", "place_y", "place_z"]
        if self.lag is not None:
            names += [f"{name}_{slot}" for slot in (0, 1) for name in ("minute", *self.contributions())]
        return names

    def contributions(self) -> list[str]:
        """Return the names of what one payment adds to this entity: to its rings, and to its lifetime sums."""
        names = [name for name in self.scalars if name not in ("first", "amount_max")]
        columns = [column for ring in self.windows for column in ring.columns]
        return list(dict.fromkeys([*names, *columns]))

    def totals(self) -> list[str]:
        """Return the names of the rings' running totals."""
        return [f"{column}_{ring.name}" for ring in self.rings.values() for column in ring.totalled]

    def regions(self) -> list[tuple[str, int]]:
        """Return name and capacity of each region after the scalars and totals, in order."""
        found: list[tuple[str, int]] = []
        for ring in self.rings.values():
            found.append((f"tiles_{ring.name}", ring.capacity))
            found += [(f"tiles_{column}_{ring.name}", ring.capacity) for column in ring.columns]
        if self.quantiles:
            found.append(("buckets", BUCKETS))
        found += [(f"list_{value}", capacity) for value, capacity in self.recents.items()]
        return found

    def positions(self) -> dict[str, int]:
        """Return the position of every named integer and of the start of every region."""
        names = [*self.stored_scalars(), *(f"total_{name}" for name in self.totals())]
        found = {name: at for at, name in enumerate(names)}
        at = len(names)
        for name, capacity in self.regions():
            found[name] = at
            at += capacity
        return found

    def size(self) -> int:
        """Return how many integers the state has."""
        fixed = len(self.stored_scalars()) + len(self.totals())
        return fixed + sum(capacity for _, capacity in self.regions())

    def resolve(self, source: str) -> str:
        """Put positions in place of `@name`."""
        positions = self.positions()
        return re.sub(r"@(\w+)", lambda match: str(positions[match.group(1)]), source)
