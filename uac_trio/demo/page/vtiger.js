"use strict";

// What a page of vTiger has that its modules use, under the same names: app, _USERMETA, Vtiger_PBXManager_Js. As the real
// one's, bugs included: a request's false comes as the whole answer, and messages are put in as HTML.
const body = document.body.dataset;
const notifications = document.getElementById("notifications");
window._USERMETA = { id: body.user };

function notify(className, html, seconds) {
  const box = document.createElement("div");
  box.className = "vt-notification " + className;
  box.innerHTML = html;
  notifications.append(box);
  if (seconds) setTimeout(() => box.remove(), seconds * 1000);
}

async function request(method, address, data) {
  const query = data ? "?" + new URLSearchParams(data) : "";
  const reply = await fetch(address + query, { method, headers: { "X-Requested-With": "XMLHttpRequest" } });
  const whole = await reply.json();
  return whole.result ? whole.result : whole;
}

function asked(promise) {
  return { then: (answered) => promise.then((result) => answered(null, result), (error) => answered(error)) };
}

window.app = {
  request: {
    get: ({ url }) => asked(request("GET", url)),
    post: ({ data }) => asked(request("POST", "index.php", data)),
  },
  helper: {
    showSuccessNotification: ({ message }) => notify("good", message, 4),
    showErrorNotification: ({ message }, { delay }) => notify("bad", message, delay / 1000),
  },
};

window.Vtiger_PBXManager_Js = {
  registerEvents() {
    app.request.get({ url: "index.php?module=PBXManager&action=IncomingCallPoll&mode=checkPermissionForPolling" })
      .then((error, allowed) => {
        if (error || allowed !== true || body.polling === "never") return;
        Vtiger_PBXManager_Js.registerPBXCall();
        if (body.polling === "always") setInterval(() => Vtiger_PBXManager_Js.registerPBXCall(), 4000);
      });
  },
  registerPBXCall() {
    app.request.get({ url: "index.php?module=PBXManager&action=IncomingCallPoll&mode=searchIncomingCalls" })
      .then((error, calls) => {
        if (!error && Array.isArray(calls)) calls.forEach((call) => Vtiger_PBXManager_Js.showPBXIncomingCallPopup(call));
      });
  },
  showPBXIncomingCallPopup(call) {
    if (document.getElementById("pbxcall_" + call.pbxmanagerid)) return;
    const popup = document.createElement("div");
    popup.className = "pbxcall";
    popup.id = "pbxcall_" + call.pbxmanagerid;
    popup.setAttribute("callid", call.pbxmanagerid);
    const title = document.createElement("h3");
    title.textContent = "Incoming Call";
    const from = document.createElement("p");
    from.textContent = "Call From : " + (call.callername || call.customernumber);
    popup.append(title, from);
    notify("popup new", popup.outerHTML, 0);
  },
  updatePBXIncomingCallPopup(call) {
    if (call.user && String(call.user) !== String(call.current_user_id)) this.removeCallPopup(call.pbxmanagerid);
  },
  removeCallPopup(id) {
    const popup = document.getElementById("pbxcall_" + id);
    if (popup) popup.closest(".vt-notification").remove();
  },
  makeOutboundCall(number, record) {
    app.request.post({ data: { module: "PBXManager", action: "OutgoingCall", number, record } }).then((error, result) => {
      notify(result ? "good" : "bad", result ? "Success" : "Failure", 4);
    });
  },
};

document.querySelectorAll("button.number").forEach((button) => {
  button.addEventListener("click", () => Vtiger_PBXManager_Js.makeOutboundCall(button.dataset.number, button.dataset.record));
});
window.addEventListener("load", () => Vtiger_PBXManager_Js.registerEvents());
