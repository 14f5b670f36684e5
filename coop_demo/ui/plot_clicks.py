"""Clicks on plotly marks and on pictures inside HTML, which gradio itself tells nobody of."""

import gradio as gr

from coop_demo.errors import UserError

# gr.Plot tells nobody of clicks, so this element listens to plotly's own and passes on the
# clicked mark's customdata. It binds when the pointer first moves over the plot: plotly draws
# late and may draw anew, and there is no click without the pointer having moved there.
_PLOT_CLICKS = """
const id = %r;
const bind = (event) => {
  const graph = event.target.closest ? event.target.closest('.js-plotly-plot') : null;
  if (!graph || !graph.on || graph.csClicks || !graph.closest('#' + id)) return;
  graph.csClicks = true;
  graph.on('plotly_click', (clicked) => {
    const point = clicked.points[0];
    const at = point.customdata;
    if (at === undefined) return;
    // plotly hands out typed arrays as well as plain ones
    trigger('click', {at: at.length === undefined ? [Number(at)] : Array.from(at, Number)});
  });
};
document.addEventListener('pointerover', bind, true);
document.addEventListener('pointerdown', bind, true);
"""

# a picture of a card is a button that says its number
_PICTURE_CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-picture]');
  if (button) trigger('click', {at: [Number(button.dataset.picture)]});
});
"""


def plot_clicks(plot_id: str) -> gr.HTML:
    """Fires `click` with `at`, the customdata of the mark that was clicked in the plot."""
    return gr.HTML(
        "", js_on_load=_PLOT_CLICKS % plot_id, padding=False, elem_classes="cs-plot-clicks"
    )


def picture_cards(elem_id: str, empty: str = "") -> gr.HTML:
    """Where cards of pictures stand; fires `click` with `at`, the number of the picture."""
    return gr.HTML(empty, padding=False, elem_id=elem_id, js_on_load=_PICTURE_CLICKS)


def clicked(event: gr.EventData, n: int, refusal: str) -> list[int]:
    """The n numbers of a clicked mark; what anybody's raw request sent is checked.

    Raises:
        UserError: with the sentence `refusal`, when the event does not hold n whole numbers.
    """
    at = event._data.get("at") if isinstance(event._data, dict) else None
    if not isinstance(at, list) or len(at) != n or not all(isinstance(i, int) for i in at):
        raise UserError(refusal)
    return at
