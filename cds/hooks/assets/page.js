/* The page of the service: its health, its feedback, and a call that is really sent. */
"use strict";
(function () {
  var make = Cards.make;
  function by(id) { return document.getElementById(id); }

  // -- health ------------------------------------------------------------------------------------

  function words(value) {
    if (Array.isArray(value)) {
      var plain = value.every(function (item) { return typeof item !== "object"; });
      return plain && value.length <= 6 ? value.join(", ") : value.length + " listed";
    }
    if (value && typeof value === "object") {
      return Object.keys(value).map(function (key) { return key + " " + words(value[key]); }).join(" · ");
    }
    return String(value);
  }

  function showHealth(found) {
    var good = found.status === "ok";
    by("state").textContent = good ? "running" : String(found.status || "not reached");
    by("state").className = "state " + (good ? "good" : "bad");
    Object.keys(found).forEach(function (key) {
      var line = make("div");
      line.append(make("dt", key), make("dd", words(found[key])));
      by("healthy").appendChild(line);
    });
  }

  function askHealth() {
    fetch("health", { cache: "no-store" })
      .then(function (answer) { return answer.json(); })
      .then(showHealth)
      .catch(function () { showHealth({ status: "not reached" }); });
  }

  // -- feedback ----------------------------------------------------------------------------------

  function askFeedback() {
    fetch("page/feedback", { cache: "no-store" })
      .then(function (answer) { return answer.text(); })
      .then(function (text) {
        // The service's own page, escaped there; parsed apart, so that no script in it could run.
        var parsed = new DOMParser().parseFromString(text, "text/html");
        by("charts").replaceChildren.apply(by("charts"), Array.from(parsed.body.childNodes));
      })
      .catch(function () { by("charts").textContent = "The figures could not be read."; });
  }

  // -- a call ------------------------------------------------------------------------------------

  function fill(found) {
    var select = by("example"), groups = {};
    select.replaceChildren(new Option("Choose an example", ""));
    found.forEach(function (item) {
      var group = groups[item.rule];
      if (!group) {
        group = groups[item.rule] = make("optgroup");
        group.label = item.title;
        select.appendChild(group);
      }
      var option = new Option(item.name, String(item.number));
      option.dataset.service = item.service;
      group.appendChild(option);
    });
    if (found.length) { select.value = String(found[0].number); choose(); }
  }

  function noExamples() { by("example").replaceChildren(new Option("There are no examples", "")); }

  function choose() {
    var select = by("example"), option = select.selectedOptions[0];
    if (!select.value) { return; }
    by("service").value = option.dataset.service;
    tellAudience();
    fetch("page/examples/" + select.value, { cache: "no-store" })
      .then(function (answer) { return answer.json(); })
      .then(function (request) {
        request.hookInstance = instance();
        by("request").value = JSON.stringify(request, null, 2);
      })
      .catch(function () { by("sent").textContent = "The example could not be read."; });
  }

  function instance() {
    var bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    var text = Array.from(bytes, function (byte) { return (byte + 256).toString(16).slice(1); }).join("");
    return text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  function tellAudience() {
    var token = by("token");
    if (token) { by("audience").textContent = token.dataset.audience + "/" + path(); }
  }

  function path() { return "cds-services/" + by("service").value; }

  function post(address, body) {
    var headers = { "content-type": "application/json" }, token = by("token");
    if (token && token.value.trim()) { headers.authorization = "Bearer " + token.value.trim(); }
    return fetch(address, { method: "POST", headers: headers, body: body, cache: "no-store" });
  }

  function refused(status, text) {
    var node = make("div", undefined, "refused");
    node.appendChild(make("h3", "Refused with " + status));
    var told = "";
    try {
      told = JSON.parse(text).issue.map(function (issue) { return issue.diagnostics; }).join("; ");
    } catch (error) { told = text.slice(0, 500); }
    node.appendChild(make("p", told || "The service said no more than that."));
    if (status === 401) {
      node.appendChild(make("p", "Calls need a token that is made out to this address, and each is" +
        " good for one call.", "hint"));
    }
    return node;
  }

  function feedback(address) {
    return function (entry) {
      return post(address, JSON.stringify({ feedback: [entry] })).then(function (answer) {
        if (answer.status !== 200) { return "Feedback was refused with " + answer.status + "."; }
        setTimeout(askFeedback, 1200); // the service reckons its figures once a second
        return "Feedback stored: " + entry.outcome + ".";
      }).catch(function () { return "The service could not be reached."; });
    };
  }

  function show(status, text, milliseconds, address) {
    var holder = by("answer");
    by("sent").textContent = "Answered with " + status + " in " + Math.round(milliseconds) + " ms.";
    if (status === 200) { Cards.answer(holder, JSON.parse(text), feedback(address + "/feedback")); }
    else { holder.appendChild(refused(status, text)); }
    holder.focus({ preventScroll: true });
    holder.scrollIntoView({ block: "nearest" });
  }

  function send(event) {
    event.preventDefault();
    var address = path(), begun = performance.now();
    by("answer").replaceChildren();
    if (by("token") && !by("token").value.trim()) {
      by("sent").textContent = "This service answers nobody without a token: enter one first.";
      by("token").focus();
      return;
    }
    by("sent").textContent = "Sending…";
    by("send").disabled = true;
    post(address, by("request").value)
      .then(function (answer) {
        return answer.text().then(function (text) {
          show(answer.status, text, performance.now() - begun, address);
        });
      })
      .catch(function () { by("sent").textContent = "The service could not be reached."; })
      .finally(function () { by("send").disabled = false; });
  }

  by("call").hidden = false;
  by("call").addEventListener("submit", send);
  by("example").addEventListener("change", choose);
  by("service").addEventListener("change", tellAudience);
  tellAudience();
  askHealth();
  askFeedback();
  fetch("page/examples", { cache: "no-store" })
    .then(function (answer) { if (!answer.ok) { throw answer; } return answer.json(); })
    .then(fill)
    .catch(noExamples);
})();
