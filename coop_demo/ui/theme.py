"""The look of the page: gradio's theme with our colours, and our own style sheet on top.

Teal is always what was learned, ochre always what a person wrote: in bars, curves and scores. Only
fonts of the computer are used, so the page asks nothing of another host.
"""

from gradio import themes
from starlette.middleware import Middleware

from coop_demo.languages import in_every_language
from coop_demo.languages import page as strings
from coop_demo.settings import ASSETS_DIR, LIMITS
from coop_demo.ui import event_stream, language
from coop_demo.ui.teach import burst
from coop_demo.ui.uploads_bound import UploadsBound

STYLE_SHEET = ASSETS_DIR / "style.css"

_SANS = ("ui-sans-serif", "system-ui", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

# A browser gives the files of a chosen folder without their folders. The page's name for them
# carries the folders along; `datasets` learns from it which class a picture belongs to.
FOLDER_MARK = "--in--"


def _said() -> dict[str, str]:
    return {"away": strings.WAS_AWAY, "close": strings.CLOSE}


_HEAD = f"""
<meta name="color-scheme" content="light dark">
<script>
document.addEventListener("change", (event) => {{
  const input = event.target;
  if (!(input instanceof HTMLInputElement) || !input.webkitdirectory || !input.files) return;
  const renamed = new DataTransfer();
  for (const file of input.files) {{
    const path = file.webkitRelativePath || file.name;
    if (!/\\.(jpe?g|jfif|png|webp|bmp|tiff?|gif|hei[cf]|avif|csv)$/i.test(path)) continue;
    renamed.items.add(new File([file], path.split("/").join("{FOLDER_MARK}"), {{type: file.type}}));
  }}
  input.files = renamed.files;
}}, true);

// Gradio says when it has lost the app, asks for its id until it is back, and loads the page again.
// Then we say so: a click of that moment did nothing.
(() => {{
  const away = "coop-studio-was-away", ask = window.fetch;
  window.fetch = (...given) => {{
    if (String(given[0]?.url ?? given[0]).endsWith("/app_id")) sessionStorage.setItem(away, "yes");
    return ask(...given);
  }};
  const tell = () => {{
    if (!sessionStorage.getItem(away)) return;
    sessionStorage.removeItem(away);
    const note = document.createElement("p");
    note.className = "cs-away";
    note.setAttribute("role", "status");
    const said = {in_every_language(_said)}[document.documentElement.lang];
    note.textContent = said.away;
    const close = document.createElement("button");
    close.textContent = "×";
    close.setAttribute("aria-label", said.close);
    close.addEventListener("click", () => note.remove());
    note.append(close);
    document.body.prepend(note);
  }};
  if (document.body) tell(); else document.addEventListener("DOMContentLoaded", tell);
}})();
</script>
"""


def theme() -> themes.Base:
    return themes.Base(
        primary_hue=themes.colors.teal,
        secondary_hue=themes.colors.amber,
        neutral_hue=themes.colors.stone,
        radius_size=themes.sizes.radius_md,
        font=_SANS,
        font_mono=_MONO,
    ).set(
        body_background_fill="#f7f5f0",
        body_background_fill_dark="#171614",
        body_text_color="#292522",
        body_text_color_dark="#ece8e1",
        body_text_color_subdued="#6a625a",
        body_text_color_subdued_dark="#aaa196",
        background_fill_primary="#fffefb",
        background_fill_primary_dark="#211f1c",
        background_fill_secondary="#f3f0e9",
        background_fill_secondary_dark="#2a2724",
        border_color_primary="#e3ddd2",
        border_color_primary_dark="#3b3733",
        block_background_fill="#fffefb",
        block_background_fill_dark="#211f1c",
        block_border_width="1px",
        block_radius="12px",
        input_border_width="1px",
        input_radius="9px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_text_color="#6a625a",
        block_label_text_color_dark="#aaa196",
        block_title_text_weight="500",
        block_title_text_color="#4a443e",
        block_title_text_color_dark="#cfc8bd",
        block_info_text_color="#6a625a",
        block_info_text_color_dark="#aaa196",
        input_background_fill="#ffffff",
        input_background_fill_dark="#191816",
        input_border_color="#d9d2c5",
        input_border_color_dark="#47423c",
        input_border_color_focus="#0f766e",
        input_border_color_focus_dark="#2dd4bf",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_hover="#115e59",
        button_primary_background_fill_dark="#0f766e",
        button_primary_background_fill_hover_dark="#0d8a80",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="#ece7dc",
        button_secondary_background_fill_hover="#e2dbcd",
        button_secondary_background_fill_dark="#35312d",
        button_secondary_background_fill_hover_dark="#423d38",
        button_secondary_text_color="#292522",
        button_secondary_text_color_dark="#ece8e1",
        button_secondary_border_color="transparent",
        button_large_radius="10px",
        button_medium_radius="10px",
        button_small_radius="8px",
        slider_color="#0f766e",
        slider_color_dark="#2dd4bf",
        checkbox_background_color_selected="#0f766e",
        checkbox_background_color_selected_dark="#0f766e",
        checkbox_label_background_fill_selected="#d9ebe7",
        checkbox_label_background_fill_selected_dark="#17403c",
        checkbox_label_text_color_selected="#134e4a",
        checkbox_label_text_color_selected_dark="#ccefe9",
        link_text_color="#0f766e",
        link_text_color_dark="#5fd6c8",
        color_accent_soft="#e3f0ed",
        color_accent_soft_dark="#17403c",
    )


def launch_options() -> dict:
    """What `Blocks.launch` is given besides host and port: the look, and a small surface."""
    return {
        "theme": theme(),
        "css_paths": [STYLE_SHEET],
        "head": language.SCRIPT + event_stream.SCRIPT + _HEAD + burst.SCRIPT,
        "footer_links": ["api", "settings"],
        "max_file_size": LIMITS.max_upload,
        "allowed_paths": [],
        "app_kwargs": {"middleware": [Middleware(UploadsBound)]},
        "show_error": False,  # an unexpected error goes to the log, not to the page
        "enable_monitoring": False,
        "run_history": False,
        "ssr_mode": False,
        "strict_cors": True,
        "share": False,
        "state_session_capacity": 200,
        "max_threads": 100,  # most of them only wait for their turn
        # Nothing but a last look at the page, which ends the app when a busy computer needs more
        # than three seconds for it.
        "_frontend": False,
    }
