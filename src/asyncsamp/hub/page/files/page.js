// The hub's page. What clients say is set as text only, never as markup.

const KEY = "asyncsamp-page-key";
const MOST = 1000; // messages that are kept and shown

const find = id => document.getElementById(id);
const clients = new Map(); // id -> what the hub says of it
const messages = new Map(); // number -> message, oldest first
const rows = new Map(); // number -> its table row
const clientRows = new Map(); // id -> its table row
const arriving = document.createDocumentFragment(); // rows of clients of whom more are coming
let paused = false;
let stopped = false;
let shown = null; // the message, or the id of the client, in the detail view

function make(tag, text = "", attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function button(text, label, act) {
  const made = make("button", text, { type: "button", "aria-label": label });
  made.addEventListener("click", act);
  return made;
}

async function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-Asyncsamp-Page": localStorage.getItem(KEY) || "" };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error((await answer.text()).trim());
  const told = await answer.json();
  if (told.error) throw new Error(told.error);
  return told;
}

function state(text, kind = "") {
  find("state").textContent = text;
  find("state").className = kind;
}

async function act(text, work) {
  find("told").textContent = "";
  try {
    find("told").textContent = await work() ?? text;
  } catch (error) {
    find("told").textContent = error.message;
  }
}

// ---- clients

function drawOwing(changed) {
  if (!changed.length) return;
  for (const each of changed) if (clients.has(each.id)) Object.assign(clients.get(each.id), each);
  for (const { id } of changed)
    if (clients.has(id)) clientRows.get(id).cells[2].textContent = standing(clients.get(id));
  if (clients.has(shown)) find("content").textContent = contentOfClient(clients.get(shown));
}

const nameOf = id => clients.get(id)?.name || id;

function standing(client) {
  const told = [];
  if (!client.callable) told.push("cannot be called");
  if (client.congested) told.push("does not take its messages");
  if (client.owes) {
    const to = Object.entries(client.owed).map(([id, count]) => nameOf(id) + (count > 1 ? ` (${count})` : ""));
    told.push(`owes ${client.owes} answer${client.owes > 1 ? "s" : ""} to ${to.join(", ") || "others"}`);
  }
  return told.join(", ") || "ready";
}

function contentOfClient(client) {
  const takes = client.subscriptions.map(mtype => `  ${mtype}`).join("\n") || "  nothing";
  const waits = [...clients.values()].filter(other => other.owed[client.id])
    .map(other => `  ${other.name || other.id} (${other.owed[client.id]})`).join("\n") || "  nobody";
  const origin = client.origin === null ? "" : `web page of: ${client.origin || "no origin"}\n\n`;
  return `${origin}metadata:${client.metadata}\n\ntakes:\n${takes}\n\nstate: ${standing(client)}\n\nwaits for answers of:\n${waits}`;
}

const rowOfClient = find("client-row").content.firstElementChild;

const clientName = client => client.name || "(no name yet)";

function clientRow(client) {
  const row = document.importNode(rowOfClient, true);
  row.dataset.client = client.id;
  const name = clientName(client);
  const [who, id, state, ...cells] = row.children;
  const [taken, actions] = cells.map(cell => cell.firstElementChild);
  const [open] = who.children;
  open.textContent = name;
  if (client.icon) open.before(make("img", "", { alt: "", referrerpolicy: "no-referrer", loading: "lazy", src: client.icon }), " ");
  id.textContent = client.id;
  state.textContent = standing(client);
  const takes = client.subscriptions.filter(mtype => !mtype.startsWith("samp."));
  taken.textContent = takes.slice(0, 6).join(", ") + (takes.length > 6 ? ` and ${takes.length - 6} more` : "");
  const [ping, disconnect, permit] = actions.children;
  open.setAttribute("aria-label", `Details of ${name}`);
  ping.setAttribute("aria-label", `Ping ${name}`);
  disconnect.setAttribute("aria-label", `Disconnect ${name}`);
  if (subjectOf(client)) permit.setAttribute("aria-label", `Permissions of ${name}`);
  else permit.remove();
  return row;
}

// What the buttons of a client's row do.
const ACTS = {
  details: client => showDetail(`Client ${clientName(client)}`, contentOfClient(client), client.id),
  ping: client => act("", async () => {
    const told = await post("ping", { client: client.id });
    return `${clientName(client)} answered after ${Math.round(told.seconds * 1000)} ms`;
  }),
  disconnect(client) {
    const name = clientName(client);
    const reason = prompt(`Disconnect ${name}. Reason, which it is told:`, "");
    if (reason !== null)
      act(`${name} is disconnected`, () => post("disconnect", { client: client.id, reason }).then(() => null));
  },
  permissions: client => decideAbout(subjectOf(client)),
};

function drawClients(changed, left, more = false) {
  for (const client of changed) {
    clients.set(client.id, client);
    if (client.id === shown) find("content").textContent = contentOfClient(client);
    const row = clientRow(client);
    const before = clientRows.get(client.id);
    clientRows.set(client.id, row);
    if (!before) arriving.append(row);
    else if (before.contains(document.activeElement)) {
      // Who is on a button of this row stays there.
      const place = Array.from(before.querySelectorAll("button")).indexOf(document.activeElement);
      before.replaceWith(row);
      row.querySelectorAll("button")[place]?.focus();
    } else before.replaceWith(row);
  }
  if (more) return; // so that all are laid out at once
  find("clients").append(arriving);
  for (const id of left) {
    clients.delete(id);
    clientRows.get(id)?.remove();
    clientRows.delete(id);
  }
  find("count").textContent = clients.size;
  if (!choicesWait) requestAnimationFrame(() => setTimeout(drawChoices)); // once the table is seen
  choicesWait = true;
}

let choicesWait = false;

function drawChoices() {
  choicesWait = false;
  for (const list of [find("of-client"), find("to")]) drawChoice(list);
  drawMTypes();
  drawSubjects();
}

function drawChoice(list) {
  const chosen = list.value;
  const first = list.options[0];
  list.replaceChildren(first, ...Array.from(clients.values(), client =>
    make("option", `${client.name || "(no name)"} (${client.id})`, { value: client.id })));
  list.value = clients.has(chosen) ? chosen : "";
}

function drawMTypes() {
  const all = new Set(forms.keys());
  for (const client of clients.values()) client.subscriptions.forEach(mtype => all.add(mtype));
  find("mtypes").replaceChildren(...[...all].filter(mtype => !mtype.endsWith("*")).sort()
    .map(mtype => make("option", "", { value: mtype })));
}

// ---- web pages

const ORIGINS = { "": "none: a program, not a browser", null: "null (a page from a file on disk, or in a sandbox)",
  "file://": "file:// (a page from a file on disk, in a program such as Electron)" };

const answered = new Set(); // numbers of questions that were answered here

function drawQuestions(questions) {
  const list = find("questions");
  const drawn = new Map(Array.from(list.children, box => [box.dataset.number, box]));
  for (const question of questions) {
    if (!drawn.delete(question.number)) list.append(questionBox(question));
  }
  for (const [number, box] of drawn) {
    if (!answered.delete(number)) find("told").textContent = `${box.dataset.name}: answered elsewhere, or taken back`;
    box.remove();
  }
  document.title = questions.length ? "(?) SAMP hub" : "SAMP hub";
}

function questionBox(question) {
  const box = make("div", "", { class: "question", role: "group", "aria-label": question.title });
  box.dataset.number = question.number;
  box.dataset.name = question.name;
  box.append(make("h2", question.title),
    make("p", `It calls itself: ${question.name}`),
    make("p", `Origin: ${ORIGINS[question.origin] || question.origin}`));
  if (question.referer) box.append(make("p", `Referer: ${question.referer}`));
  if (question.disagree) box.append(make("p", "Warning: origin and referer are not the same site.", { class: "bad" }));
  if (question.detail) box.append(make("p", `Now it wants to send: ${question.detail}`));
  box.append(make("p", question.consequence));
  const choices = [["Deny", "deny"], [question.wants === "register" ? "Allow once" : "Allow until it leaves", "allow"]];
  if (question.always) choices.push(["Always for this origin", "allow always"]);
  for (const [text, answer] of choices) {
    box.append(button(text, `${text}: ${question.name} of ${question.origin || "no origin"}`, () => act("", async () => {
      answered.add(question.number);
      await post("consent", { number: question.number, answer });
    })), " ");
  }
  return box;
}

// ---- permissions

const PERMISSIONS = ["register", "receive", "send", "command", "read", "upload"];
const DEFAULTS = {
  origin: { register: "ask", receive: "yes", send: "yes", command: "ask", read: "yes", upload: "yes" },
  client: { receive: "yes", send: "yes", command: "yes" },
};
let permissions = []; // what is decided
const added = new Map(); // "kind name" -> subject about which the user is about to decide

const keyOf = subject => `${subject.kind} ${subject.name}`;

// Whom a decision about this client is about; null if nothing can be decided for good.
function subjectOf(client) {
  if (client.origin === null) return client.name ? { kind: "client", name: client.name } : null;
  return /^https?:/.test(client.origin) ? { kind: "origin", name: client.origin } : null;
}

function drawPermissions(decided) {
  permissions = decided;
  const table = find("permissions");
  const active = document.activeElement;
  const place = table.contains(active) ? [active.closest("tr").dataset.subject, active.getAttribute("aria-label")] : null;
  const all = new Map([...added, ...permissions.map(subject => [keyOf(subject), subject])]);
  table.replaceChildren(...Array.from(all.values(), permissionRow));
  table.closest(".scroll").hidden = !all.size;
  if (place) // who is on a control of this table stays there
    for (const row of table.rows)
      if (row.dataset.subject === place[0])
        [...row.querySelectorAll("select, button")].find(each => each.getAttribute("aria-label") === place[1])?.focus();
}

function permissionRow(subject) {
  const row = make("tr");
  row.dataset.subject = keyOf(subject);
  row.append(make("th", subject.name, { scope: "row" }));
  for (const permission of PERMISSIONS) {
    const cell = row.insertCell();
    const standard = DEFAULTS[subject.kind][permission];
    if (!standard) {
      cell.textContent = "\u2013";
      continue;
    }
    const choice = make("select", "", { "aria-label": `${permission}: ${subject.name}` });
    choice.append(make("option", `default: ${standard}`, { value: "null" }), make("option", "yes", { value: "true" }),
      make("option", "no", { value: "false" }));
    choice.value = String(subject.decided?.[permission] ?? null);
    choice.addEventListener("change", () => act("", async () => {
      const { kind, name } = subject;
      const told = await post("permit", { kind, name, permission, allowed: JSON.parse(choice.value) });
      added.set(keyOf(subject), { kind, name });
      drawPermissions(told.permissions);
      return `${permission} of ${name}: ${choice.selectedOptions[0].textContent}`;
    }));
    cell.append(choice);
  }
  row.insertCell().append(button("Revoke", `Revoke ${subject.name}`, () => act("", async () => {
    added.delete(keyOf(subject));
    if (!subject.decided) return drawPermissions(permissions);
    drawPermissions((await post("revoke", { kind: subject.kind, name: subject.name })).permissions);
    return `Nothing is decided about ${subject.name} any more`;
  })));
  return row;
}

function decideAbout(subject) {
  added.set(keyOf(subject), subject);
  drawPermissions(permissions);
  for (const row of find("permissions").rows)
    if (row.dataset.subject === keyOf(subject)) row.querySelector("select").focus();
}

function drawSubjects() {
  const list = find("permit-who");
  const chosen = list.value;
  const all = new Map();
  for (const client of clients.values()) {
    const subject = subjectOf(client);
    if (subject) all.set(keyOf(subject), subject);
  }
  list.replaceChildren(...Array.from(all, ([key, subject]) =>
    make("option", subject.kind === "origin" ? `web pages of ${subject.name}` : subject.name, { value: key })));
  if (all.has(chosen)) list.value = chosen;
  find("permit").disabled = !all.size;
}

// ---- messages

function wanted(message) {
  const client = find("of-client").value;
  if (client && message.sender !== client && message.recipient !== client) return false;
  const mtype = find("of-mtype").value.trim();
  if (mtype.endsWith("*") ? !message.mtype.startsWith(mtype.slice(0, -1)) : mtype && message.mtype !== mtype)
    return false;
  const text = find("search").value.trim().toLowerCase();
  return !text || contentOf(message).toLowerCase().includes(text);
}

function contentOf(message) {
  return [`${message.call ? "call" : "notification"} ${message.mtype}`,
    `from ${message.from}`, `to ${message.towards}`, `status: ${message.what}`,
    message.error ? `error: ${message.error}` : "", `parameters:${message.params}`,
    message.answer ? `answer:${message.answer}` : ""].filter(Boolean).join("\n");
}

function take(event) {
  let message = messages.get(event.number);
  if (event.what === "sent") {
    message = { ...event, time: new Date(), from: nameOf(event.sender), towards: nameOf(event.recipient) };
    messages.set(event.number, message);
    if (messages.size > MOST) {
      const [oldest] = messages.keys();
      messages.delete(oldest);
      rows.get(oldest)?.remove();
      rows.delete(oldest);
    }
  } else if (message) Object.assign(message, event);
  else return;
  if (!paused) drawMessage(message);
  if (message === shown) find("content").textContent = contentOf(message);
}

function drawMessage(message) {
  let row = rows.get(message.number);
  if (!row) {
    row = make("tr");
    for (let cell = 0; cell < 6; cell++) row.insertCell();
    row.cells[0].textContent = message.time.toLocaleTimeString();
    row.cells[1].textContent = message.from;
    row.cells[2].textContent = message.towards;
    const open = button(message.mtype, `Details of ${message.mtype} from ${message.from}`, () => {
      showDetail(message.mtype, contentOf(message), message);
    });
    open.className = "row";
    row.cells[3].append(open);
    rows.set(message.number, row);
    find("messages").prepend(row);
  }
  row.cells[4].textContent = message.error ? `${message.what}: ${message.error}` : message.what;
  row.cells[4].className = message.what === "failed" ? "bad" : "";
  row.cells[5].textContent = message.what === "sent" ? "" : (message.seconds * 1000).toFixed(1);
  row.hidden = !wanted(message);
}

function showDetail(title, text, what) {
  shown = what;
  find("detail-title").textContent = title;
  find("content").textContent = text;
  find("detail").hidden = false;
  find("detail-title").focus();
}

const redraw = () => messages.forEach(drawMessage);

function save() {
  const lines = [...messages.values()].filter(wanted).map(message => JSON.stringify(message));
  const url = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "application/jsonl" }));
  make("a", "", { href: url, download: "samp-messages.jsonl" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// ---- the rate

const SECONDS = 120;
const rates = new Array(SECONDS).fill(0); // messages in each of the last seconds
let total = 0; // messages since this page was opened
let counted = 0; // those that are in `rates`

function drawRate() {
  const idle = total === counted && rates.every(rate => rate === 0);
  rates.push(total - counted);
  rates.shift();
  counted = total;
  if (idle) return;
  const most = Math.max(...rates, 1);
  find("line").setAttribute("points", rates.map((rate, second) => `${second},${(39 - 36 * rate / most).toFixed(1)}`).join(" "));
  find("rate").textContent = `${rates.at(-1)} a second, at most ${most === 1 ? Math.max(...rates) : most} in the last two minutes`;
}

setInterval(drawRate, 1000);

// ---- the stream

const handlers = {
  hello(hello) {
    clients.clear();
    clientRows.clear();
    arriving.replaceChildren();
    find("clients").replaceChildren();
    find("label").textContent = hello.label;
    state(`Connected to ${hello.url}.`, "good");
    find("all").hidden = false;
    drawClients(hello.clients, [], hello.more);
    drawQuestions(hello.questions);
    drawPermissions(hello.permissions);
    forms = new Map(hello.forms.map(form => [form.mtype, form]));
    drawMTypes();
    drawForm();
    total = counted = 0;
  },
  clients(part) { // after the first hundred
    drawClients(part.clients, [], part.more);
  },
  batch(batch) {
    if (batch.clients.length || batch.left.length) drawClients(batch.clients, []);
    drawOwing(batch.owing);
    batch.messages.forEach(take);
    for (const extra of batch.extra) {
      if (extra.questions) drawQuestions(extra.questions);
      if (extra.permissions) drawPermissions(extra.permissions);
    }
    if (batch.left.length) drawClients([], batch.left);
    total = batch.total;
    find("total").textContent = total;
    find("missed").textContent = batch.missed ? `, a sample: ${batch.missed} not shown` : "";
  },
  stopped() {
    stopped = true;
    state("The hub has stopped.", "bad");
  },
};

async function read() {
  const headers = { "X-Asyncsamp-Page": localStorage.getItem(KEY) || "" };
  const answer = await fetch("events", { headers });
  if (!answer.ok) {
    stopped = answer.status === 401 || answer.status === 403;
    throw new Error((await answer.text()).trim());
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const match = /^event: (\w+)\ndata: (.*)$/.exec(event);
      if (match) handlers[match[1]]?.(JSON.parse(match[2]));
    }
  }
}

async function main() {
  const token = location.hash.slice(1);
  if (token) {
    history.replaceState(null, "", "/");
    try {
      localStorage.setItem(KEY, (await post("session", { token })).key);
    } catch (error) {
      if (!localStorage.getItem(KEY)) return state(error.message, "bad");
    }
  }
  while (!stopped) {
    try {
      await read();
      if (!stopped) state("The hub does not answer; trying again. One that was started anew prints a new link.", "bad");
    } catch (error) {
      state(stopped ? error.message : "The hub does not answer; trying again. One that was started anew prints a new link.", "bad");
    }
    if (!stopped) await new Promise(resolve => setTimeout(resolve, 1000));
  }
}

// ---- the form

let forms = new Map(); // mtype -> its parameters
let drawnForm = null;

const KINDS = {
  text: {}, integer: { inputmode: "numeric", pattern: "\\s*[+\\-]?[0-9]+\\s*", title: "a whole number" },
  number: { inputmode: "decimal", pattern: "\\s*[+\\-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+\\-]?[0-9]+)?\\s*", title: "a number" },
  list: { placeholder: "one, two, three" },
};

function drawForm() {
  const form = forms.get(find("mtype").value.trim());
  if (form === drawnForm) return;
  drawnForm = form;
  find("about").textContent = form ? form.about : "";
  find("fields").replaceChildren(...(form ? form.params : []).map(fieldOf));
}

function fieldOf(param) {
  const label = make("label", `${param.name}${param.required ? "" : " (optional)"} `);
  let field;
  if (param.kind === "boolean") {
    field = make("select");
    field.append(make("option", "", { value: "" }), make("option", "yes", { value: "1" }), make("option", "no", { value: "0" }));
  } else if (param.kind === "map" || param.kind === "any") {
    field = make("textarea", "", { rows: 2, cols: 40, placeholder: "name = value" });
  } else field = make("input", "", KINDS[param.kind]);
  field.name = param.name;
  field.dataset.kind = param.kind;
  field.required = param.required;
  label.append(field);
  return label;
}

function valueOf(field) {
  const text = field.value;
  if (field.dataset.kind === "list") return text.split(",").map(each => each.trim()).filter(Boolean);
  if (field.dataset.kind === "map") return mapOf(text);
  if (field.dataset.kind === "any" && text.includes("=")) return mapOf(text);
  return field.dataset.kind === "text" ? text : text.trim();
}

function parameters() {
  const params = mapOf(find("params").value);
  for (const field of find("fields").querySelectorAll("input, select, textarea"))
    if (field.value.trim()) params[field.name] = valueOf(field);
  return params;
}

function mapOf(text) {
  const params = {};
  for (const line of text.split("\n")) {
    if (!line.trim()) continue;
    const [name, ...value] = line.split("=");
    if (!value.length) throw new Error(`"${line}" is not of the form name = value`);
    params[name.trim()] = value.join("=").trim();
  }
  return params;
}

find("clients").addEventListener("click", event => {
  const pressed = event.target.closest("button");
  const client = pressed && clients.get(pressed.closest("tr").dataset.client);
  if (client) ACTS[pressed.dataset.act](client);
});
find("clients").addEventListener("error", event => event.target.remove(), true); // an icon that is not there
find("mtype").addEventListener("input", drawForm);
for (const id of ["of-client", "of-mtype", "search"]) find(id).addEventListener("input", redraw);
find("pause").addEventListener("click", () => {
  paused = !paused;
  find("pause").setAttribute("aria-pressed", paused);
  if (!paused) redraw();
});
find("clear").addEventListener("click", () => {
  messages.clear();
  rows.clear();
  find("messages").replaceChildren();
});
find("save").addEventListener("click", save);
find("close").addEventListener("click", () => { find("detail").hidden = true; shown = null; });
find("permit").addEventListener("click", () => {
  const [kind, ...name] = find("permit-who").value.split(" ");
  if (kind) decideAbout({ kind, name: name.join(" ") });
});
find("link").addEventListener("click", () => act("", async () => (await post("link", {})).link));
find("stop").addEventListener("click", () => {
  if (confirm("Stop the hub? All tools lose their connection.")) act("The hub stops.", () => post("stop", {}).then(() => null));
});
find("send").addEventListener("submit", async event => {
  event.preventDefault();
  const out = find("answer");
  out.textContent = "";
  try {
    const to = find("to").value;
    const told = await post("send", { to, mtype: find("mtype").value.trim(), call: find("call").checked, params: parameters() });
    out.textContent = told.answer !== undefined ? `answer:${told.answer}`
      : `sent to ${told.told.map(nameOf).join(", ") || "nobody: no client takes it"}`;
  } catch (error) {
    out.textContent = error.message;
  }
});
main();
