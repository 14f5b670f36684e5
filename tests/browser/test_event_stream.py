"""A click made while gradio ends its stream of answers is answered all the same."""

from __future__ import annotations

import pytest
from opening import open_page
from playwright.sync_api import Locator, Page, expect

from coop_demo.languages import speaking
from coop_demo.languages import teach as say

# What a busy computer does now and then: the end of a stream arrives late, after the next click.
LATE_ENDS = """
const plain = window.fetch;
window.lateEnds = 0;
window.fetch = async (what, options) => {
  const answer = await plain(what, options);
  if (!String(what.url || what).includes('/queue/data') || !answer.body) return answer;
  const late = new TransformStream({
    async transform(chunk, out) {
      const text = new TextDecoder().decode(chunk);
      const end = text.indexOf('data: {"msg":"close_stream"');
      const parts = end < 0 ? [text] : [text.slice(0, end), text.slice(end)];
      out.enqueue(new TextEncoder().encode(parts[0]));
      if (end < 0) return;
      window.lateEnds += 1;
      await new Promise((done) => setTimeout(done, 1500));
      out.enqueue(new TextEncoder().encode(parts[1]));
    },
  });
  return new Response(answer.body.pipeThrough(late), {headers: answer.headers});
};
"""


def class_name(page: Page, number: int) -> Locator:
    return page.locator(f"#class-name-{number} textarea, #class-name-{number} input")


def test_a_click_while_a_stream_ends_is_answered(page: Page, watch, app_address: str) -> None:
    watch.follow(page)
    page.add_init_script(LATE_ENDS)
    page.goto(app_address)
    page.get_by_text("is in use").first.wait_for(state="attached")
    page.wait_for_timeout(3000)  # the stream of the opening has ended
    for number in (3, 5):
        ended = page.evaluate("window.lateEnds")
        page.locator("#add-class").click()
        expect(class_name(page, number)).to_be_visible()
        page.wait_for_function("(ended) => window.lateEnds > ended", arg=ended)
        page.locator("#add-class").click()  # the server has ended the stream, unheard yet
        expect(class_name(page, number + 1)).to_be_visible(timeout=10_000)
        page.wait_for_timeout(2500)


def test_after_the_last_answer_no_stream_stays_open(page: Page, watch, app_address: str) -> None:
    """A browser opens six connections to one server: streams left open would use them up."""
    watch.follow(page)
    opened, ended = [], []
    page.on("request", lambda request: "/queue/data" in request.url and opened.append(1))
    for end in ("requestfinished", "requestfailed"):  # by the server, or by the page
        page.on(end, lambda request: "/queue/data" in request.url and ended.append(1))
    page.goto(app_address)
    page.get_by_text("is in use").first.wait_for(state="attached")
    for number in (3, 4, 5):
        page.locator("#add-class").click()
        expect(class_name(page, number)).to_be_visible()
    page.wait_for_timeout(3000)
    assert opened
    assert len(ended) == len(opened)


# Every answer takes two seconds to arrive.
SLOW_ANSWERS = """
const plain = window.fetch;
window.fetch = async (what, options) => {
  const answer = await plain(what, options);
  if (!String(what.url || what).includes('/queue/data') || !answer.body || !window.slow) {
    return answer;
  }
  const late = new TransformStream({
    async transform(chunk, out) {
      await new Promise((done) => setTimeout(done, 2000));
      out.enqueue(chunk);
    },
  });
  return new Response(answer.body.pipeThrough(late), {headers: answer.headers});
};
"""


@pytest.mark.parametrize("language", ["", "de"])
def test_what_is_typed_while_an_answer_is_on_its_way_stays(
    page: Page, watch, app_address: str, language: str
) -> None:
    watch.follow(page)
    page.add_init_script(SLOW_ANSWERS)
    open_page(page, app_address + language)
    page.wait_for_timeout(3000)
    page.evaluate("window.slow = true")
    with speaking(language or "en"):
        words = page.get_by_label(say.TEMPLATE_LABEL)
    page.locator("#sample-biscuits").click()  # its answer brings words of its own
    page.wait_for_timeout(1200)  # it has been made, and is on its way
    words.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("my own words for a {}.")
    expect(class_name(page, 5)).to_be_visible()
    expect(words).to_have_value("my own words for a {}.")
    # and an answer that was asked for afterwards sets the field
    page.evaluate("window.slow = false")
    page.wait_for_timeout(2500)
    page.locator("#sample-biscuits").click()
    expect(words).to_have_value("a photo of a biscuit of {}.")
