// A window of the hub's own, which a page opened: it passes the page's requests on to the hub, and tells the hub
// the page's origin, which the browser vouches for. The hub asks its user about that origin, as always.
"use strict";

const PATHS = /^\/($|upload\/|translator\/)/;
const running = new Map(); // requests under way, by the page's number
let current; // the port of the page

function say(text) {
  document.getElementById("text").textContent = text;
}

addEventListener("message", ({ source, origin, data, ports }) => {
  if (source !== opener || data !== "samp-window" || ports.length !== 1) return;
  stopAll();
  const [port] = ports;
  current = port;
  port.addEventListener("close", () => port === current && stopAll()); // the page has gone
  port.onmessage = ({ data }) => (data.stop ? stop(data.id) : pass(port, origin, data));
  say(`This window connects ${origin} with the SAMP hub on this computer. Keep it open as long as that page is to use the hub.`);
});

function stop(id) {
  running.get(id)?.abort();
  running.delete(id);
}

function stopAll() {
  for (const id of [...running.keys()]) stop(id);
}

async function pass(port, origin, { id, path, method, type, body, keepalive = false }) {
  const control = new AbortController();
  running.set(id, control);
  const end = () => running.get(id) === control && running.delete(id); // a page that comes anew counts anew
  try {
    if (!PATHS.test(path)) throw new TypeError("the hub's window leads to the hub only");
    const headers = new Headers({ "X-Samp-Page": origin });
    if (type) headers.set("Content-Type", type);
    // Cookies of localhost are other servers'.
    const fixed = { credentials: "omit", cache: "no-store", redirect: "error" };
    const response = await fetch(path, { method, headers, body, keepalive, signal: control.signal, ...fixed });
    if (!response.body) end();
    await answer(port, { id, status: response.status }, response.body && watched(response.body, end));
  } catch (error) {
    end();
    port.postMessage({ id, error: String(error) });
  }
}

// Return the same stream; `end` is called when nothing comes any more, for whatever reason.
function watched(body, end) {
  const reader = body.getReader();
  const pull = async (stream) => {
    try {
      const { done, value } = await reader.read();
      if (!done) return stream.enqueue(value);
      end();
      stream.close();
    } catch (error) {
      end();
      stream.error(error);
    }
  };
  const cancel = (reason) => {
    end();
    return reader.cancel(reason);
  };
  return new ReadableStream({ pull, cancel });
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
