"""The work of `bench/handbook.py`: four folds of training and test, by the commands that anyone has.

The trainings start on 2018-07-25, 08-01, 08-08 and 08-15 (`--validation`: the four weeks from 06-20 on), each with 7
days of training, 7 days whose labels are not known yet, and 7 days of test; then the same with training from
2018-05-10. `cardwatch train` and `cardwatch score` do the work, and their command lines are printed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from bench.machine import machine
from numpy.typing import NDArray

from cardwatch.learning.metrics import average_precision, roc_auc

FOLDER = Path(os.environ.get("CARDWATCH_BENCH_DATA", Path(__file__).parents[2] / "shared" / "data"))
FEATURES = Path(__file__).with_name("handbook_features.txt")
TEST_STARTS = tuple(date(2018, 7, 25) + timedelta(weeks=week) for week in range(4))
VALIDATION_STARTS = tuple(date(2018, 6, 20) + timedelta(weeks=week) for week in range(4))
LONG_START = date(2018, 5, 10)
WEEK = timedelta(days=7)
DAY = timedelta(days=1)
CARDS = 100
TREES = 300

PUBLISHED = (
    ("chapter 3, XGBoost (first fold)", 0.862, 0.639, 0.273),
    ("chapter 3, random forest (first fold)", 0.867, 0.658, 0.287),
    ("chapter 5, best XGBoost (4 folds)", 0.872, 0.694, 0.304),
    ("chapter 6, balanced bagging (4 folds)", 0.879, 0.680, 0.305),
    ("chapter 7, feed-forward network (4 folds)", 0.876, 0.675, 0.303),
    ("chapter 7, LSTM with attention (4 folds)", 0.874, 0.667, 0.295),
)
"""Le Borgne, Siblini, Lebichot, Bontempi: Reproducible Machine Learning for Credit Card Fraud Detection. AUC, average
precision, card precision at 100."""


@dataclass(frozen=True)
class Measured:
    """What one fold gave."""

    auc: float
    average_precision: float
    card_precision: float


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder of handbook.parquet (default: %(default)s)")
    parser.add_argument("--validation", action="store_true", help="the folds that choices were made on")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each fold, averaged (default: 1)")
    arguments = parser.parse_args()
    path = arguments.data / "handbook.parquet"
    if not path.is_file():
        sys.stdout.write(f"{path} is missing: the handbook's payments are needed (--data or CARDWATCH_BENCH_DATA)\n")
        return 1
    starts = VALIDATION_STARTS if arguments.validation else TEST_STARTS
    payments = read_payments(path)
    print(f"{machine()}\n{'validation' if arguments.validation else 'test'} folds, {arguments.seeds} seed(s) each\n")
    print(f"{'':44}{'AUC':>8}{'AP':>8}{'CP@100':>8}")
    for name, *numbers in PUBLISHED:
        print(f"{name:44}" + "".join(f"{number:8.3f}" for number in numbers))
    for name, long in (("7 days of training", False), ("training from 2018-05-10", True)):
        report(name, [list(folds(path, payments, start, long=long, seeds=arguments.seeds)) for start in starts])
    return 0


def read_payments(path: Path) -> pl.DataFrame:
    """Return id, day, card and label of every payment."""
    return pl.read_parquet(path).select(
        pl.col("TRANSACTION_ID").cast(pl.String).alias("transaction_id"),
        pl.col("TX_DATETIME").dt.date().alias("day"),
        pl.col("CUSTOMER_ID").alias("card"),
        (pl.col("TX_FRAUD") == 1).alias("fraud"),
    )


def folds(path: Path, payments: pl.DataFrame, start: date, *, long: bool, seeds: int) -> Iterator[Measured]:
    """Train and score one fold with each seed."""
    until = start + WEEK
    test_start, test_end = until + WEEK, until + 2 * WEEK
    for seed in range(1, seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            model, scores = Path(folder, "model"), Path(folder, "scores.parquet")
            common = ["--data", str(path), "--format", "handbook", "--label-delay", "7d"]
            window = ["--from", str(LONG_START if long else start), "--until", str(until)]
            chosen = ["--features", str(FEATURES), "--trees", str(TREES), "--seed", str(seed), "--out", str(model)]
            cardwatch("train", *common, *window, *chosen)
            tested = ["--from", str(test_start), "--until", str(test_end)]
            cardwatch("score", *common, *tested, "--model", str(model), "--out", str(scores))
            yield measure(payments, pl.read_parquet(scores), start, test_start, test_end)


def cardwatch(*arguments: str) -> None:
    """Run a command as people do, and say which and how long it took."""
    begun = time.monotonic()
    command = [str(Path(sys.executable).with_name("cardwatch")), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"cardwatch {' '.join(arguments)}\n{done.stdout}{done.stderr}")
    sys.stderr.write(f"  cardwatch {' '.join(arguments)}  ({time.monotonic() - begun:.0f} s)\n")


def measure(payments: pl.DataFrame, scores: pl.DataFrame, start: date, test_start: date, test_end: date) -> Measured:
    """Return the metrics of a fold's test week.

    Cards with a fraud known by then are left out: from the start of the week of training to 8 days before the day of
    the test. A payment of 0.00 has no score, since such a payment is refused; it counts as the least suspicious.
    """
    tested = payments.filter(pl.col("day").is_between(test_start, test_end, closed="left"))
    tested = tested.join(scores, on="transaction_id", how="left").with_columns(pl.col("score").fill_null(0.0))
    days = []
    day = test_start
    while day < test_end:
        known = payments.filter(pl.col("fraud") & pl.col("day").is_between(start, day - 8 * DAY))["card"].unique()
        days.append(tested.filter((pl.col("day") == day) & ~pl.col("card").is_in(known.implode())))
        day += DAY
    rows = pl.concat(days)
    frauds, found = rows["fraud"].to_numpy().astype(np.int64), rows["score"].to_numpy()
    return Measured(roc_auc(frauds, found), average_precision(frauds, found), card_precision(days))


def card_precision(days: Sequence[pl.DataFrame]) -> float:
    """Return the share of compromised cards among each day's 100 most suspicious; one found is out of the rest."""
    looked_at: list[int] = []
    shares = []
    for day in days:
        cards = day.filter(~pl.col("card").is_in(looked_at)).group_by("card")
        top = cards.agg(pl.col("score").max(), pl.col("fraud").any()).sort("score", "card", descending=[True, False])
        hits = top.head(CARDS).filter(pl.col("fraud"))["card"].to_list()
        shares.append(len(hits) / CARDS)
        looked_at += hits
    return float(np.mean(shares))


def report(name: str, found: Sequence[Sequence[Measured]]) -> None:
    """Print each fold, their mean and their spread."""
    means: NDArray[np.float64] = np.array(
        [np.mean([[m.auc, m.average_precision, m.card_precision] for m in fold], axis=0) for fold in found]
    )
    print(f"\n{name}")
    for number, fold in enumerate(means, 1):
        print(f"{f'  fold {number}':44}" + "".join(f"{value:8.4f}" for value in fold))
    print(f"{'  mean':44}" + "".join(f"{value:8.4f}" for value in means.mean(axis=0)))
    print(f"{'  standard deviation':44}" + "".join(f"{value:8.4f}" for value in means.std(axis=0, ddof=1)))


if __name__ == "__main__":
    sys.exit(main())
