// One stream of events for all pages that one user has open in one browser. A page sends "hello" and "bye"; it gets
// {stream: "open" | "closed"}, {event: ...} and {off: reason}.
"use strict";

const FIRST_PAUSE = 250, LONGEST_PAUSE = 10000;   // milliseconds before a stream is opened again
const TOKEN = new URL("../../../index.php?module=UacCompanion&action=Token", self.location.href);
const user = self.name.replace("uac-", "");
const pages = new Set();
let source = null, isAsking = false, state = "closed", pause = FIRST_PAUSE, timer = null;

function post(message) {
  pages.forEach((page) => page.postMessage(message));
}

function become(next) {
  if (next === state) return;
  state = next;
  post({ stream: state });
}

function close() {
  if (source) source.close();
  source = null;
  become("closed");
}

// Between half and one and a half of the pause, so that the browsers of an office do not come back all at once.
function openLater() {
  if (timer || !pages.size) return;
  timer = setTimeout(() => { timer = null; open(); }, pause * (0.5 + Math.random()));
  pause = Math.min(2 * pause, LONGEST_PAUSE);
}

// Throws where the CRM cannot be reached or answers something else.
async function ask() {
  const reply = await fetch(TOKEN, {
    cache: "no-store", credentials: "same-origin", redirect: "error", headers: { "X-Requested-With": "XMLHttpRequest" },
  });
  const whole = await reply.json();
  if (!whole.success) return { off: "not-permitted" };
  return whole.result;
}

// Of the session, which may be another user's by now than that of the pages.
function userOf(token) {
  return String(JSON.parse(atob(token.split(".")[0].replace(/-/g, "+").replace(/_/g, "/"))).u);
}

async function open() {
  if (source || isAsking || !pages.size) return;
  isAsking = true;
  try {
    const answer = await ask();
    if (answer.off) return post({ off: answer.off });
    if (userOf(answer.token) !== user) return post({ off: "other-user" });
    if (pages.size) follow(new URL(answer.url, self.location.href).href + "?token=" + encodeURIComponent(answer.token));
  } catch (error) {
    openLater();
  } finally {
    isAsking = false;
  }
}

function follow(address) {
  source = new EventSource(address);
  source.onopen = () => { pause = FIRST_PAUSE; become("open"); };
  source.onmessage = (message) => { post({ event: JSON.parse(message.data) }); };
  // EventSource would try again with the same token, which is used up.
  source.onerror = () => { close(); openLater(); };
}

function receive(page, message) {
  if (message === "hello") {
    pages.add(page);
    page.postMessage({ stream: state });
    if (source === null && !timer) open();
  } else if (message === "bye") {
    pages.delete(page);
    if (!pages.size) close();
  }
}

self.onconnect = (connection) => {
  const page = connection.ports[0];
  page.onmessage = (message) => receive(page, message.data);
  page.start();
};
