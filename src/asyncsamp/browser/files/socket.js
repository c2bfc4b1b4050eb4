// The relay by a WebSocket, for any page.

import { Relay } from "./relay.js";
export { openWindow } from "./relay.js";

const AGAIN = 2000; // ms until a connection that was lost is tried again

// Connect this page's relay to `place`, a URL of the page's own site. `show(state, text)` is called when there
// is something to say to the user. Returns a function that ends it.
//   base: the URL below which the program may have this page read what it offers for an upload
//     ("proxy/...", "files/asyncsamp-..."); without it, nothing.
//   never: what to say as long as nobody has ever answered at `place`.
export function connect(place, show = () => {}, { base = null, never = "" } = {}) {
  let socket;
  let relay;
  let ended = false;
  let opened = false;
  let timer;
  const url = new URL(place, location.href);
  url.protocol = url.protocol.replace("http", "ws");

  function open() {
    socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    relay = new Relay({ send: (message, data) => send(socket, message, data), show, base });
    const own = relay;
    socket.onopen = () => {
      opened = true;
      own.ready();
    };
    socket.onmessage = ({ data }) => own.receive(...unframed(data));
    socket.onclose = () => {
      own.stopAll();
      if (ended) return;
      show("lost", (!opened && never) || "The connection to the program was lost; trying again.");
      timer = setTimeout(open, AGAIN);
    };
  }

  function end() {
    ended = true;
    clearTimeout(timer);
    relay.bye();
    socket.close();
  }

  open();
  addEventListener("pagehide", () => relay.bye());
  addEventListener("pageshow", ({ persisted }) => persisted && relay.ready());
  return end;
}

function send(socket, message, data = new Uint8Array()) {
  if (socket.readyState !== WebSocket.OPEN) return;
  const text = new TextEncoder().encode(JSON.stringify(message));
  const framed = new Uint8Array(4 + text.length + data.byteLength);
  new DataView(framed.buffer).setUint32(0, text.length);
  framed.set(text, 4);
  framed.set(data, 4 + text.length);
  socket.send(framed);
}

function unframed(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const message = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return [message, new Uint8Array(buffer, 4 + length)];
}
