"""What a class row does in the browser alone: it unfolds, and records while a button is held.

Hold to record: a class gets a picture from the webcam several times a second.

The pictures are handed to the field of the class's gallery, as
if a person had chosen files, so that everything behind it stays as it is. Where a browser gives no
camera (a page that is neither https nor on this computer), the button is not there.
"""

from html import escape

from coop_demo.languages import in_every_language
from coop_demo.languages import teach as say


def _said() -> dict[str, str]:
    return {
        "refused": say.NO_CAMERA,
        "early": say.HOLD_AGAIN,
        "all": say.SHOW_ALL,
        "fewer": say.SHOW_FEWER,
    }


MOST_FRAMES = 30  # in one go
FRAMES_A_SECOND = 5


def button(number: int) -> str:
    """The button of a class row, and where the camera's picture shows while it is held."""
    return (
        f'<div class="cs-burst"><button type="button" data-burst="pictures-{number}" '
        f'aria-label="{escape(say.hold_label(number))}">{escape(say.HOLD)}</button>'
        '<video muted playsinline hidden></video><span role="status"></span></div>'
    )


def unfold() -> str:
    """Shows all pictures of a class row, or the first rows of them again."""
    return (
        f'<button type="button" class="cs-unfold" data-unfold aria-expanded="false">'
        f"{escape(say.SHOW_ALL)}</button>"
    )


SCRIPT = f"""
<script>
(() => {{
  const most = {MOST_FRAMES}, pause = {1000 // FRAMES_A_SECOND};
  const said = {in_every_language(_said)}[document.documentElement.lang];
  let going = null;
  if (!navigator.mediaDevices) document.documentElement.classList.add("cs-no-camera");

  async function begin(button) {{
    if (going) return;
    const box = button.parentElement;
    const now = going = {{
      button, video: box.querySelector("video"), note: box.querySelector("span"),
      files: [], held: true, timer: 0, stream: null,
    }};
    now.note.textContent = "";
    try {{
      const video = {{width: 640, height: 480}};
      now.stream = await navigator.mediaDevices.getUserMedia({{video}});
    }} catch (error) {{
      now.note.textContent = said.refused;
      going = null;
      return;
    }}
    now.video.srcObject = now.stream;
    now.video.hidden = false;
    try {{ await now.video.play(); }} catch (error) {{ now.held = false; }}
    if (!now.held) return end(now);  // let go while the browser asked
    take(now);
    now.timer = setInterval(() => take(now), pause);
  }}

  function take(now) {{
    const {{videoWidth: width, videoHeight: height}} = now.video;
    if (!now.held || !width) return;
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    canvas.getContext("2d").drawImage(now.video, 0, 0);
    const bytes = atob(canvas.toDataURL("image/jpeg", 0.9).split(",")[1]);
    const content = Uint8Array.from(bytes, (c) => c.charCodeAt(0));
    now.files.push(new File([content], `webcam-${{Date.now()}}.jpg`, {{type: "image/jpeg"}}));
    now.note.textContent = now.files.length;
    if (now.files.length >= most) end(now);
  }}

  function end(now) {{
    now.held = false;
    if (!now.stream || going !== now) return;
    going = null;
    clearInterval(now.timer);
    for (const track of now.stream.getTracks()) track.stop();
    now.video.hidden = true;
    now.video.srcObject = null;
    now.note.textContent = now.files.length ? "" : said.early;
    const field = document.querySelector(`#${{now.button.dataset.burst}} input[type=file]`);
    if (!now.files.length || !field) return;
    const given = new DataTransfer();
    for (const file of now.files) given.items.add(file);
    field.files = given.files;
    field.dispatchEvent(new Event("change", {{bubbles: true}}));
  }}

  const of = (event) => event.target.closest && event.target.closest("[data-burst]");
  document.addEventListener("pointerdown", (event) => {{
    if (of(event) && event.button === 0) begin(of(event));
  }});
  for (const kind of ["pointerup", "pointercancel", "blur"])
    window.addEventListener(kind, () => going && end(going));
  document.addEventListener("keydown", (event) => {{
    if (!of(event) || ![" ", "Enter"].includes(event.key)) return;
    event.preventDefault();
    if (!event.repeat) begin(of(event));
  }});
  document.addEventListener("keyup", (event) => of(event) && going && end(going));
  document.addEventListener("click", (event) => {{
    const more = event.target.closest && event.target.closest("[data-unfold]");
    if (!more) return;
    const open = more.closest(".cs-class").classList.toggle("cs-unfolded");
    more.setAttribute("aria-expanded", open);
    more.textContent = open ? said.fewer : said.all;
  }});
  document.addEventListener("contextmenu", (event) => of(event) && event.preventDefault());
}})();
</script>
"""
