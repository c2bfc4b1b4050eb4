// The page's side of the relay: it makes the HTTP requests that the program asks for, to the SAMP hub of this
// computer and to nothing else. It does nothing by itself. The messages are described in relay.py.

const HUB = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\]):21012\//;
const PIECE = 1 << 20;
const WINDOW = 4; // pieces of one answer that may be under way
const RANGE = 1 << 20; // bytes that are read at once at this page's own site: proxies hold an answer whole
const UNSEEN = 64 << 20; // bytes: see `relieve`
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname); // such pages need no permission
const OFFERED = /^(proxy\/|files\/asyncsamp-[\w-]+\.tmp$)/; // what a program may have this page read at its own site
const FIXED = { credentials: "omit", cache: "no-store", redirect: "error" };
const PLAIN = { "Content-Type": "text/plain" }; // which costs no preflight
const PERMISSIONS = ["loopback-network", "local-network-access", "local-network"];

export class Relay {
  // send(message, bytes or undefined) brings a message to the program; show(state, text, why) is called when
  // there is something to say to the user, where why is the kind of what went wrong last, if it did; base is the
  // URL below which "source" is read.
  constructor({ send, show = () => {}, base = null }) {
    this.page = Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
    this.send = (message, data) => send({ page: this.page, ...message }, data);
    this.show = show;
    this.base = base;
    this.jobs = new Map();
    this.told = ["", ""]; // by the program
    this.why = ""; // the hub was not reached
    this.reached = false; // whether the browser has ever let us
    this.farewell = null; // what to post when the program has ended without a word
    this.leaving = null; // what to post when this page does not relay any more: it may be between two pulls
  }

  ready() {
    this.send({ op: "ready" });
  }

  bye() {
    this.stopAll();
    this.send({ op: "bye" });
  }

  // The program has ended without a word.
  abandoned() {
    this.leaving = null; // the farewell says more
    this.stopAll();
    this.keepPromise("farewell");
  }

  stopAll() {
    for (const job of this.jobs.values()) job.stop();
    this.jobs.clear();
    this.keepPromise("leaving");
  }

  keepPromise(name) {
    const { url, data } = this[name] ?? {};
    this[name] = null;
    if (url) reach(url, { method: "POST", headers: PLAIN, body: data, ...FIXED, keepalive: true }).catch(() => {});
  }

  receive(message, data) {
    if (message.op === "state" && (message.page ?? this.page) === this.page) {
      this.told = [message.state, message.text];
      return this.show(...this.told, this.why);
    }
    if (message.op === "who" && (message.page ?? this.page) === this.page) return this.ready();
    if (message.page !== this.page) return;
    const job = this.jobs.get(message.id);
    switch (message.op) {
      case "farewell":
      case "leaving":
        this[message.op] = HUB.test(message.url) ? { url: message.url, data } : null;
        break;
      case "stop":
        job?.stop();
        this.jobs.delete(message.id);
        break;
      case "piece":
      case "ack":
        job?.take(message, data);
        break;
      case "post":
      case "get":
      case "upload":
        this.begin(message, data);
    }
  }

  async begin(message, data) {
    const job = new Job(this, message);
    this.jobs.set(message.id, job);
    // A server between this page and the program may hold back a small message until the one before is acknowledged
    // (Nagle's algorithm; Jupyter's does), which the system does after 40 ms, or with what this page sends.
    if (message.slow) this.send({ op: "heard", id: message.id });
    try {
      if (!HUB.test(message.url)) {
        this.show("refused", `The program asked this page for ${message.url}, which it does not reach: refused.`);
        throw new RelayError("refused");
      }
      await this.sayThatTheBrowserAsks();
      await job[message.op](data);
    } catch (error) {
      if (job.stopped) return;
      const why = await explained(error);
      this.why = why.kind;
      this.send({ op: "error", id: message.id, ...why });
    } finally {
      this.jobs.delete(message.id);
    }
  }

  async sayThatTheBrowserAsks() {
    if (!this.reached && !LOOPBACK && !windowOpen() && (await localNetworkPermission()) === "prompt") this.show("permission", ASKS);
  }

  // There was an answer, whatever it says: there is no question of the browser's, or not any more.
  reachedHub() {
    this.why = "";
    if (this.reached) return;
    this.reached = true;
    this.show(...this.told);
  }
}

const ASKS =
  "Your browser asks whether this page may reach apps on your own computer: allow it. The question stands left of the address.";

class RelayError extends Error {
  constructor(kind, text = "") {
    super(text);
    this.kind = kind;
  }
}

class Job {
  constructor(relay, { id, url, source }) {
    this.relay = relay;
    this.id = id;
    this.url = url;
    this.source = source;
    this.control = new AbortController();
    this.stopped = false;
    this.came = [];
    this.wake = () => {};
  }

  stop() {
    this.stopped = true;
    this.control.abort();
    this.wake();
  }

  take(message, data) {
    this.came.push([message, data]);
    this.wake();
  }

  async next() {
    while (!this.came.length) {
      if (this.stopped) throw new RelayError("stopped");
      await new Promise((wake) => (this.wake = wake));
    }
    return this.came.shift();
  }

  async fetch(url, options) {
    const response = await reach(url, { ...options, ...FIXED, signal: this.control.signal });
    this.relay.reachedHub();
    return response;
  }

  async post(body) {
    await this.answer(await this.fetch(this.url, { method: "POST", headers: PLAIN, body }));
  }

  async get() {
    await this.answer(await this.fetch(this.url, {}));
  }

  // Send the body of an answer in pieces, of which a few may be under way: each takes its time to be acknowledged.
  async answer(response) {
    const pieces = pieceByPiece(response.body);
    let piece = await pieces.next();
    for (let underWay = 1; ; underWay++) {
      const following = piece.done ? piece : await pieces.next();
      const data = piece.done ? new Uint8Array() : piece.value;
      this.relay.send({ op: "answer", id: this.id, status: response.status, last: following.done }, data);
      if (following.done) return;
      if (underWay >= WINDOW) await this.next();
      piece = following;
    }
  }

  async upload() {
    const pieces = this.source === undefined ? this.given() : this.read();
    let part = "new";
    let piece = await pieces.next();
    let coming = after(piece, pieces);
    while (true) {
      const following = await coming;
      coming = after(following, pieces); // comes while this one goes
      const body = piece.done ? new Uint8Array() : piece.value;
      const query = `?part=${encodeURIComponent(part)}${following.done ? "&last=1" : ""}`;
      const response = await this.fetch(this.url + query, { method: "POST", body });
      if (!response.ok) {
        const text = new TextEncoder().encode(await response.text());
        this.relay.send({ op: "answer", id: this.id, status: response.status, last: true }, text);
        return;
      }
      const answered = await response.json();
      relieve();
      if (following.done) {
        this.relay.send({ op: "answer", id: this.id, status: 200, last: true, url: answered.url });
        return;
      }
      this.relay.send({ op: "ack", id: this.id });
      part = answered.part;
      piece = following;
    }
  }

  async *given() {
    while (true) {
      const [message, data] = await this.next();
      if (message.last) return;
      yield data;
    }
  }

  // Read "source" in ranges, so that neither this page nor a proxy ever holds more than one.
  async *read() {
    const url = this.base_url(this.source);
    for (let begin = 0, size = 1; begin < size; ) {
      const piece = await this.range(url, begin);
      if (!piece.body.length) throw new RelayError(begin ? "failed" : "source", `nothing came from ${url.pathname}`);
      size = piece.size;
      begin += piece.body.length;
      relieve();
      yield piece.body;
    }
  }

  async range(url, begin) {
    const kind = begin ? "failed" : "source"; // before anything was read, there is another way
    try {
      const headers = { Range: `bytes=${begin}-${begin + RANGE - 1}` };
      const response = await fetch(url, { headers, signal: this.control.signal, cache: "no-store", redirect: "error" });
      const [, size] = /\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "") ?? [];
      if (response.status === 206 && size) return { body: new Uint8Array(await response.arrayBuffer()), size: Number(size) };
      response.body?.cancel();
      throw new RelayError(kind, `HTTP ${response.status}`);
    } catch (error) {
      throw error instanceof RelayError ? error : new RelayError(kind, `this page's own site broke off: ${error}`);
    }
  }

  base_url(source) {
    if (!this.relay.base) throw new RelayError("source", "this page knows no place to read from");
    const base = new URL(this.relay.base, location.href);
    const url = new URL(source, base);
    if (!url.href.startsWith(base.href) || url.origin !== location.origin || !OFFERED.test(url.href.slice(base.href.length))) throw new RelayError("refused", "it is not below this page's own site");
    return url;
  }
}

// What was posted stays in a page's memory until that is cleaned up; and Chromium, which does not count it, sees no
// need, so that a large table would stand there whole. It counts this, which takes no memory, since nobody writes to it.
function relieve() {
  try {
    return new ArrayBuffer(UNSEEN).byteLength;
  } catch {
    return 0; // there is so little memory that it cleans up anyway
  }
}

// Ask for the piece after `piece`.
function after(piece, pieces) {
  const next = piece.done ? Promise.resolve(piece) : pieces.next();
  next.catch(() => {}); // whoever awaits it is told
  return next;
}

// Yield the body of an answer in pieces of about PIECE bytes: small ones are joined.
async function* pieceByPiece(body) {
  if (!body) return;
  const reader = body.getReader();
  let held = [];
  let size = 0;
  while (true) {
    const { done, value } = await reader.read();
    if (value) {
      held.push(value);
      size += value.length;
    }
    if (size >= PIECE || (done && size)) {
      yield joined(held, size);
      held = [];
      size = 0;
    }
    if (done) return;
  }
}

function joined(parts, size) {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(size);
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

// ---- the hub's own window, where this page itself may not call the hub

const HUB_WINDOW = "http://localhost:21012/window";
const OPENED = Symbol.for("asyncsamp.window"); // of the page: a notebook has this module several times
const WINDOW_PATIENCE = 10000; // ms in which the window has to say that it is there

function windowOpen() {
  return globalThis[OPENED]?.closed === false;
}

// Fetch something of the hub's: through its window, if that is open.
function reach(url, options) {
  return windowOpen() ? globalThis[OPENED].fetch(url, options) : fetch(url, options);
}

// Open a window of the hub's, and reach the hub through it from now on. Call it by a click, or no window opens.
export function openWindow() {
  const opened = window.open(HUB_WINDOW, "asyncsamp-hub", "popup,width=520,height=160");
  return new Promise((resolve, reject) => {
    const give = (text) => {
      clearTimeout(timer);
      removeEventListener("message", take);
      text ? reject(new Error(text)) : resolve();
    };
    const take = (event) => {
      if (!isThere(opened, event)) return;
      globalThis[OPENED]?.end();
      globalThis[OPENED] = new HubWindow(opened);
      give();
    };
    const none = "No window of a SAMP hub opened: start one on this computer with: python -m asyncsamp.hub";
    const timer = setTimeout(give, WINDOW_PATIENCE, none);
    addEventListener("message", take);
    if (!opened) give("The browser opened no window: allow this page to open one.");
  });
}

// Whether it is the hub's window `opened` that says that it is there.
function isThere(opened, { source, origin, data }) {
  return source === opened && origin === new URL(HUB_WINDOW).origin && data === "samp-window";
}

class HubWindow {
  constructor(opened) {
    this.window = opened;
    this.waiting = new Map(); // by number
    this.number = 0;
    this.heard = (event) => isThere(opened, event) && this.renew();
    addEventListener("message", this.heard);
    this.look = setInterval(() => opened.closed && this.end("the hub's window was closed"), 1000);
    this.handOver();
  }

  get closed() {
    return this.window.closed;
  }

  handOver() {
    const { port1, port2 } = new MessageChannel();
    this.lost = new AbortController();
    this.port = port1;
    port1.onmessage = ({ data }) => this.take(data);
    this.window.postMessage("samp-window", new URL(HUB_WINDOW).origin, [port2]);
  }

  // The window was loaded again: it knows nothing of what it was asked for.
  renew() {
    this.lose(new RelayError("left", "the hub's window was loaded again"));
    this.handOver();
  }

  end(text = "another window of the hub's was opened") {
    clearInterval(this.look);
    removeEventListener("message", this.heard);
    this.lose(new TypeError(text));
  }

  lose(error) {
    this.port.close();
    this.lost.abort(error);
    for (const [, fail] of this.waiting.values()) fail(error);
    this.waiting.clear();
  }

  take({ id, status, body, error }) {
    const [give, fail] = this.waiting.get(id) ?? [];
    this.waiting.delete(id);
    if (!give) return;
    if (error !== undefined) return fail(new TypeError(error));
    try {
      give(new Response(this.breakable(body), { status }));
    } catch (unfit) {
      fail(unfit); // a status that a page cannot make itself
    }
  }

  // A stream of a window that is lost says nothing of that.
  breakable(body) {
    return body instanceof ReadableStream ? body.pipeThrough(new TransformStream(), { signal: this.lost.signal }) : body;
  }

  fetch(url, { method = "GET", headers = {}, body, signal, keepalive }) {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { pathname, search } = new URL(url);
    const id = ++this.number;
    return new Promise((give, fail) => {
      this.waiting.set(id, [give, fail]);
      signal?.addEventListener("abort", () => {
        this.waiting.delete(id);
        this.port.postMessage({ id, stop: true });
        fail(signal.reason);
      });
      this.port.postMessage({ id, path: pathname + search, method, type: headers["Content-Type"], body, keepalive });
    });
  }
}

// What the browser says of pages that reach this computer: "granted", "denied", "prompt", or "" if it does not say.
export async function localNetworkPermission() {
  for (const name of PERMISSIONS) {
    try {
      return (await navigator.permissions.query({ name })).state;
    } catch {
      // this browser calls it otherwise
    }
  }
  return "";
}

async function explained(error) {
  if (error instanceof RelayError) return { kind: error.kind, text: error.message };
  if (!(error instanceof TypeError)) return { kind: "failed", text: String(error) };
  // A failed fetch does not say why.
  if (windowOpen()) return { kind: "no-hub", text: String(error) };
  const permission = await localNetworkPermission();
  const safari = navigator.vendor.startsWith("Apple") && location.protocol === "https:";
  const kind = { denied: "denied", granted: "no-hub" }[permission] ?? (LOOPBACK ? "no-hub" : safari ? "safari" : "unreachable");
  return { kind, text: String(error) };
}
