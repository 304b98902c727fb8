"use strict";

// Everything that comes from a call is put in as text, never as markup.
const at = (id) => document.getElementById(id);
const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};
const PHONE = { idle: "idle", ringing: "rings", dialling: "dials", talking: "talks" };
const shown = { desks: "", calls: "", customers: "" };
const known = new Set();
let first = true;

// What was there when the page was opened does not flash up as new.
function news(key, className) {
  const isNew = !known.has(key) && !first;
  known.add(key);
  return isNew ? className : "";
}

function customerLink(name, id) {
  const link = make("a", "", name);
  link.href = "#customer-" + encodeURIComponent(id);
  return link;
}

function popup(call) {
  const box = make("div", "popup " + news("popup " + call.row, "new"));
  box.setAttribute("role", "alert");
  const title = make("h3", "", "Incoming Call");
  title.append(make("span", "", call.status));
  const from = make("p", "", "Call From : ");
  from.append(call.caller ? customerLink(call.caller, call.customer) : make("strong", "", call.number));
  box.append(title, from);
  if (call.caller) {
    box.append(make("p", "", "Assigned To : " + call.assigned_to), make("p", "hint", call.number));
  } else {
    box.append(make("p", "hint", "Unknown number: vTiger offers to save it as a contact or lead."));
  }
  return box;
}

function desk(data) {
  const card = make("article", "desk");
  const who = make("div", "who");
  const state = PHONE[data.phone] + (data.phone !== "idle" && data.with ? " · " + data.with : "");
  const screen = make("a", "ext", data.extension);
  screen.href = "desk/" + encodeURIComponent(data.extension) + "/";
  screen.title = "The screen of this user: popups by the companion module";
  who.append(screen, make("span", "name", data.name), make("span", "phone " + data.phone, state));
  card.append(who);
  if (data.popups.length) {
    const popups = make("div", "popups");
    popups.append(...data.popups.map(popup));
    card.append(popups);
  } else {
    card.append(make("p", "quiet", "no popup"));
  }
  return card;
}

function row(call) {
  const line = make("tr", news("row " + call.id, "new"));
  line.title = "callUUID " + call.uuid;
  const status = make("td");
  status.append(make("span", "status " + call.colour, (call.direction === "outbound" ? "↑ " : "↓ ") + call.status));
  const customer = make("td");
  customer.append(call.customer ? customerLink(call.customer, call.customer_id) : make("span", "none", "--"));
  const recording = make("td");
  if (call.recording) {
    const play = make("button", "recorded", "recording");
    play.type = "button";
    play.title = call.recording;
    play.addEventListener("click", () => listen(call));
    recording.append(play);
  }
  line.append(status, make("td", "", call.number), customer, make("td", "", call.user), recording,
    make("td", "number", String(call.duration)), make("td", "", call.start));
  return line;
}

// One player outside of the table, so that a new call does not interrupt it.
function listen(call) {
  const player = at("player");
  at("playing").textContent = (call.customer || call.number) + " · " + call.user + " · " + call.start;
  at("listening").hidden = false;
  player.src = call.listen;
  player.play().catch(() => {});
}

function customer(contact) {
  const item = make("li");
  item.id = "customer-" + contact.id;
  item.append(make("strong", "", contact.name), make("span", "", contact.phones.join(", ")),
    make("span", "", contact.kind + " · assigned to " + contact.owner));
  return item;
}

// Rebuilt only when something changed, so that a link keeps its focus and animations run once.
function fill(name, entries, build) {
  const text = JSON.stringify(entries);
  if (text === shown[name]) return;
  shown[name] = text;
  at(name).replaceChildren(...entries.map(build));
}

function show(state) {
  at("headline").textContent = state.headline;
  at("flavour").textContent = state.flavour;
  at("clock").textContent = state.clock;
  at("zone").textContent = state.zone;
  fill("desks", state.desks, desk);
  fill("calls", state.calls, row);
  fill("customers", state.customers, customer);
  first = false;
  at("empty").hidden = state.calls.length > 0;
  const faults = [[state.doubles, "doubled"], [state.hazards, "harmful values"]];
  const parts = [state.total + (state.total === 1 ? " row" : " rows"), state.open + " open"];
  parts.push(...faults.filter(([count]) => count).map(([count, what]) => count + " " + what));
  at("totals").textContent = state.total ? parts.join(" · ") : "the call list";
}

async function poll() {
  try {
    const answer = await fetch("state", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    show(await answer.json());
    at("live").classList.remove("lost");
  } catch (why) {
    at("live").classList.add("lost");
    at("headline").textContent = "The demo has ended or cannot be reached.";
  }
  setTimeout(poll, document.hidden ? 2000 : 500);
}

poll();
