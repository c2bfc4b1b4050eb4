// The widget of a notebook: a relay by the notebook's own messages, or by a WebSocket where those have to wait.
// It stands behind relay.js and socket.js in one module.

const relays = new Map(); // of this page, by the key of the widget: each function gets another model object

function initialize({ model }) {
  const key = model.get("_key");
  const say = (...said) => {
    relays.get(key).state = said;
    for (const update of relays.get(key).views) update();
  };
  relays.set(key, { state: ["", ""], views: new Set() });
  const socket = model.get("_socket");
  const end = socket ? bySocket(model, socket, say) : byMessages(model, say);
  // What the page keeps of a notebook that is saved leads nowhere. The kernel still has it, for a reload.
  model.set("_socket", "");
  return () => {
    end();
    relays.delete(key);
  };
}

function byMessages(model, say) {
  const send = (message, data) => model.send(message, undefined, data ? [data] : []);
  const relay = new Relay({ send, show: say, base: notebookBase() });
  const receive = (message, buffers) => relay.receive(message, buffers?.[0]);
  const leave = () => relay.bye();
  const abandon = () => {
    relay.abandoned();
    say("lost", "The notebook's kernel has ended, and with it the connection to the SAMP hub: run the cell again.");
  };
  const look = (_, status) => ["restarting", "autorestarting", "dead"].includes(status) && abandon();
  const statuses = model.widget_manager?.kernel?.statusChanged; // of JupyterLab and Notebook 7
  model.on("msg:custom", receive);
  model.on("comm_live_update", abandon); // a kernel that is restarted says nothing to its widgets
  statuses?.connect(look);
  addEventListener("pagehide", leave);
  relay.ready();
  return () => {
    model.off("msg:custom", receive);
    model.off("comm_live_update", abandon);
    statuses?.disconnect(look);
    removeEventListener("pagehide", leave);
    relay.stopAll();
    try {
      relay.bye(); // the notebook was closed, perhaps: another page may take over
    } catch {
      // the kernel has closed the widget
    }
  };
}

// A notebook that was saved elsewhere may name any place. It is used when a kernel speaks for it.
function bySocket(model, place, say) {
  const base = notebookBase();
  const never =
    "SAMP: this page cannot reach the kernel. If it runs, its ipykernel is older than 7, and this notebook's server " +
    "has no jupyter-server-proxy: install one of them, and run the cell again.";
  let ended = false;
  let end = () => {};
  isLive(model).then((live) => {
    if (live && !ended) end = connect(new URL(place, base), say, { base, never });
  });
  return () => {
    ended = true;
    end();
  };
}

// Whether the widget is a running kernel's. The key is its id, too.
async function isLive(model) {
  try {
    return (await model.widget_manager.get_model(model.get("_key"))).comm_live === true;
  } catch {
    return false;
  }
}

// Where this notebook's server is: JupyterLab and Notebook 7 say so in their page.
function notebookBase() {
  const config = document.getElementById("jupyter-config-data");
  const base = config ? JSON.parse(config.textContent).baseUrl : document.body.dataset.baseUrl;
  return new URL(base ?? "/", location.href).href;
}

function render({ model, el }) {
  const key = model.get("_key");
  el.classList.add("asyncsamp-relay");
  const text = document.createElement("span");
  text.setAttribute("role", "status");
  const button = document.createElement("button");
  button.textContent = "Ask the browser for its permission";
  button.hidden = true;
  // A question of the browser's may need a gesture of the user's.
  button.onclick = () => fetch("http://localhost:21012/", { mode: "no-cors" }).catch(() => {}).finally(update);
  const other = document.createElement("button");
  other.textContent = "Use a window of the hub's instead";
  other.hidden = true;
  other.onclick = () =>
    openWindow().then(
      () => (text.textContent = "The hub's window is open: run the cell again."),
      (error) => (text.textContent = error.message),
    );
  el.append(text, button, other);

  async function update() {
    const [state, said, why] = relays.get(key)?.state ?? ["", ""];
    text.textContent = said || "SAMP: this page is not connected to a running notebook.";
    el.dataset.state = state;
    const permission = await localNetworkPermission();
    button.hidden = permission !== "prompt" || state === "connected";
    other.hidden = state !== "lost" || !["denied", "unreachable", "safari"].includes(why);
    if (permission === "denied") text.textContent += " The browser does not let this page reach your computer.";
  }

  const relay = relays.get(key);
  relay?.views.add(update);
  update();
  return () => relay?.views.delete(update);
}

export default { initialize, render };
