"""The card of a model that was imported: it says what is known, and that the rest is not."""

from cardwatch.models.bundle import Facts

_CARD = """# Model {version}

A LightGBM classifier of {trees} trees that gives a number from 0 to 1 for how likely a card payment is fraud, from
{features} features. It was not trained here.

## What it knows

{source}
{origin}
When it was trained, on which payments, and how many of them were fraud is not known: imported.

## What was measured

Not known: imported. Nothing says how much fraud it finds, nor that its number is a probability: a model that was
trained on balanced classes says far too much. Measure it on your own labelled payments before you rely on it.

## The threshold

{threshold:.4f}, chosen by {chosen_by}. What it was weighed with is not known: imported.

## Its features

What is theirs, what it is here, and the factor between the units (ours = theirs x factor). What a name meant to
whoever trained the model is not known; where it meant something else than here, the model is wrong.

| theirs | ours | factor |
|---|---|---|
{rows}

What is usual among the training payments is not known, so reasons say the value and call it neither high nor low.
"""


def imported_card(facts: Facts) -> str:
    """Write the card of an imported model, in Markdown."""
    imported = facts.imported
    taken = imported.features if imported else ()
    rows = [f"| `{one.name}` | `{one.feature}` | {one.scale:g} |" for one in taken]
    return _CARD.format(
        version=facts.model_version,
        trees=facts.trees,
        features=len(facts.feature_names),
        source=facts.source,
        origin=f"SHA-256 of the file: {imported.sha256}." if imported else "",
        threshold=facts.threshold,
        chosen_by=facts.threshold_chosen_by,
        rows="\n".join(rows),
    )
