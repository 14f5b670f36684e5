"""Technical words are explained where they stand: by pointer, keyboard and touch.

`explained` marks the words of a text; `SCRIPT` shows the sentence of the one that is pointed at,
has the focus, or was tapped. One bubble serves the whole page, so that nothing clips it.
"""

import re
from functools import cache
from html import escape

from coop_demo.languages import spoken, strings_of


def explained(text: str) -> str:
    """The text as HTML, with each technical word explained where it stands first."""
    pattern, keys = _words(spoken())
    seen: set[str] = set()

    def marked(match: re.Match[str]) -> str:
        key = keys[(match.lastgroup or "")[1:]]
        if key in seen:
            return escape(match[0])
        seen.add(key)
        meaning = escape(strings_of(spoken(), "words").MEANINGS[key][1], quote=True)
        return (
            f'<span role="button" tabindex="0" class="cs-term" data-meaning="{meaning}">'
            f"{escape(match[0])}</span>"
        )

    parts, at = [], 0
    for match in pattern.finditer(text):
        parts += [escape(text[at : match.start()]), marked(match)]
        at = match.end()
    return "".join(parts) + escape(text[at:])


@cache
def _words(language: str) -> tuple[re.Pattern[str], dict[str, str]]:
    """One pattern for all words, and the key of each of its groups, which are called k0, k1, …"""
    meanings = strings_of(language, "words").MEANINGS
    # a pattern's own groups must not count: the name of the last group says which word it was
    bare = {
        key: re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern) for key, (pattern, _) in meanings.items()
    }
    groups = [f"(?P<k{n}>{pattern})" for n, pattern in enumerate(bare.values())]
    return re.compile("|".join(groups)), {str(n): key for n, key in enumerate(bare)}


SCRIPT = """
<script>
(() => {
  let bubble = null, shown = null;
  const term = (event) => event.target.closest && event.target.closest('.cs-term');

  function show(word) {
    if (!bubble) {
      bubble = document.createElement('div');
      bubble.id = 'cs-meaning';
      bubble.setAttribute('role', 'tooltip');
    }
    if (!bubble.isConnected) document.body.append(bubble);
    shown?.removeAttribute('aria-describedby');
    shown = word;
    bubble.textContent = word.dataset.meaning;
    word.setAttribute('aria-describedby', bubble.id);
    bubble.hidden = false;
    place(word);
  }

  function place(word) {
    const at = word.getBoundingClientRect(), edge = 8;
    const left = Math.min(Math.max(at.left, edge), innerWidth - bubble.offsetWidth - edge);
    const under = at.bottom + 6, over = at.top - bubble.offsetHeight - 6;
    bubble.style.left = `${Math.max(left, edge)}px`;
    bubble.style.top = `${under + bubble.offsetHeight < innerHeight || over < 0 ? under : over}px`;
  }

  function hide() {
    if (!shown) return;
    shown.removeAttribute('aria-describedby');
    shown = null;
    bubble.hidden = true;
  }

  document.addEventListener('pointerover', (event) => {
    if (event.pointerType !== 'mouse') return;
    if (term(event)) show(term(event));
    else if (shown && shown !== document.activeElement && !bubble.contains(event.target)) hide();
  });
  document.addEventListener('focusin', (event) => term(event) ? show(term(event)) : hide());
  document.addEventListener('focusout', (event) => term(event) && hide());
  document.addEventListener('click', (event) => {
    const word = term(event);
    if (!word) return hide();
    event.preventDefault();
    event.stopPropagation();
    show(word);
  }, true);
  document.addEventListener('keydown', (event) => event.key === 'Escape' && hide());
  window.addEventListener('scroll', () => {
    if (shown && shown === document.activeElement) place(shown);  // the focus brought it into view
    else hide();
  }, {capture: true, passive: true});
})();
</script>
"""
