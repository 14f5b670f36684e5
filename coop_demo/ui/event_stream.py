"""Between the page and the network: no click is lost, and nothing typed is overwritten.

The page hears of all its events through one stream. When none is left the server ends it, and
gradio's script opens the next one with the next event. Between the two a click is lost: the server
took it just after deciding to end the stream, and the page heard of that first and then of the end,
after which it listens to nothing. `SCRIPT` goes between the page and the network: while an event
that was sent has not been heard of, the end of a stream is not passed on, and listening goes on
with a new one. Seen with gradio 6.31; without that fault the script changes nothing.

And an answer that was asked for before a person typed into a field does not set that field. The
server sees to that as well (`windows.py`), but cannot know what is typed while its answer is on
its way. Answers that come in parts are passed on as they are: each part builds on the last.
"""

SCRIPT = """
<script>
(() => {
  const plainFetch = window.fetch;
  const joining = new Set();  // requests on their way, each of which sends one event
  const unheard = new Set();  // ids of events that were taken and not heard of yet
  const early = new Set();  // ids heard of before the request that sent them was answered
  const asked = new Map();  // event id -> its outputs, and when it was sent
  const typed = new Map();  // id of an element -> when a person last typed into it

  for (const kind of ['input', 'change']) {
    document.addEventListener(kind, (event) => {
      if (!event.isTrusted || !(event.target instanceof Element)) return;
      for (let e = event.target.closest('[id]'); e; e = e.parentElement?.closest('[id]')) {
        if (isComponent(e.id)) return typed.set(e.id, performance.now());
      }
    }, true);
  }

  let elements = null;  // component -> the id of its element
  let ids = new Set();
  function element(component) {
    if (!elements && window.gradio_config) {
      elements = new Map(window.gradio_config.components.map(
        (one) => [one.id, one.props.elem_id || `component-${one.id}`]));
      ids = new Set(elements.values());
    }
    return elements ? elements.get(component) : undefined;
  }

  function isComponent(id) {
    element(0);
    return ids.has(id);
  }

  // The message without what would overwrite something typed since it was asked for.
  function kept(message, said) {
    const event = asked.get(said.event_id);
    if (said.msg === 'process_generating') asked.delete(said.event_id);
    if (!event || said.msg !== 'process_completed') return message;
    asked.delete(said.event_id);
    const data = said.output && said.output.data;
    if (!Array.isArray(data)) return message;
    const isNewer = (component) => (typed.get(element(component)) || 0) > event.sent;
    if (!event.outputs.some(isNewer)) return message;
    said.output.data = data.map(
      (value, k) => isNewer(event.outputs[k]) ? {__type__: 'update'} : value);
    return 'data: ' + JSON.stringify(said);
  }

  window.fetch = (what, options) => {
    const path = String(what.url || what).split('?')[0];
    if (path.endsWith('/queue/join')) return joined(what, options);
    if (path.endsWith('/queue/data')) return listening(what, options);
    return plainFetch(what, options);
  };

  function joined(what, options) {
    const sent = performance.now();
    const request = plainFetch(what, options);
    const known = request.then(async (answer) => {
      const taken = answer.ok ? await answer.clone().json() : {};
      if (taken.event_id) asked.set(taken.event_id, {sent, outputs: outputsOf(options)});
      if (taken.event_id && !early.delete(taken.event_id)) unheard.add(taken.event_id);
    }).catch(() => {});
    joining.add(known);
    return known.then(() => {
      joining.delete(known);
      if (joining.size === 0) early.clear();
      return request;
    });
  }

  function outputsOf(options) {
    try {
      const number = JSON.parse(options.body).fn_index;
      return window.gradio_config.dependencies.find((one) => one.id === number).outputs;
    } catch {
      return [];
    }
  }

  // Whether the stream ends: nothing that was sent is unheard of.
  async function ends() {
    await Promise.all(joining);
    const none = unheard.size === 0;
    unheard.clear();  // the next stream brings them, or nothing does
    return none;
  }

  // A stream that the page gives up, when it closes or is loaded anew, ends without an error.
  const givenUp = (what) => Boolean(what.signal && what.signal.aborted);
  const opened = (what, options) => plainFetch(what, options).catch((error) => {
    if (givenUp(what)) return new Response('');
    throw error;
  });

  async function listening(what, options) {
    const first = await opened(what, options);
    if (!first.ok || !first.body) return first;
    const encoder = new TextEncoder();
    const reading = (answer) => answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let reader = reading(first);
    let rest = '';
    let ended = false;  // the page has been told; it gives up the request before it reads on
    const read = () => ended ? {done: true} : reader.read().catch((error) => {
      if (givenUp(what)) return {done: true};
      throw error;
    });
    const body = new ReadableStream({
      async pull(out) {
        for (;;) {
          const {done, value} = await read();
          if (done || ended) return out.close();
          const messages = (rest + value).split('\\n\\n');
          rest = messages.pop();
          let passed = 0;
          for (const message of messages) {
            const said = parsed(message);
            if (!unheard.delete(said.event_id) && joining.size) early.add(said.event_id);
            if (said.msg === 'close_stream' && !(await ends())) {
              reader.cancel().catch(() => {});
              const next = await opened(what, options);
              if (!next.ok || !next.body) throw new Error('The stream of answers ended.');
              reader = reading(next);
              rest = '';
              break;
            }
            out.enqueue(encoder.encode(kept(message, said) + '\\n\\n'));
            passed += 1;
            ended = ended || said.msg === 'close_stream';
          }
          if (passed) return;
        }
      },
      cancel: (reason) => reader.cancel(reason),
    });
    return new Response(body, {status: first.status, headers: first.headers});
  }

  function parsed(message) {
    try {
      return JSON.parse(message.slice(message.indexOf(':') + 1)) || {};
    } catch {
      return {};
    }
  }
})();
</script>
"""
