"""The page for a projector: nothing on it is smaller than 18 pixels.

It is the same page with `?projector=1` behind its address. `SCRIPT` marks it for the style sheet;
figures, whose letters the style sheet cannot reach, are drawn with larger ones (`charts.style`).
"""

from html import escape
from typing import Any

from coop_demo.languages import page as say

_PARAMETER, _ON = "projector", "1"

SCRIPT = f"""
<script>
(() => {{
  const asked = new URLSearchParams(location.search);
  const on = asked.get("{_PARAMETER}") === "{_ON}";
  document.documentElement.classList.toggle("cs-projector", on);
  document.addEventListener("click", (event) => {{
    const link = event.target.closest && event.target.closest("[data-projector]");
    if (!link) return;
    event.preventDefault();
    on ? asked.delete("{_PARAMETER}") : asked.set("{_PARAMETER}", "{_ON}");
    location.search = asked.toString();
  }});
}})();
</script>
"""


def is_asked_for(request: Any) -> bool:
    """Whether a request comes from such a page."""
    parameters = getattr(request, "query_params", None) or {}
    return parameters.get(_PARAMETER) == _ON


def switch() -> str:
    """A link from the one view to the other; the style sheet shows the word that fits."""
    return (
        f'<a href="?{_PARAMETER}={_ON}" data-projector class="cs-to-projector">'
        f'<span class="cs-if-normal">{escape(say.PROJECTOR)}</span>'
        f'<span class="cs-if-projector">{escape(say.NO_PROJECTOR)}</span></a>'
    )
