"""From the table of features to source text: one straight-line `read` and one `update` for each entity.

The text is compiled once. It holds no float sum of products (whose rounding differs between machines) and no
logarithm, exponential or trigonometry; floats appear in the final divisions and square roots alone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from cardwatch.features.aggregations import expected_distinct, expression
from cardwatch.features.encode import FIELDS, Encoded
from cardwatch.features.plan import Plan
from cardwatch.features.spec import ENTITIES, Feature
from cardwatch.features.statements import (
    indented,
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
Read = Callable[[State, Encoded], tuple[float, ...]]
Update = Callable[[State, Encoded], None]


@dataclass(frozen=True)
class Program:
    """The generated functions of one entity, with the plan of the state they work on."""

    plan: Plan
    names: tuple[str, ...]
    source: str
    read: Read
    update: Update


def generate(entity: str, features: Sequence[Feature]) -> Program:
    """Generate the program of one entity from its features, whose values `read` returns in their order."""
    plan = Plan(entity=entity, lag=ENTITIES[entity])
    values = [expression(feature, plan) for feature in features]
    parts = [_read_source(plan, values)]
    if plan.lag is not None:
        parts.append(_fold_source(plan))
    parts.append(_update_source(plan))
    source = plan.resolve("\n\n".join(parts)) + "\n"
    scope: dict[str, object] = {"nan": math.nan, "sqrt": math.sqrt, "DISTINCT": expected_distinct()}
    exec(compile(source, f"<features of {entity}>", "exec"), scope)  # noqa: S102 - the text is generated above
    return Program(
        plan=plan,
        names=tuple(feature.name for feature in features),
        source=source,
        read=cast("Read", scope["read"]),
        update=cast("Update", scope["update"]),
    )


def _opening(plan: Plan) -> list[str]:
    """Lines that name the payment's integers and set `now`, and `end`, the last second that windows see."""
    lines = [f"{', '.join(FIELDS)} = e"]
    if plan.entity == "payment":
        return lines
    lines += ["last = s[@last]", "now = time if time > last else last"]
    if plan.lag is None:
        return [*lines, "end = now"]
    return [*lines, f"cut = now // 60 - {plan.lag}", "end = cut * 60 - 1"]


def _read_source(plan: Plan, values: Sequence[str]) -> str:
    """Source of `read(s, e)`: pure, every value of the entity in order."""
    body = _opening(plan)
    for ring in plan.rings.values():
        body += ring_reading(ring)
    if plan.entity != "payment":
        body += [f"all_{name} = s[@{name}]" for name in plan.scalars]
    if plan.lag is not None:
        for slot in range(plan.lag + 1):
            body += pending_reading(plan, slot)
    body += plan.read_lines
    body += ["return (", *(f"    {value}," for value in values), ")"]
    return "\n".join(["def read(s, e):", *indented(body)])


def _update_source(plan: Plan) -> str:
    """Source of `update(s, e)`: the payment's effect on the state."""
    if plan.entity == "payment":
        return "def update(s, e):\n    pass"
    body = [*_opening(plan), "s[@last] = now", "payments = 1", "scale_squares = scale * scale"]
    body += _direct_updating(plan) if plan.lag is None else _lagged_updating(plan)
    return "\n".join(["def update(s, e):", *indented(body)])


def _direct_updating(plan: Plan) -> list[str]:
    """Lines for an entity whose features see every payment at once."""
    body = sums_updating(plan)
    for ring in plan.rings.values():
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
    if plan.quantiles or plan.recents or plan.last_place or "amount_max" in plan.scalars:
        raise ValueError(f"{plan.entity} lags, and only sums can wait for their minute to close")
    names = plan.contributions()
    lag = plan.lag or 0
    body: list[str] = []
    for ring in plan.rings.values():
        body += ring_expiry(ring)
    for slot in range(lag + 1):
        waiting = ", ".join(f"s[@{name}_{slot}]" for name in names)
        body += [f"if s[@payments_{slot}] and s[@minute_{slot}] < cut:"]
        body += [f"    fold(s, end, s[@minute_{slot}] * 60, {waiting})"]
        body += [f"    s[@{name}_{slot}] = 0" for name in ("minute", *names)]
    body += ["minute = time // 60", "if minute < cut:", f"    fold(s, end, minute * 60, {', '.join(names)})"]
    for slot in range(lag + 1):
        body += [f"elif minute % {lag + 1} == {slot}:", f"    s[@minute_{slot}] = minute"]
        body += [f"    s[@{name}_{slot}] {'|=' if name == 'account_bit' else '+='} {name}" for name in names]
    return body


def _fold_source(plan: Plan) -> str:
    """Source of `fold`: the effect of one closed minute's contributions."""
    body = sums_updating(plan)
    for ring in plan.rings.values():
        body += [f"low = end // {ring.tile_s} - {ring.capacity}", f"length = s[@ring_{ring.name}]", *ring_adding(ring)]
    return "\n".join([f"def fold(s, end, time, {', '.join(plan.contributions())}):", *indented(body)])
