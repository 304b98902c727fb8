// On the module's page: tries whether this browser can open a stream, and asks before the module is removed.
(function () {
  "use strict";

  const shown = document.getElementById("state");
  const TIMEOUT = 10000;

  function show(state, about) {
    shown.textContent = (shown.getAttribute("data-" + state) || shown.getAttribute("data-other") + state).replace("%s", about);
  }

  function tryStream(answer) {
    if (answer.off) {
      show(answer.off, "");
      return;
    }
    const address = new URL(answer.url, window.location.href).href;
    const source = new EventSource(address + "?token=" + encodeURIComponent(answer.token));
    const timer = setTimeout(() => { source.close(); show("failed", address); }, TIMEOUT);
    source.onopen = () => { clearTimeout(timer); source.close(); show("open", ""); };
    source.onerror = () => { clearTimeout(timer); source.close(); show("failed", address); };
  }

  fetch("index.php?module=UacCompanion&action=Token&test=1", { cache: "no-store", credentials: "same-origin" })
    .then((reply) => reply.json())
    .then((whole) => tryStream(whole.result || { off: "not-permitted" }))
    .catch((error) => show(String(error), ""));

  document.getElementById("remove").addEventListener("submit", (event) => {
    if (!window.confirm(event.target.getAttribute("data-sure"))) event.preventDefault();
  });
})();
