// A window of the hub's own, which a page opened: it passes the page's requests on to the hub, and tells the hub
// the page's origin, which the browser vouches for. The hub asks its user about that origin, as always.
"use strict";

const PATHS = /^\/($|upload\/|translator\/)/;
const running = new Map(); // requests under way, by the page's number

function say(text) {
  document.getElementById("text").textContent = text;
}

addEventListener("message", ({ source, origin, data, ports }) => {
  if (source !== opener || data !== "samp-window" || ports.length !== 1) return;
  stopAll();
  const [port] = ports;
  port.addEventListener("close", stopAll); // the page has gone
  port.onmessage = ({ data }) => (data.stop ? running.get(data.id)?.abort() : pass(port, origin, data));
  say(`This window connects ${origin} with the SAMP hub on this computer. Keep it open as long as that page is to use the hub.`);
});

function stopAll() {
  for (const control of running.values()) control.abort();
}

async function pass(port, origin, { id, path, method, type, body }) {
  const control = new AbortController();
  running.set(id, control);
  const end = () => running.delete(id);
  try {
    if (!PATHS.test(path)) throw new TypeError("the hub's window leads to the hub only");
    const headers = new Headers({ "X-Samp-Page": origin });
    if (type) headers.set("Content-Type", type);
    const response = await fetch(path, { method, headers, body, signal: control.signal, cache: "no-store", redirect: "error" });
    const stream = response.body?.pipeThrough(new TransformStream({ flush: end })) ?? null;
    answer(port, { id, status: response.status }, stream);
  } catch (error) {
    end();
    port.postMessage({ id, error: String(error) });
  }
}

async function answer(port, head, stream) {
  try {
    port.postMessage({ ...head, body: stream }, stream ? [stream] : []);
  } catch {
    // this browser hands no streams over
    port.postMessage({ ...head, body: stream && (await new Response(stream).arrayBuffer()) });
  }
}

if (opener) {
  opener.postMessage("samp-window", "*"); // says nothing but that it is there
} else {
  say("This window of the SAMP hub is of use to a page that opens it, and that page is out of its reach.");
}
