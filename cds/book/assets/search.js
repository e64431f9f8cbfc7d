/* The search box: all of it works from a folder, without a server or a network. */
(function () {
  "use strict";
  var form = document.querySelector("form.search");
  var query = document.getElementById("query");
  var list = document.getElementById("found");
  var count = document.getElementById("count");
  var root = document.body.getAttribute("data-root") || "";
  var most = 25;
  if (!form || typeof RULE_BOOK === "undefined") { return; }
  form.hidden = false;

  var rows = RULE_BOOK.map(function (row) {
    return { title: row[0], href: row[1], sort: row[2], low: row[0].toLowerCase(), words: row[3] };
  });

  function rank(row, words) {
    var total = 0;
    for (var i = 0; i < words.length; i += 1) {
      var word = words[i];
      var at = row.low.indexOf(word);
      if (at === 0) { total += 5; }
      else if (at > 0) { total += /\w/.test(row.low.charAt(at - 1)) ? 2 : 4; }
      else if (row.words.indexOf(word) >= 0) { total += 1; }
      else { return 0; }
    }
    return total;
  }

  function find(text) {
    var words = text.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) { return []; }
    var hits = [];
    rows.forEach(function (row, place) {
      var value = rank(row, words);
      if (value) { hits.push({ row: row, value: value, place: place }); }
    });
    hits.sort(function (a, b) { return b.value - a.value || a.place - b.place; });
    return hits.map(function (hit) { return hit.row; });
  }

  function item(row, number) {
    var line = document.createElement("li");
    var link = document.createElement("a");
    var sort = document.createElement("span");
    line.setAttribute("role", "option");
    line.setAttribute("aria-selected", "false");
    line.id = "found-" + number;
    link.href = root + row.href;
    link.tabIndex = -1;
    link.textContent = row.title;
    sort.className = "sort";
    sort.textContent = row.sort;
    line.appendChild(link);
    line.appendChild(sort);
    return line;
  }

  function show() {
    var hits = find(query.value);
    list.textContent = "";
    hits.slice(0, most).forEach(function (row, number) { list.appendChild(item(row, number)); });
    var open = query.value.trim() !== "";
    list.hidden = !hits.length;
    query.setAttribute("aria-expanded", String(hits.length > 0));
    query.removeAttribute("aria-activedescendant");
    count.textContent = !open ? "" : hits.length + " found" + (hits.length > most ? ", the first " + most + " are shown" : "");
    count.className = open && !hits.length ? "nothing" : "unseen";
  }

  function chosen() { return list.querySelector('[aria-selected="true"]'); }

  function move(step) {
    var lines = Array.prototype.slice.call(list.children);
    if (!lines.length) { return; }
    var now = lines.indexOf(chosen());
    var next = (now + step + lines.length) % lines.length;
    if (now < 0) { next = step > 0 ? 0 : lines.length - 1; }
    if (now >= 0) { lines[now].setAttribute("aria-selected", "false"); }
    lines[next].setAttribute("aria-selected", "true");
    lines[next].scrollIntoView({ block: "nearest" });
    query.setAttribute("aria-activedescendant", lines[next].id);
  }

  function close() {
    query.value = "";
    show();
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    var line = chosen() || list.firstElementChild;
    if (line) { window.location.href = line.querySelector("a").href; }
  });
  query.addEventListener("input", show);
  query.addEventListener("keydown", function (event) {
    if (event.key === "ArrowDown") { event.preventDefault(); move(1); }
    else if (event.key === "ArrowUp") { event.preventDefault(); move(-1); }
    else if (event.key === "Escape") { event.preventDefault(); close(); }
  });
  list.addEventListener("click", function () { window.setTimeout(close, 0); });
  document.addEventListener("keydown", function (event) {
    var tag = event.target.tagName;
    if (event.key === "/" && tag !== "INPUT" && tag !== "TEXTAREA") {
      event.preventDefault();
      query.focus();
    }
  });
  document.addEventListener("click", function (event) {
    if (!form.contains(event.target)) { list.hidden = true; query.setAttribute("aria-expanded", "false"); }
  });
  query.addEventListener("focus", function () { if (query.value) { show(); } });

  function fromAddress() {
    var match = /^#q=(.*)$/.exec(window.location.hash);
    if (match) {
      query.value = decodeURIComponent(match[1].replace(/\+/g, " "));
      show();
    }
  }

  /* A link may point into what is folded away: unfold it, so that the reader arrives. */
  function unfold() {
    var name = decodeURIComponent(window.location.hash.slice(1));
    var target = name && document.getElementById(name);
    while (target) {
      if (target.tagName === "DETAILS") { target.open = true; }
      target = target.parentElement;
    }
  }

  window.addEventListener("hashchange", function () { fromAddress(); unfold(); });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (part) { part.open = true; });
  });
  fromAddress();
  unfold();
}());
