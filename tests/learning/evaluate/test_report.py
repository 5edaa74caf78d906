"""The report: one file that needs nothing else, says what was measured, and trusts no name."""

import re
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from cardwatch.domain.errors import InvalidInput
from cardwatch.learning.evaluate.measure import Evaluation, measure
from cardwatch.learning.evaluate.page import render
from cardwatch.learning.evaluate.run import write_report
from cardwatch.learning.evaluate.tradeoffs import curve, tradeoff
from cardwatch.learning.replay import Sample
from cardwatch.learning.train import Rows, TrainingSpec, rows_of, train_on_sample
from cardwatch.models.bundle import Bundle, Costs

HOSTILE = '"><script>alert(1)</script>'
NAMES = ("amount", "local_hour", "account_payments", "home_distance_km", HOSTILE)
_VOID = {"meta", "path", "rect", "circle", "br"}


def window(*, names: tuple[str, ...] = NAMES, count: int = 6000) -> Sample:
    """Return payments of forty days, some of them fraud, which is told by their features."""
    generator = np.random.default_rng(4)
    matrix = generator.random((count, len(NAMES))) * [50_000, 24, 30, 900, 1]
    frauds = (generator.random(count) < 1 / (1 + np.exp(9 - matrix[:, 0] / 8000 - matrix[:, 3] / 300))).astype(np.int8)
    values: dict[str, Any] = {
        "names": names,
        "matrix": matrix,
        "frauds": frauds,
        "amounts_minor": matrix[:, 0].astype(np.int64) + 1,
        "times_ms": np.sort(generator.integers(0, 40 * 86_400_000, count)),
        "transaction_ids": [f"p{number}" for number in range(count)],
        "accounts": np.arange(count) % 50,
    }
    return Sample(**{field.name: values[field.name] for field in fields(Sample) if field.name in values})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a small model over features of which one has a hostile name."""
    sample = window(names=(*NAMES[:-1], "odd"))
    bundle = train_on_sample(
        sample, spec=TrainingSpec(source=HOSTILE, trees=12), spec_hash="h", out=tmp_path_factory.mktemp("bundle")
    )
    facts = msgspec.structs.replace(bundle.facts, feature_names=NAMES, model_version=f"model-{HOSTILE}")
    return msgspec.structs.replace(bundle, facts=facts)


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Return the payments as arrays."""
    return rows_of(window())


@pytest.fixture(scope="module")
def found(bundle: Bundle, rows: Rows) -> Evaluation:
    """Return the model measured."""
    accounts = [f"user_{number % 50}" for number in range(len(rows.frauds))]
    return measure(bundle, rows, accounts=accounts, source=f"{HOSTILE}.csv", rejected=7)


class _Reader(HTMLParser):
    """Collects the tags, checks that they nest, and keeps the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> _Reader:
    """Read a page to its end."""
    reader = _Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_the_report_refers_to_nothing_outside(found: Evaluation, bundle: Bundle) -> None:
    """No address, script, font, image or frame; and a policy that would stop one."""
    page = render(found, bundle.facts)
    reader = read(page)
    assert not {"script", "link", "img", "iframe", "object", "use", "image"} & {tag for tag, _ in reader.tags}
    assert not {"src", "href", "xlink:href", "srcset"} & {name for _, attributes in reader.tags for name in attributes}
    assert not re.search(r"https?:|url\(|@import|@font-face", page)
    assert "default-src 'none'" in page


def test_hostile_names_are_only_text(found: Evaluation, bundle: Bundle) -> None:
    """A file, a source, a version and a feature that are named like a script are shown and do nothing."""
    page = render(found, bundle.facts)
    assert "<script" not in page
    assert read(page).text.count(HOSTILE) >= 4


def test_every_figure_has_a_text_and_a_table(found: Evaluation, bundle: Bundle) -> None:
    """Who cannot see a drawing hears what it shows, and finds the numbers in a table with a caption."""
    page = render(found, bundle.facts)
    drawings = [attributes for tag, attributes in read(page).tags if tag == "svg"]
    assert len(drawings) == page.count("<figure>") == 6
    assert all(one["role"] == "img" and one["aria-label"] for one in drawings)
    for figure in re.findall("<figure>.*?</figure>", page, re.DOTALL):
        assert "<figcaption>" in figure
        assert "<caption>" in figure
        assert "nan" not in figure.lower().replace("nance", "")


def test_the_report_says_what_was_measured_and_what_was_not(found: Evaluation, bundle: Bundle) -> None:
    """Rows, frauds, rejected rows, the overlap with the training window, and the model's own words are there."""
    text = read(render(found, bundle.facts)).text
    assert f"{found.data.payments:,} payments" in text
    assert "overlaps with these payments" in text
    assert f"{bundle.facts.threshold:.4g}" in text
    assert "does not" in text or "not in the data" in text
    assert re.search(r"could not be used\s*7", text)


def test_an_imported_model_is_reported_without_what_nobody_knows(found: Evaluation, bundle: Bundle) -> None:
    """Without a training window the report says so."""
    imported = msgspec.structs.replace(bundle.facts, window=None, metrics=None, costs=None)
    assert "imported" in read(render(found, imported)).text


def test_segments_cover_every_payment_once_a_group(found: Evaluation) -> None:
    """The rows of a group add up, to all payments and to all frauds."""
    groups = {one.group for one in found.segments}
    assert {"Amount", "Hour where the holder lives", "Weekday (UTC)", "Account", "Place"} == groups
    expected = sum(one.expected_frauds for one in found.segments if one.group == "Amount")
    for group in groups:
        members = [one for one in found.segments if one.group == group]
        assert sum(one.payments for one in members) == found.data.payments
        assert sum(one.frauds for one in members) == found.data.frauds
        assert sum(one.expected_frauds for one in members) == pytest.approx(expected)


def test_points_of_the_curve_are_what_their_thresholds_mean(rows: Rows) -> None:
    """Each point equals the count over all payments, and the curve holds the strictest and the mildest threshold."""
    chance = np.random.default_rng(1).random(len(rows.frauds))
    scores = np.asarray(np.round(chance * 0.6 + rows.frauds * 0.3, 3), dtype=np.float64)
    costs = Costs(wrong_challenge_minor=5000, text_minor=3)
    points = curve(rows.frauds, scores, rows.amounts_minor, costs)
    assert points[0].threshold == scores.max()
    assert points[-1].threshold == scores.min()
    for one in points[:: max(1, len(points) // 20)]:
        expected = tradeoff(rows.frauds, scores, rows.amounts_minor, costs, one.threshold)
        for name in one.__struct_fields__:
            assert getattr(one, name) == pytest.approx(getattr(expected, name))


def test_a_report_that_cannot_be_written_is_one_line(found: Evaluation, bundle: Bundle, tmp_path: Path) -> None:
    """The line names the file."""
    with pytest.raises(InvalidInput, match="cannot be written") as raised:
        write_report(tmp_path / "missing" / "report.html", found, bundle)
    assert "\n" not in str(raised.value)
