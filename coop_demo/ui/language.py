"""Which language a browser gets: the one it asks for, until a person chooses another.

The page of each language has an address of its own (see `page`). `SCRIPT` runs before anything
else of the page: it goes to the right one, and makes gradio's own words those of the page.
"""

import json
from html import escape

from coop_demo.languages import ENGLISH, LANGUAGES, OTHERS, name_of, spoken

_CHOSEN = "coop-studio-language"  # in the browser's storage, once a person has chosen

SCRIPT = f"""
<script>
(() => {{
  const known = {json.dumps(list(LANGUAGES))}, first = known[0];
  const last = location.pathname.split("/").filter(Boolean).pop();
  const here = known.includes(last) ? last : first;
  let chosen = null;
  try {{ chosen = localStorage.getItem("{_CHOSEN}"); }} catch (error) {{}}
  const wanted = chosen ?? (navigator.languages ?? [navigator.language])
    .map((name) => name.split("-")[0]).find((name) => known.includes(name));
  if (here === first && known.includes(wanted) && wanted !== first) {{
    location.replace(wanted + location.search + location.hash);
    return;
  }}
  document.documentElement.lang = here;
  for (const [name, value] of [["language", here], ["languages", [here]]])
    Object.defineProperty(navigator, name, {{get: () => value}});
  document.addEventListener("click", (event) => {{
    const link = event.target.closest && event.target.closest("[data-language]");
    if (!link) return;
    try {{ localStorage.setItem("{_CHOSEN}", link.dataset.language); }} catch (error) {{}}
    link.search = location.search;
  }}, true);
}})();
</script>
"""


def switch() -> str:
    """Links to the page in every language; the one that is spoken is no link."""
    items = []
    for language in LANGUAGES:
        name = escape(name_of(language))
        if language == spoken():
            items.append(f'<span aria-current="true">{name}</span>')
            continue
        address = "./" if language == ENGLISH else f"./{language}"
        items.append(
            f'<a href="{address}" lang="{language}" hreflang="{language}" '
            f'data-language="{language}">{name}</a>'
        )
    return f'<p class="cs-languages">{" | ".join(items)}</p>' if OTHERS else ""
