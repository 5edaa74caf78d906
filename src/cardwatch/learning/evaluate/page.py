"""The report as one HTML file: no script, nothing from the network, and every text from outside escaped."""

import html
import re
from collections.abc import Sequence
from importlib.resources import files

from cardwatch.domain.times import format_instant
from cardwatch.learning.evaluate import charts
from cardwatch.learning.evaluate.charts import chosen_rows
from cardwatch.learning.evaluate.markup import Cell, figure, table, tiles
from cardwatch.learning.evaluate.measure import Evaluation
from cardwatch.models.bundle import Facts

_PLACE = re.compile(r"\{([a-z_]+)\}")
_FEATURES_MAX = 30


def render(found: Evaluation, facts: Facts) -> str:
    """Return the page about a measured model; `facts` are its bundle's."""
    package = files(__package__)
    parts = {
        "title": html.escape(f"{found.model_version}: evaluation"),
        "style": package.joinpath("report.css").read_text("utf-8"),
        "version": html.escape(found.model_version),
        "lead": html.escape(_lead(found)),
        "honesty": html.escape(_honesty(found, facts)),
        "summary": tiles(_summary(found)),
        "ranking": _ranking(found),
        "cost_words": html.escape(_cost_words(found)),
        "thresholds": _thresholds(found),
        "threshold_table": _threshold_table(found),
        "calibration": _calibration(found),
        "segments": _segments(found),
        "importance": _importance(found),
        "about": _about(found, facts),
    }
    return _PLACE.sub(lambda place: parts[place[1]], package.joinpath("report.html").read_text("utf-8"))


def _lead(found: Evaluation) -> str:
    data, used = found.data, found.in_use
    return (
        f"On {data.payments:,} payments from {_day(data.from_ms)} to {_day(data.until_ms)}, {data.frauds:,} of them "
        f"fraud, it finds {used.recall:.1%} of the frauds by asking about {used.challenges_per_1000:.2f} of 1,000 "
        f"payments; {used.precision:.1%} of those it asks about are fraud."
    )


def _honesty(found: Evaluation, facts: Facts) -> str:
    window, data = facts.window, found.data
    seen = ""
    if window is None:
        seen = "The model was imported: whether its training saw these payments is not known. "
    elif data.from_ms < window.until_ms and data.until_ms >= window.from_ms:
        seen = (
            f"Caution: the model was trained on {_day(window.from_ms)} to {_day(window.until_ms - 1)}, which overlaps "
            "with these payments; where they are the same ones, the numbers flatter it. "
        )
    made_up = (
        "The payments, or those it was trained on, come from a simulator: the numbers say how well it learnt the "
        "simulator, not how well it finds real fraud. "
        if "simulat" in f"{data.source} {facts.source}".lower()
        else ""
    )
    return (
        f"{seen}{made_up}These are results on one file ({data.source}), of one time. A payment without a label counts "
        "as genuine, so fraud that nobody reported looks like a false alarm. What holders would have answered is not "
        "in the data, fraud changes as it is found, and segments with few frauds say little."
    )


def _cost_words(found: Evaluation) -> str:
    return (
        f"A missed fraud costs its amount, a genuine holder who is asked {_amount(found.costs.wrong_challenge_minor)}, "
        f"a text {_amount(found.costs.text_minor)}. The cheapest threshold is chosen in hindsight, on these payments; "
        "it shows what was left on the table, not what to set."
    )


def _summary(found: Evaluation) -> list[tuple[str, str, str]]:
    used, area, precision = found.in_use, found.roc_auc, found.average_precision
    return [
        ("Average precision", f"{precision.value:.4f}", f"95%: {precision.low:.4f} to {precision.high:.4f}"),
        ("Area under the ROC curve", f"{area.value:.4f}", f"95%: {area.low:.4f} to {area.high:.4f}"),
        ("Card precision, 100 a day", f"{found.card_precision_100:.3f}", "misused among the 100 cards scored highest"),
        ("Frauds found", f"{used.recall:.1%}", f"at the threshold {used.threshold:.4g}"),
        ("Precision of asking", f"{used.precision:.1%}", f"{used.challenges_per_1000:.2f} of 1,000 are asked about"),
        ("Genuine asked about", f"{used.false_alarm_rate:.3%}", "of the genuine payments"),
        ("Cost per 1,000 payments", _amount(used.cost_minor * 1000), f"cheapest: {_cheapest(found)}"),
        ("Calibration error", f"{found.calibration_error:.5f}", f"log-loss {found.log_loss:.5f}"),
    ]


def _cheapest(found: Evaluation) -> str:
    return f"{_amount(found.cheapest.cost_minor * 1000)} at {found.cheapest.threshold:.4g}"


def _ranking(found: Evaluation) -> str:
    rows = [
        [f"{one.threshold:.4g}", f"{one.recall:.1%}", f"{one.precision:.1%}", f"{one.false_alarm_rate:.4%}"]
        for one in found.curve[:: max(1, len(found.curve) // 25)]
    ]
    head = ["Threshold", "Frauds found", "Precision", "Genuine asked about"]
    return figure(
        "Precision and recall",
        "How pure the questions are against how much fraud they find; dashed: asking at random.",
        charts.precision_recall(found),
        table(head, rows, caption="Points of both curves"),
    ) + figure(
        "ROC curve",
        "Frauds found against genuine payments asked about; dashed: asking at random.",
        charts.roc(found),
        table(head, rows, caption="Points of both curves"),
    )


def _thresholds(found: Evaluation) -> str:
    numbers = _threshold_rows(found)
    return figure(
        "Finding and asking",
        "",
        charts.threshold_effects(found),
        numbers,
        key=(("one", "frauds found"), ("two", "precision")),
    ) + figure("Expected cost", "Ring: the cheapest threshold in hindsight.", charts.threshold_cost(found), numbers)


def _threshold_table(found: Evaluation) -> str:
    return f'<div class="table">{_threshold_rows(found)}</div>'


def _threshold_rows(found: Evaluation) -> str:
    rows = [
        [
            words,
            f"{one.threshold:.4g}",
            f"{one.recall:.1%}",
            f"{one.precision:.1%}",
            f"{one.challenges_per_1000:.2f}",
            f"{one.false_alarm_rate:.3%}",
            _amount(one.cost_minor * 1000),
        ]
        for words, one in chosen_rows(found)
    ]
    head = ["", "Threshold", "Frauds found", "Precision", "Asked per 1,000", "Genuine asked about", "Cost per 1,000"]
    return table(head, rows, caption="Thresholds, strictest first", chosen="in use")


def _calibration(found: Evaluation) -> str:
    bins = [[f"{one.predicted:.5f}", f"{one.observed:.5f}", f"{one.payments:,}"] for one in found.reliability]
    spread = [[f"{one.low:.5f}", f"{one.high:.5f}", f"{one.genuine:,}", f"{one.frauds:,}"] for one in found.histogram]
    return figure(
        "Predicted and observed",
        "On the dashed line scores are probabilities. Larger dots hold more payments; rings hold no fraud; lines are "
        "95% intervals.",
        charts.calibration(found),
        table(["Predicted", "Observed", "Payments"], bins, caption="Payments by score"),
    ) + figure(
        "Scores",
        "",
        charts.score_distribution(found),
        table(["Score from", "to", "Genuine", "Fraud"], spread, caption="Payments by score"),
        key=(("soft", "genuine payments"), ("fill", "frauds")),
    )


def _segments(found: Evaluation) -> str:
    rows: list[list[Cell]] = []
    group = ""
    for one in found.segments:
        if one.group != group:
            group = one.group
            rows.append([group])
        rows.append(
            [
                one.name,
                f"{one.payments:,}",
                f"{one.frauds:,}",
                f"{one.expected_frauds:,.1f}",
                _or_dash(one.average_precision, ".3f"),
                _or_dash(one.roc_auc, ".4f"),
                _or_dash(one.recall, ".1%"),
                f"{one.challenges_per_1000:.2f}",
            ]
        )
    head = ["", "Payments", "Frauds", "Expected", "AP", "AUC", "Found", "Asked per 1,000"]
    caption = "Expected: the sum of the scores. AP: average precision, which also falls where fraud is rarer."
    return f'<div class="table">{table(head, rows, caption=caption)}</div>'


def _importance(found: Evaluation) -> str:
    shown = found.importances[:_FEATURES_MAX]
    highest = max((one.contribution for one in shown), default=0.0) or 1.0
    rows: list[list[Cell]] = [
        [one.name, f"{one.contribution:.3f}", f"{one.gain:.1%}", one.contribution / highest] for one in shown
    ]
    more = f" {len(found.importances) - len(shown)} more move less." if len(found.importances) > len(shown) else ""
    caption = "Moves: mean change of a payment's log-odds, without the sign. Gain: share of the gain of all splits."
    head = ["Feature", "Moves", "Gain", ""]
    return f'<div class="table">{table(head, rows, caption=caption + more)}</div>'


def _about(found: Evaluation, facts: Facts) -> str:
    data, window = found.data, facts.window
    about_data = [
        ["Source", data.source],
        ["Payments", f"{data.payments:,}"],
        ["Frauds", f"{data.frauds:,} ({data.frauds / data.payments:.3%})"],
        ["Accounts", f"{data.accounts:,}"],
        ["First payment", _minute(data.from_ms)],
        ["Last payment", _minute(data.until_ms)],
        ["Rows that could not be used", f"{data.rejected:,}"],
    ]
    about_model = [
        ["Version", facts.model_version],
        ["Trained on", facts.source],
        ["Training window", f"{_day(window.from_ms)} to {_day(window.until_ms - 1)}" if window else "not known"],
        ["Training payments", f"{window.payments:,}, of them {window.frauds:,} fraud" if window else "not known"],
        ["Trees", f"{facts.trees}"],
        ["Features", f"{len(facts.feature_names)} (definition {facts.spec_hash})"],
        ["Threshold", f"{facts.threshold:.4g}, chosen by {facts.threshold_chosen_by}"],
        ["Libraries", ", ".join(f"{name} {number}" for name, number in facts.libraries.items())],
    ]
    return "".join(
        f'<div class="table">{table(["", ""], rows, caption=caption, words=True)}</div>'
        for rows, caption in ((about_data, "The data"), (about_model, "The model"))
    )


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _amount(hundredths: float) -> str:
    """Return mean or summed minor units as people write amounts, in hundredths of the accounts' currency."""
    return f"{hundredths / 100:,.2f}"


def _minute(at_ms: int) -> str:
    return format_instant(at_ms)[:16].replace("T", " ") + " UTC"


def _day(at_ms: int) -> str:
    return format_instant(at_ms)[:10]


def describe(found: Evaluation) -> Sequence[tuple[str, str, str]]:
    """Return the summary as (what, value, words), for the command line."""
    return _summary(found)
