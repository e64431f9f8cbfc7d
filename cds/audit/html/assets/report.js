/* Shows the patients of the report page by page, filtered and ordered. It makes the same elements
   as templates/person.html does for the first of them, and puts texts in as texts. */
"use strict";
(function () {
  var data = document.getElementById("people");
  if (!data) { return; }
  var texts = JSON.parse(document.getElementById("texts").textContent);
  var people = JSON.parse(data.textContent);
  var PAGE = 20, LEVELS = ["critical", "warning", "info"];
  var SVG = "http://www.w3.org/2000/svg";
  var list = document.getElementById("list"), form = document.getElementById("filter");
  var words = document.getElementById("words"), rule = document.getElementById("rule");
  var order = document.getElementById("order"), cards = document.getElementById("cards");
  var named = document.getElementById("patients").dataset, unit = named.one, units = named.many;
  var pager = document.getElementById("pager"), count = document.getElementById("count");
  var shown = [], at = 0, haystacks = [];

  function say(number) { return number.toLocaleString("en-US"); }
  function text(place) { return texts[place]; }

  // -- elements ---------------------------------------------------------------------------------

  function fill(element, attributes, children) {
    Object.keys(attributes).forEach(function (name) { element.setAttribute(name, attributes[name]); });
    children.forEach(function (child) {
      if (child !== null && child !== "") { element.append(child); }
    });
    return element;
  }
  function make(name, attributes) {
    return fill(document.createElement(name), attributes, Array.prototype.slice.call(arguments, 2));
  }
  function draw(name, attributes) {
    return fill(document.createElementNS(SVG, name), attributes, Array.prototype.slice.call(arguments, 2));
  }
  function picture(parts) {
    return make("td", {}, fill(draw("svg", {"aria-hidden": "true"}), {}, parts));
  }
  function rect(kind, x, width, height) {
    return draw("rect", {"class": kind, x: x + "%", y: "50%", width: width + "%", height: height,
      transform: "translate(0 " + -height / 2 + ")"});
  }
  function today(person, height) {
    return draw("line", {"class": "today", x1: person[5] + "%", x2: person[5] + "%", y1: 0, y2: height});
  }
  function shades(person) {
    var found = [];
    person[7].forEach(function (window, number) {
      if (text(window[0]) === "window" && window[5]) {
        found.push(draw("rect", {"class": "shade w" + number, x: window[4] + "%", y: 0,
          width: window[5] + "%", height: "100%"}));
      }
    });
    found.push(today(person, "100%"));
    return found;
  }
  function ends(x, width, open) {
    var found = [];
    if (open.indexOf("<") >= 0) {
      found.push(draw("rect", {"class": "fade left", x: x + "%", y: "50%", width: 7, height: 14, transform: "translate(0 -7)"}));
    }
    if (open.indexOf(">") >= 0) {
      found.push(draw("rect", {"class": "fade right", x: x + width + "%", y: "50%", width: 7, height: 14, transform: "translate(-7 -7)"}));
    }
    return found;
  }

  // -- a patient, or an order --------------------------------------------------------------------------------

  function windowRow(person, window, number) {
    var kind = text(window[0]), parts = shades(person), x = window[4], width = window[5];
    if (kind === "day") {
      parts.push(draw("rect", {"class": "day", x: x + width / 2 + "%", y: "50%", width: 3, height: 14, transform: "translate(-1.5 -7)"}));
    } else {
      parts.push(rect(kind + " w" + number, x, width, 6));
      parts = parts.concat(ends(x, width, window[6]));
    }
    var head = make("th", {scope: "row"}, make("span", {"class": "swatch " + kind + " w" + number}), " " + text(window[1]),
      make("span", {"class": "when"}, text(window[2]) + " · " + window[3].map(text).join(", ")));
    return make("tr", {"class": kind}, head, picture(parts));
  }
  function laneRow(person, lane) {
    var parts = shades(person);
    lane[4].forEach(function (bar) {
      parts.push(rect("bar " + bar[0], bar[1], bar[2], 12));
      parts = parts.concat(ends(bar[1], bar[2], bar[3]));
    });
    lane[5].forEach(function (mark) {
      parts.push(draw("svg", {"class": "mark " + mark[0], x: mark[1] + "%", y: "50%"},
        draw("path", {d: "M0 -7L6 0L0 7L-6 0Z"})));
    });
    var head = make("th", {scope: "row"}, text(lane[1]), " ", make("span", {"class": "when"}, text(lane[2])));
    return make("tr", {"class": "lane " + text(lane[0])}, head, picture(parts));
  }
  function axisRow(person) {
    var parts = [today(person, 6)];
    person[6].forEach(function (tick) {
      parts.push(draw("line", {"class": "tick", x1: tick[0] + "%", x2: tick[0] + "%", y1: 0, y2: 5}));
      parts.push(draw("text", {x: tick[0] + "%", y: 17, "class": tick[0] < 9 ? "first" : tick[0] > 91 ? "last" : ""}, text(tick[1])));
    });
    return make("tr", {"class": "axis"}, make("th", {scope: "row"}, (person[11] ? "Order signed" : "Day judged for") + ": " + text(person[2])), picture(parts));
  }
  function timeline(person) {
    if (!person[7].length && !person[8].length) {
      return [make("p", {"class": "hint"}, person[9] < 0 ? "No picture could be drawn." : "Nothing of these findings has a place in time.")];
    }
    var rows = person[7].map(function (window, number) { return windowRow(person, window, number); });
    rows = rows.concat(person[8].map(function (lane) { return laneRow(person, lane); }), [axisRow(person)]);
    var table = make("table", {"class": "timeline"},
      make("caption", {"class": "unseen"}, "What the findings of " + (person[11] || person[0]) + " are about, day by day"),
      make("thead", {"class": "unseen"}, make("tr", {}, make("th", {scope: "col"}, "What"), make("th", {scope: "col"}, "Picture"))),
      fill(make("tbody", {}), {}, rows));
    var found = [table];
    if (person[9] > 0) {
      found.push(make("p", {"class": "hint"}, person[9] + " more entries that the findings are about are not drawn; the traces name them."));
    }
    if (person[12]) {
      found.push(make("p", {"class": "hint"}, person[12] + " more windows that the rules ask about are not drawn."));
    }
    return found;
  }
  function clause(step) {
    var item = make("li", {}, make("span", {"class": "truth " + text(step[0])}, text(step[0])), " " + text(step[1]) + " ");
    if (step[3].length) { item.append(make("span", {"class": "values"}, "(" + step[3].map(text).join("; ") + ")"), " "); }
    if (step[2].length) { item.append(make("span", {"class": "sources"}, "[" + step[2].join(", ") + "]")); }
    step[4].forEach(function (reason) { item.append(make("span", {"class": "missing"}, "missing: " + text(reason))); });
    if (step[5].length) { item.append(fill(make("ul", {}), {}, step[5].map(clause))); }
    return item;
  }
  function bullets(places) {
    return fill(make("ul", {}), {}, places.map(function (place) { return make("li", {}, text(place)); }));
  }
  function finding(found, open) {
    var level = text(found[1]), said = text(found[2]), body = make("div", {"class": "body"});
    found[4].forEach(function (block) {
      body.append(block[0] === "l" ? bullets(block[1]) : make(block[0] === "h" ? "h4" : "p", {}, text(block[1][0])));
    });
    if (!found[4].length && found[6].length) { body.append(make("h4", {}, "Uncertain"), bullets(found[6])); }
    body.append(
      make("details", {"class": "trace"}, make("summary", {}, "Why: each clause of the rule"), make("ul", {}, clause(found[5]))),
      make("p", {"class": "links"}, make("a", {href: "#rule-" + text(found[0])}, "Evidence and rule " + text(found[0]))));
    var summary = make("summary", {}, make("span", {"class": "level " + level}, level), " ", make("span", {"class": "says"}, text(found[3])));
    if (said === "line") { summary.append(" ", make("span", {"class": "said"}, "a line of another card")); }
    if (said === "silent") { summary.append(" ", make("span", {"class": "said"}, "replaced by another finding")); }
    var element = make("details", {"class": "finding " + level + " " + said}, summary, body);
    element.open = open;
    return element;
  }
  function article(number, want) {
    var person = people[number];
    var about = [text(person[3]) || "sex not recorded", text(person[4]) ? "age " + text(person[4]) : "age not known"].join(", ");
    var element = make("article", {"class": "person", id: "p" + (number + 1)},
      make("h3", {}, number + 1 + ". " + (person[11] ? person[11] + " of patient " : "Patient ") + person[0]),
      make("p", {"class": "about"}, about + "; " + (person[11] ? "judged as it was signed, " : "judged for ") + text(person[2]) + "; input " + text(person[1])));
    element.append.apply(element, timeline(person));
    person[10].forEach(function (found) {
      // What the filter asks for is open; of the rest the cards, while nothing is asked for.
      element.append(finding(found, want.all ? text(found[2]) === "card" : fits(found, want)));
    });
    return element;
  }

  // -- which of them ----------------------------------------------------------------------------

  function wanted() {
    var levels = LEVELS.filter(function (level) { return form.querySelector("input[value=" + level + "]").checked; });
    var found = {words: words.value.toLowerCase().split(/\s+/).filter(Boolean), rule: rule.value, levels: levels, cards: cards.checked};
    found.all = !found.words.length && !found.rule && !found.cards && levels.length === LEVELS.length;
    return found;
  }
  function fits(found, want) {
    return (!want.rule || text(found[0]) === want.rule) && want.levels.indexOf(text(found[1])) >= 0 &&
      (!want.cards || text(found[2]) === "card");
  }
  function haystack(number) {
    if (haystacks[number] === undefined) {
      var person = people[number], parts = [person[0], person[11], text(person[1])];
      person[8].forEach(function (lane) { parts.push(text(lane[1])); });
      person[10].forEach(function (found) { parts.push(text(found[0]), text(found[3])); });
      haystacks[number] = parts.join("\n").toLowerCase();
    }
    return haystacks[number];
  }
  function age(person) { return parseInt(text(person[4]), 10); }
  var ORDERS = {
    severity: function (a, b) { return a - b; },
    count: function (a, b) { return people[b][10].length - people[a][10].length || a - b; },
    young: function (a, b) { return byAge(a, b, 1); },
    old: function (a, b) { return byAge(a, b, -1); },
    id: function (a, b) { return people[a][0] < people[b][0] ? -1 : people[a][0] > people[b][0] ? 1 : a - b; }
  };
  function byAge(a, b, sign) {
    var one = age(people[a]), other = age(people[b]);
    // Those whose age is not known come last, either way.
    if (isNaN(one) || isNaN(other)) { return isNaN(one) - isNaN(other) || a - b; }
    return sign * (one - other) || a - b;
  }
  function choose() {
    var want = wanted(), findings = 0;
    shown = people.map(function (_, number) { return number; }).filter(function (number) {
      var matching = people[number][10].filter(function (found) { return fits(found, want); }).length;
      if (!matching || !want.words.every(function (word) { return haystack(number).indexOf(word) >= 0; })) { return false; }
      findings += matching;
      return true;
    }).sort(ORDERS[order.value]);
    at = 0;
    count.textContent = want.all ? say(people.length) + " " + units + " with " + say(findings) + " findings in this page." :
      shown.length ? say(shown.length) + " of " + say(people.length) + " " + units + " match, with " + say(findings) + " findings." : "No " + unit + " matches.";
    render(PAGE);
  }
  function render(most) {
    var want = wanted(), part = shown.slice(at, at + most);
    list.replaceChildren.apply(list, part.map(function (number) { return article(number, want); }));
    var several = shown.length > most;
    if (several) {
      list.prepend(make("p", {"class": "hint"}, units.charAt(0).toUpperCase() + units.slice(1) + " " + say(at + 1) + " to " + say(at + part.length) + " of " + say(shown.length) + "."));
    }
    pager.hidden = shown.length <= PAGE;
    document.getElementById("page").textContent = "page " + say(Math.floor(at / PAGE) + 1) + " of " + say(Math.max(1, Math.ceil(shown.length / PAGE)));
    document.getElementById("back").disabled = at === 0;
    document.getElementById("forth").disabled = at + PAGE >= shown.length;
  }
  function turn(by) {
    at = Math.max(0, at + by);
    render(PAGE);
    pager.scrollIntoView();
  }
  function show(number) {
    var place = shown.indexOf(number);
    if (place < 0) { form.reset(); choose(); place = shown.indexOf(number); }
    at = Math.floor(place / PAGE) * PAGE;
    render(PAGE);
    document.getElementById("p" + (number + 1)).scrollIntoView();
  }
  function follow() {
    var match = /^#p([0-9]+)$/.exec(location.hash);
    if (match && people[match[1] - 1]) { show(match[1] - 1); }
  }

  // -- what a reader does -----------------------------------------------------------------------

  function rules() {
    var counts = {};
    people.forEach(function (person) {
      var seen = {};
      person[10].forEach(function (found) { seen[text(found[0])] = true; });
      Object.keys(seen).forEach(function (id) { counts[id] = (counts[id] || 0) + 1; });
    });
    Object.keys(counts).sort().forEach(function (id) {
      rule.append(make("option", {value: id}, id + " (" + say(counts[id]) + ")"));
    });
  }
  var waiting = 0;
  form.addEventListener("input", function (event) {
    clearTimeout(waiting);
    waiting = setTimeout(choose, event.target === words ? 150 : 0);
  });
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  form.addEventListener("reset", function () { setTimeout(choose, 0); });
  document.getElementById("back").addEventListener("click", function () { turn(-PAGE); });
  document.getElementById("forth").addEventListener("click", function () { turn(PAGE); });
  document.querySelectorAll("[data-rule]").forEach(function (link) {
    link.addEventListener("click", function () {
      form.reset();
      rule.value = link.dataset.rule;
      choose();
    });
  });
  // On paper: the first of what is chosen, everything open.
  window.addEventListener("beforeprint", function () {
    at = 0;
    render(PAGE);
    list.querySelectorAll("details").forEach(function (element) { element.open = true; });
  });
  window.addEventListener("afterprint", function () { at = 0; render(PAGE); });
  window.addEventListener("hashchange", follow);
  rules();
  form.hidden = false;
  choose();
  follow();
}());
