"""From the table of features to source text: a straight-line `read`, `update` and `relabel` for each entity.

The text is compiled once. It holds no float sum of products (whose rounding differs between machines) and no
logarithm, exponential or trigonometry; floats appear in the final divisions and square roots alone.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from cardwatch.features.aggregations import expected_distinct, expression
from cardwatch.features.encode import FIELDS, Encoded
from cardwatch.features.plan import LABELS, Plan, is_bits, is_sum
from cardwatch.features.spec import ENTITIES, Feature
from cardwatch.features.statements import (
    excess_setting,
    indented,
    label_updating,
    labels_reading,
    last_place_updating,
    pending_reading,
    quantiles_updating,
    recent_updating,
    ring_adding,
    ring_expiry,
    ring_reading,
    sums_updating,
)

State = list[int]
Read = Callable[[State, Encoded, list[float]], None]
Update = Callable[[State, Encoded], None]
Relabel = Callable[[State, Encoded, int], None]


@dataclass(frozen=True)
class Program:
    """The generated functions of one entity, with the plan of the state they work on."""

    plan: Plan
    names: tuple[str, ...]
    first: int
    """Position in the vector of the entity's first feature."""
    source: str
    read: Read
    """Writes the entity's values into the vector of a payment; changes no state."""
    update: Update
    """Applies a payment to the state."""
    relabel: Relabel
    """Applies a change of a payment's label: 1 when it is now known as fraud, -1 when no longer."""

    @property
    def labelled(self) -> bool:
        """Whether the entity's features read labels."""
        return LABELS in self.plan.rings


def generate(entity: str, features: Sequence[Feature], *, first: int, label_delay_s: int) -> Program:
    """Generate the program of one entity from its features, which stand in the vector from `first` on."""
    plan = Plan(entity=entity, lag=ENTITIES[entity])
    values = [expression(feature, plan) for feature in features]
    parts = [_read_source(plan, values, first, label_delay_s)]
    if plan.lag is not None:
        parts.append(_fold_source(plan))
    parts += [_update_source(plan), _relabel_source(plan)]
    source = plan.resolve("\n\n".join(parts)) + "\n"
    scope = surroundings()
    exec(compile(source, f"<features of {entity}>", "exec"), scope)  # noqa: S102 - the text is generated above
    return Program(
        plan=plan,
        names=tuple(feature.name for feature in features),
        first=first,
        source=source,
        read=cast("Read", scope["read"]),
        update=cast("Update", scope["update"]),
        relabel=cast("Relabel", scope["relabel"]),
    )


def surroundings() -> dict[str, object]:
    """Return the names that generated text uses besides its own."""
    return {"nan": math.nan, "sqrt": math.sqrt, "DISTINCT": expected_distinct()}


def _function(signature: str, body: list[str]) -> str:
    """Source of a function; of the payment's integers it names those that its body uses."""
    used = set(re.findall(r"\w+", "\n".join(body)))
    fields = [f"{name} = e[{at}]" for at, name in enumerate(FIELDS) if name in used]
    return "\n".join([f"def {signature}:", *indented([*fields, *body] or ["pass"])])


def _opening(plan: Plan) -> list[str]:
    """Lines that set `now`, and `end`, the last second that windows see."""
    if plan.entity == "payment":
        return []
    lines = ["last = s[@last]", "now = time if time > last else last"]
    if plan.lag is None:
        return [*lines, "end = now"]
    return [*lines, f"cut = now // 60 - {plan.lag}", "end = cut * 60 - 1"]


def _read_source(plan: Plan, values: Sequence[str], first: int, label_delay_s: int) -> str:
    """Source of `read(s, e, o)`: writes every value of the entity, in order, and changes no state."""
    body = _opening(plan)
    for ring in plan.windows:
        body += ring_reading(ring)
    if plan.entity != "payment":
        body += [f"all_{name} = s[@{name}]" for name in plan.scalars]
    if plan.lag is not None:
        for slot in range(plan.lag + 1):
            body += pending_reading(plan, slot)
    if LABELS in plan.rings:
        body += labels_reading(plan, label_delay_s)
    body += plan.read_lines
    body += [f"o[{at}] = {value}" for at, value in enumerate(values, first)]
    return _function("read(s, e, o)", body)


def _update_source(plan: Plan) -> str:
    """Source of `update(s, e)`: the payment's effect on the state."""
    if plan.entity == "payment":
        return _function("update(s, e)", [])
    body = [*_opening(plan), "s[@last] = now", "payments = 1", "scale_squares = scale * scale"]
    body += _direct_updating(plan) if plan.lag is None else _lagged_updating(plan)
    body += _labels_counting(plan)
    return _function("update(s, e)", body)


def _labels_counting(plan: Plan) -> list[str]:
    """Lines that count a payment on its day, so that its label finds it there.

    Open minutes do not wait: no label is read before its delay has passed, which is longer than any lag.
    """
    ring = plan.rings.get(LABELS)
    if ring is None:
        return []
    counted = ["payments"] if "payments" in ring.columns else []
    return ["end = now", *ring_expiry(ring), *(ring_adding(ring, counted) if counted else [])]


def _relabel_source(plan: Plan) -> str:
    """Source of `relabel(s, e, change)`: the effect of a changed label."""
    if LABELS not in plan.rings:
        return _function("relabel(s, e, change)", [])
    return _function("relabel(s, e, change)", ["last = s[@last]", *label_updating(plan)])


def _direct_updating(plan: Plan) -> list[str]:
    """Lines for an entity whose features see every payment at once."""
    body = [*excess_setting(plan), *sums_updating(plan)]
    for ring in plan.windows:
        body += [*ring_expiry(ring), *ring_adding(ring)]
    if plan.quantiles:
        body += quantiles_updating(plan)
    for value, capacity in plan.recents.items():
        body += recent_updating(value, capacity)
    if plan.last_place:
        body += last_place_updating()
    return body


def _lagged_updating(plan: Plan) -> list[str]:
    """Lines for an entity whose features see closed minutes alone: open minutes wait in slots, then are folded in."""
    unfit = [name for name in plan.contributions() if not is_sum(name) and not is_bits(name)]
    if plan.quantiles or plan.recents or plan.last_place or "amount_max" in plan.scalars or unfit:
        raise ValueError(f"{plan.entity} lags, and only sums can wait for their minute to close")
    names = plan.contributions()
    lag = plan.lag or 0
    body: list[str] = []
    for ring in plan.windows:
        body += ring_expiry(ring)
    for slot in range(lag + 1):
        waiting = ", ".join(f"s[@{name}_{slot}]" for name in names)
        body += [f"if s[@payments_{slot}] and s[@minute_{slot}] < cut:"]
        body += [f"    fold(s, end, s[@minute_{slot}] * 60, {waiting})"]
        body += [f"    s[@{name}_{slot}] = 0" for name in ("minute", *names)]
    body += ["minute = time // 60", "if minute < cut:", f"    fold(s, end, minute * 60, {', '.join(names)})"]
    for slot in range(lag + 1):
        body += [f"elif minute % {lag + 1} == {slot}:", f"    s[@minute_{slot}] = minute"]
        body += [f"    s[@{name}_{slot}] {'|=' if is_bits(name) else '+='} {name}" for name in names]
    return body


def _fold_source(plan: Plan) -> str:
    """Source of `fold`: the effect of one closed minute's contributions."""
    body = sums_updating(plan)
    for ring in plan.windows:
        body += [f"low = end // {ring.tile_s} - {ring.capacity}", f"length = s[@ring_{ring.name}]", *ring_adding(ring)]
    return "\n".join([f"def fold(s, end, time, {', '.join(plan.contributions())}):", *indented(body)])
