"""HTML that more than one tab shows."""

from collections.abc import Sequence
from html import escape

from coop_demo.languages import page as strings
from coop_demo.languages import said


def step_head(number: int, title: str, lead: str) -> str:
    """The head of one of the three columns."""
    return (
        f'<div class="cs-step"><span class="cs-step-number" aria-hidden="true">{number}</span>'
        f"<div><h2>{escape(title)}</h2><p>{escape(lead)}</p></div></div>"
    )


def hint(sentence: str) -> str:
    return f'<p class="cs-hint">{escape(said(sentence))}</p>' if sentence else ""


def notes(problems: Sequence[str], remarks: Sequence[str] = (), *, most: int = 6) -> str:
    """Problems, then remarks, one line each; the rest is counted."""
    lines = [("problem", line) for line in problems] + [("remark", line) for line in remarks]
    if not lines:
        return ""
    items = [f'<li class="cs-{kind}">{escape(said(line))}</li>' for kind, line in lines[:most]]
    if len(lines) > most:
        items.append(f'<li class="cs-remark">{escape(strings.and_more(len(lines) - most))}</li>')
    return f'<ul class="cs-notes">{"".join(items)}</ul>'


def progress(sentence: str, share: float | None = None) -> str:
    """A sentence with a bar under it; no bar without a share (0 to 1)."""
    bar = ""
    if share is not None:
        percent = round(100 * min(max(share, 0.0), 1.0))
        bar = (
            f'<div class="cs-track" role="progressbar" '
            f'aria-label="{escape(strings.PROGRESS_LABEL)}" aria-valuemin="0" '
            f'aria-valuemax="100" aria-valuenow="{percent}">'
            f'<div class="cs-fill" style="width:{percent}%"></div></div>'
        )
    return f'<div class="cs-progress"><p>{escape(said(sentence))}</p>{bar}</div>'


def facts(source: str, sentence: str, more: str = "") -> str:
    """Where the pictures came from and how many there are; `more` is HTML."""
    head = f"<b>{escape(said(source).rstrip('.?!'))}.</b> " if source else ""
    return f'<div class="cs-facts"><p>{head}{escape(sentence)}</p>{more}</div>'


def mosaic(pictures: Sequence[str]) -> str:
    """Up to four pictures (data URIs) as one square; the button under it names them."""
    images = "".join(f'<img src="{uri}" alt="">' for uri in pictures)
    return f'<div class="cs-mosaic">{images}</div>'


def brand(name: str, promise: str) -> str:
    """The header's left side: our mark (context vectors before a name), name and promise."""
    mark = (
        '<svg viewBox="0 0 44 44" width="44" height="44" aria-hidden="true">'
        '<rect x="1" y="1" width="42" height="42" rx="11" class="cs-mark-back"/>'
        '<rect x="9" y="13" width="5" height="18" rx="2.5" class="cs-mark-learned"/>'
        '<rect x="17" y="9" width="5" height="26" rx="2.5" class="cs-mark-learned"/>'
        '<rect x="25" y="16" width="5" height="12" rx="2.5" class="cs-mark-learned"/>'
        '<circle cx="35" cy="22" r="3.5" class="cs-mark-words"/></svg>'
    )
    words = f"<h1>{escape(name)}</h1><p>{escape(promise)}</p>"
    return f'<div class="cs-brand">{mark}<div>{words}</div></div>'


def footer(sentence: str) -> str:
    return f'<footer class="cs-footer"><p>{escape(sentence)}</p></footer>'


def model_details(sentence: str, rows: Sequence[tuple[str, str, str, str, str]]) -> str:
    """What the model in use is, and the list of models; folded away until asked for."""
    return fold(strings.ABOUT_MODELS, hint(sentence) + model_table(rows))


def fold(title: str, inside: str) -> str:
    """HTML that shows when its title is clicked."""
    return f'<details class="cs-fold"><summary>{escape(title)}</summary>{inside}</details>'


def column_heads(titles: Sequence[str]) -> str:
    return "".join(f"<th scope='col'>{escape(title)}</th>" for title in titles)


def model_table(rows: Sequence[tuple[str, str, str, str, str]]) -> str:
    """The list of models: name, licence, size, whether it is here, a note."""
    body = "".join(
        f"<tr><th scope='row'>{escape(title)}</th><td>{escape(licence)}</td><td>{escape(size)}</td>"
        f"<td>{escape(here)}</td><td>{escape(note)}</td></tr>"
        for title, licence, size, here, note in rows
    )
    return (
        f'<div class="cs-table" tabindex="0" role="region" '
        f'aria-label="{escape(strings.MODELS_LABEL)}"><table><thead><tr>'
        f"{column_heads(strings.MODEL_COLUMNS)}</tr></thead><tbody>{body}</tbody></table></div>"
    )
