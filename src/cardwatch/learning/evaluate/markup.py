"""Pieces of HTML: tables, figures, tiles. Every text that is passed in is escaped here, once."""

import html
from collections.abc import Sequence

Cell = str | float
"""A text, or a bar from 0 to 1."""


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    caption: str,
    chosen: str | None = None,
    words: bool = False,
) -> str:
    """Return a table whose rows begin with their name; a row of one cell heads a group.

    `chosen` is the name of a row to point out; `words`: the other cells are words rather than numbers.
    """
    heads = "".join(f'<th scope="col">{html.escape(cell)}</th>' if cell else "<td></td>" for cell in head)
    body = "".join(_row(row, len(head), chosen, words) for row in rows)
    header = f"<thead><tr>{heads}</tr></thead>" if any(head) else ""
    caption = f"<caption>{html.escape(caption)}</caption>"
    return f'<div class="scroll"><table>{caption}{header}<tbody>{body}</tbody></table></div>'


def _row(row: Sequence[Cell], width: int, chosen: str | None, words: bool) -> str:
    name = html.escape(str(row[0]))
    if len(row) == 1:
        return f'<tr><th scope="rowgroup" colspan="{width}">{name}</th></tr>'
    marked = ' class="chosen"' if chosen is not None and row[0] == chosen else ""
    cells = "".join(_cell(cell, words) for cell in row[1:])
    return f'<tr{marked}><th scope="row">{name}</th>{cells}</tr>'


def _cell(cell: Cell, words: bool) -> str:
    if isinstance(cell, str):
        style = ' class="words"' if words else ""
        return f"<td{style}>{html.escape(cell)}</td>"
    return f'<td class="bar" aria-hidden="true"><i style="width:{100 * cell:.1f}%"></i></td>'


def figure(title: str, words: str, drawing: str, numbers: str, *, key: Sequence[tuple[str, str]] = ()) -> str:
    """Return a figure with its title, a key of (style, words), the drawing, and its numbers to unfold.

    `drawing` and `numbers` are HTML already.
    """
    keys = "".join(f'<i class="key {style}"></i><span>{html.escape(name)}</span>' for style, name in key)
    under = f"<span>{html.escape(words)}</span>" if words else ""
    caption = f"<figcaption><b>{html.escape(title)}</b>{under}{keys}</figcaption>"
    return f"<figure>{caption}{drawing}<details><summary>Numbers</summary>{numbers}</details></figure>"


def tiles(facts: Sequence[tuple[str, str, str]]) -> str:
    """Return tiles of (what, value, words below)."""
    cells = (
        f'<div class="tile"><dt>{html.escape(what)}</dt><dd>{html.escape(value)}'
        f"<small>{html.escape(words)}</small></dd></div>"
        for what, value, words in facts
    )
    return f'<dl class="tiles">{"".join(cells)}</dl>'
