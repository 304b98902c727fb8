// In each page of the CRM: looks for calls when the connector says that something changed, and every four seconds when
// there is no stream. Shows, updates and removes popups by the CRM's own functions.
(function () {
  "use strict";

  const POLL = 4000, SAFETY = 60000;    // milliseconds between two looks without and with a stream
  const REASON_WITHIN = 400;            // for which a failed click waits for its reason
  const SHOWN_FOR = 8000;               // an error; the CRM's own default is a second
  const TEXTS = {
    en: {
      "calling": "Calling: pick up your phone",
      "failed": "The call was not placed",
      "refused": "The PBX did not take the call: is your phone connected?",
      "not-allowed": "This number cannot be called from here",
      "too-many": "Too many calls in a minute; try again a little later",
      "unknown": "The PBX did not answer: perhaps your phone will ring",
      "employee-no-answer": "Not called: your phone rang, and you did not pick up",
      "employee-busy": "Not called: your phone is busy",
      "employee-rejected": "Not called: your phone rejected the call",
      "employee-unreachable": "Not called: your phone cannot be reached",
      "not-dialled": "You picked up, but the PBX dialled no number",
      "customer-no-answer": "No answer",
      "customer-busy": "Busy",
      "customer-rejected": "The call was rejected",
      "customer-invalid-number": "This number does not exist",
      "customer-unreachable": "The number cannot be reached",
    },
    ru: {
      "calling": "Звоним: снимите трубку",
      "failed": "Вызов не выполнен",
      "refused": "АТС не приняла вызов: подключён ли ваш телефон?",
      "not-allowed": "На этот номер отсюда звонить нельзя",
      "too-many": "Слишком много вызовов за минуту, попробуйте чуть позже",
      "unknown": "АТС не ответила: возможно, ваш телефон всё же зазвонит",
      "employee-no-answer": "Вызов не выполнен: ваш телефон звонил, но трубку не сняли",
      "employee-busy": "Вызов не выполнен: ваш телефон занят",
      "employee-rejected": "Вызов не выполнен: ваш телефон отклонил звонок",
      "employee-unreachable": "Вызов не выполнен: ваш телефон недоступен",
      "not-dialled": "Трубку сняли, но АТС не набрала номер",
      "customer-no-answer": "Абонент не отвечает",
      "customer-busy": "Занято",
      "customer-rejected": "Абонент отклонил звонок",
      "customer-invalid-number": "Такого номера не существует",
      "customer-unreachable": "Номер недоступен",
    },
  };
  const WORKER = document.currentScript.src.replace(/companion(-[^/]*\.js).*$/, "worker$1");

  if (window !== window.top || window.UacCompanion) return;

  let texts = TEXTS.en;
  let user = "";
  let theirPoll = null, theirClick = null;   // the CRM's own functions, to give back
  let worker = null, timer = null;
  let stream = "closed";
  let off = "";                              // why nothing is done; "" = it is
  let ringing = null;                        // ids of the calls at this user's phones; null = not known
  let isLooking = false, lookAgain = false, lookedAt = 0;
  let click = null;                          // the last one, while its answer is awaited

  const state = () => ({ stream, off, polls: stream !== "open" && !off });
  window.UacCompanion = { state };

  function escaped(text) {   // the CRM's notifications take HTML
    const element = document.createElement("i");
    element.textContent = text;
    return element.innerHTML;
  }

  function showError(outcome) {
    const message = escaped(texts[outcome] || texts.failed);
    app.helper.showErrorNotification({ message }, { delay: SHOWN_FOR });
  }

  // -- popups ---------------------------------------------------------------------------------------------------------

  // One request for all: what is not in its answer is over.
  function look() {
    if (off) return;
    if (isLooking || document.visibilityState !== "visible") {
      lookAgain = true;
      return;
    }
    isLooking = true;
    lookAgain = false;
    lookedAt = Date.now();
    app.request.get({ url: "index.php?module=UacCompanion&action=Look" }).then((error, answer) => {
      isLooking = false;
      if (!error) found(answer);
      if (lookAgain) look();
    });
  }

  function found(answer) {
    if (answer && answer.off) {
      stop(answer.off);
      return;
    }
    const calls = Array.isArray(answer) ? answer : [];   // of an empty list the CRM passes on the whole answer
    if (calls.some((call) => call.current_user_id && String(call.current_user_id) !== user)) {
      stop("other-user");
      return;
    }
    const mine = calls.filter(isMine);
    mine.forEach((call) => {
      const isShown = document.getElementById("pbxcall_" + call.pbxmanagerid) !== null;
      if (isShown) Vtiger_PBXManager_Js.updatePBXIncomingCallPopup(call);
      else Vtiger_PBXManager_Js.showPBXIncomingCallPopup(call);
    });
    removeAllBut(mine.map((call) => String(call.pbxmanagerid)));
  }

  // A stock vTiger shows a call that no user has answered to every user; by the stream it is known whose phone rings.
  function isMine(call) {
    return Boolean(call.user) || stream !== "open" || ringing === null || ringing.has(call.sourceuuid);
  }

  function removeAllBut(ids) {
    document.querySelectorAll(".pbxcall").forEach((popup) => {
      const id = popup.getAttribute("callid");
      if (!ids.includes(id)) Vtiger_PBXManager_Js.removeCallPopup(id);
    });
  }

  function lookIfDue() {
    if (Date.now() - lookedAt >= (stream === "open" ? SAFETY : POLL)) look();
  }

  // -- clicks ---------------------------------------------------------------------------------------------------------

  function placeCall(number, record) {
    const own = click = { isExplained: false };
    const data = { module: "PBXManager", action: "OutgoingCall", number, record };
    app.request.post({ data }).then((error, answer) => {
      // The CRM passes on true as true, and false as the whole answer, which its own page takes for success.
      if (!error && answer === true) {
        app.helper.showSuccessNotification({ message: escaped(texts.calling) });
        return;
      }
      setTimeout(() => { if (!own.isExplained) showError("failed"); }, stream === "open" ? REASON_WITHIN : 0);
    });
  }

  function clickFailed(outcome) {
    if (click) click.isExplained = true;
    if (document.visibilityState === "visible" && texts[outcome]) showError(outcome);
  }

  // -- the stream -----------------------------------------------------------------------------------------------------

  function receive(message) {
    if (message.stream) stream = message.stream;
    if (message.off) stop(message.off);
    const event = message.event;
    if (!event || off) return;
    if (event.ring) ringing = new Set(event.ring);
    if (event.look) look();
    if (event.click) clickFailed(event.click);
  }

  function stop(reason) {
    off = reason;
    stream = "closed";
    ringing = null;
    clearInterval(timer);
    if (worker) worker.postMessage("bye");
    if (reason === "logged-out" || reason === "other-user") {
      removeAllBut([]);      // until this page is looked at again, or left
      return;
    }
    Vtiger_PBXManager_Js.registerPBXCall = theirPoll;
    Vtiger_PBXManager_Js.makeOutboundCall = theirClick;
  }

  function start() {
    off = "";
    Vtiger_PBXManager_Js.registerPBXCall = () => {};   // the CRM's own timer calls it, where there is one
    Vtiger_PBXManager_Js.makeOutboundCall = placeCall;
    clearInterval(timer);
    timer = setInterval(lookIfDue, 1000);
    if (!worker) {
      look();
      return;
    }
    lookedAt = Date.now() - POLL + 1000;   // the stream begins with a look; without it there is one in a second
    worker.postMessage("hello");
  }

  function begin() {
    if (!window.Vtiger_PBXManager_Js || !window.app || !app.request) return;   // PBX Manager is switched off
    if ((document.body.getAttribute("data-language") || "").startsWith("ru")) texts = TEXTS.ru;
    user = window._USERMETA ? String(_USERMETA.id) : "";
    theirPoll = Vtiger_PBXManager_Js.registerPBXCall;
    theirClick = Vtiger_PBXManager_Js.makeOutboundCall;
    if (window.SharedWorker && user) {       // else it polls
      worker = new SharedWorker(WORKER, { name: "uac-" + user }).port;
      worker.onmessage = (message) => receive(message.data);
      worker.start();
      window.addEventListener("pagehide", () => worker.postMessage("bye"));
      window.addEventListener("pageshow", (event) => { if (event.persisted && !off) worker.postMessage("hello"); });
    }
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible") return;
      if (off) start();
      else look();
    });
    start();
  }

  if (document.readyState === "complete") begin();
  else window.addEventListener("load", begin);
})();
