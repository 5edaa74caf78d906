"""The model card: what a model is, what it was measured on, and what it does not know, in words for people."""

from cardwatch.domain.money import Money
from cardwatch.domain.times import DAY_MS, format_instant
from cardwatch.learning.imported_card import imported_card
from cardwatch.models.bundle import Calibration, Facts, Interval

_CARD = """# Model {version}

A LightGBM classifier of {trees} trees that gives the probability that a card payment is fraud, from {features}
features of the payment, its account's history and its merchant's history.

## What it knows

{source}

Payments from {begin} to {end}: {payments:,}, of them {frauds:,} fraud ({prevalence:.2%}).
The trees grew on all of them. Everything below was measured on those from {slice_begin} on, with a model of
as many trees and the same settings that grew on the earlier ones alone: what ships has seen more, and cannot be
measured here.

## What was measured

| | value | 95 % interval |
|---|---|---|
| average precision | {precision} |
| area under the ROC curve | {area} |
| calibration error (expected) | {calibration:.5f} | |
| log-loss | {log_loss:.5f} | |

{slice_payments:,} payments, of them {slice_frauds:,} fraud. The intervals come from resampling payments.

{calibration_words}

## The threshold

{threshold:.4f}, chosen by {chosen_by}.
A missed fraud costs its amount, a genuine holder who is asked {wrong_challenge}, a text {text}.
There it finds {recall:.1%} of the frauds; {share:.1%} of the payments it asks about are fraud, and {challenged:.3%} of
genuine payments are asked about.

| predicted | observed | payments |
|---|---|---|
{reliability}

## What it does not know

{limits}
"""

_SIMULATED = """Only payments that a simulator made up. The measurements say how well the model learnt the simulator,
not how well it finds real fraud: real fraud is of more kinds, changes as it is found, and real holders are stranger.
Use it to see the system work, and train on your own labelled payments before you trust it with any."""

_IMPORTED = """Anything but the payments above. Fraud changes as it is found; train again, and watch calibration and
the share of payments that are asked about."""


def model_card(facts: Facts) -> str:
    """Write a model's card, in Markdown."""
    measured, window, costs = facts.metrics, facts.window, facts.costs
    if measured is None or window is None or costs is None:
        return imported_card(facts)
    rows = [f"| {one.predicted:.5f} | {one.observed:.5f} | {one.payments:,} |" for one in measured.reliability]
    return _CARD.format(
        version=facts.model_version,
        trees=facts.trees,
        features=len(facts.feature_names),
        source=facts.source,
        begin=_day(window.from_ms),
        end=_day(window.until_ms - 1),
        slice_begin=format_instant(window.slice_from_ms),
        payments=window.payments,
        frauds=window.frauds,
        prevalence=window.frauds / window.payments,
        precision=_interval(measured.average_precision),
        area=_interval(measured.roc_auc),
        calibration=measured.calibration_error,
        log_loss=measured.log_loss,
        calibration_words=_calibrated(facts.calibration),
        slice_payments=measured.payments,
        slice_frauds=measured.frauds,
        threshold=facts.threshold,
        chosen_by=facts.threshold_chosen_by,
        wrong_challenge=Money(costs.wrong_challenge_minor, "USD").display,
        text=Money(costs.text_minor, "USD").display,
        recall=measured.recall_at_threshold,
        share=measured.precision_at_threshold,
        challenged=measured.challenged_share,
        reliability="\n".join(rows),
        limits=_SIMULATED if "simulat" in facts.source.lower() else _IMPORTED,
    )


def _calibrated(found: Calibration | None) -> str:
    if found is None or (found.slope, found.intercept) == (1.0, 0.0):
        return "Scores are probabilities as the trees gave them: no line through their log-odds would have been better."
    return (
        f"Scores were calibrated on the second part of the window: {found.slope:.4f} times the trees' log-odds "
        f"{found.intercept:+.4f}, folded\ninto the trees. Before, the calibration error was "
        f"{found.calibration_error_before:.5f} and the log-loss {found.log_loss_before:.5f}."
    )


def _day(at_ms: int) -> str:
    return format_instant(at_ms // DAY_MS * DAY_MS)[:10]


def _interval(interval: Interval) -> str:
    return f"{interval.value:.4f} | {interval.low:.4f} to {interval.high:.4f}"
