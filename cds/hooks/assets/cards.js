/* Cards of an answer as an EHR shows them (CDS Hooks 2.0), and what the answer did not look at. */
"use strict";
var Cards = (function () {
  var REVIEW = "org.cds-rules-engine.review";
  var INDICATORS = ["critical", "warning", "info"];

  function make(tag, words, name) {
    var node = document.createElement(tag);
    if (words !== undefined) { node.textContent = words; }
    if (name) { node.className = name; }
    return node;
  }

  function list(value) { return Array.isArray(value) ? value : []; }

  function button(label, name, done) {
    var node = make("button", label, name);
    node.type = "button";
    node.addEventListener("click", done);
    return node;
  }

  function links(card) {
    var line = make("p", undefined, "links");
    list(card.links).forEach(function (item) {
      var href = item.type === "absolute" ? Markdown.safe(item.url) : "";
      var node = make(href ? "a" : "span", item.label + (href ? "" : " (opens in the EHR)"));
      if (href) { node.href = href; node.rel = "noopener noreferrer"; node.target = "_blank"; }
      line.appendChild(node);
    });
    return line;
  }

  function actions(suggestion) {
    var found = make("ul", undefined, "actions");
    list(suggestion.actions).forEach(function (action) {
      found.appendChild(make("li", action.type + ": " + action.description));
    });
    return found;
  }

  function suggestions(card, say) {
    var box = make("div", undefined, "offers");
    list(card.suggestions).forEach(function (item) {
      var one = make("div", undefined, "offer");
      var act = button(item.label, "take", function () {
        say({ outcome: "accepted", acceptedSuggestions: [{ id: item.uuid }] }, one);
      });
      if (item.isRecommended) { act.appendChild(make("span", " (recommended)")); }
      one.appendChild(act);
      var more = make("details");
      more.appendChild(make("summary", "What it does"));
      more.appendChild(actions(item));
      one.appendChild(more);
      box.appendChild(one);
    });
    return box;
  }

  function choice(card, number) {
    var select = make("select");
    select.id = "reason-" + number;
    select.appendChild(new Option("no reason given", ""));
    list(card.overrideReasons).forEach(function (reason, at) {
      select.appendChild(new Option(reason.display, String(at)));
    });
    return select;
  }

  function override(card, number, say) {
    var line = make("div", undefined, "override"), select = choice(card, number);
    var label = make("label", "Reason to override");
    label.htmlFor = select.id;
    line.append(label, select, button("Override", "dismiss", function () {
      var reason = list(card.overrideReasons)[Number(select.value)];
      var said = { outcome: "overridden" };
      if (select.value !== "" && reason) {
        said.overrideReason = { reason: { code: reason.code, system: reason.system } };
      }
      say(said, line);
    }));
    if (!list(card.suggestions).length) {
      line.appendChild(button("Accept", "take", function () { say({ outcome: "accepted" }, line); }));
    }
    return line;
  }

  function detail(card) {
    var box = make("details", undefined, "detail");
    box.open = true;
    box.appendChild(make("summary", "Detail"));
    var text = make("div");
    Markdown.draw(text, card.detail);
    box.appendChild(text);
    return box;
  }

  function draw(card, number, send) {
    var level = INDICATORS.indexOf(card.indicator) < 0 ? "info" : card.indicator;
    var node = make("article", undefined, "card " + level), source = card.source || {};
    node.setAttribute("aria-label", "Card, " + level);
    node.append(make("p", level, "indicator"), make("h3", card.summary));
    if (card.detail) { node.appendChild(detail(card)); }
    if (list(card.links).length) { node.appendChild(links(card)); }
    var told = make("p", "", "told");
    told.setAttribute("role", "status");
    function say(said) {
      said.card = card.uuid;
      said.outcomeTimestamp = new Date().toISOString();
      told.textContent = "Sending feedback…";
      send(said).then(function (words) { told.textContent = words; });
    }
    if (list(card.suggestions).length) { node.appendChild(suggestions(card, say)); }
    node.append(override(card, number, say), told);
    var topic = source.topic || {};
    node.appendChild(make("p", "Source: " + (source.label || "") +
      (topic.code ? " · " + topic.code : ""), "reasons"));
    return node;
  }

  function review(answer) { return (answer.extension || {})[REVIEW] || {}; }

  /** What was not seen: silence must not read as safe. */
  function coverage(answer) {
    var seen = review(answer), box = make("div", undefined, "coverage");
    var states = seen.coverage || {}, dark = Object.keys(states).filter(function (kind) {
      return states[kind] !== "supplied" && states[kind] !== "empty";
    });
    if (dark.length) {
      box.appendChild(make("p", "Not seen: " + dark.map(function (kind) {
        return kind + " (" + states[kind] + ")";
      }).join(", ")));
    }
    var unknown = list(seen.unknown);
    if (unknown.length) {
      var more = make("details");
      more.appendChild(make("summary", unknown.length + (unknown.length === 1 ?
        " rule" : " rules") + " could not be decided"));
      var lines = make("ul");
      unknown.forEach(function (item) {
        lines.appendChild(make("li", item.rule + ": " + list(item.missing).join("; ")));
      });
      more.appendChild(lines);
      box.appendChild(more);
    }
    return box;
  }

  /** Draws a whole answer; ``send`` takes one feedback entry and promises words about it. */
  function answer(holder, found, send) {
    var cards = list(found.cards);
    holder.appendChild(make("h3", cards.length === 1 ? "1 card" : cards.length + " cards"));
    if (!cards.length) {
      holder.appendChild(make("p", "No rule speaks. That is no proof that nothing is wrong: see what" +
        " was looked at.", "none"));
    }
    cards.forEach(function (card, number) { holder.appendChild(draw(card, number, send)); });
    holder.appendChild(coverage(found));
    if (cards.length) {
      holder.appendChild(make("p", "Feedback given here is stored like any other. Rules that ask" +
        " once in a while stay silent when the same call is sent again.", "hint"));
    }
    var raw = make("details");
    raw.appendChild(make("summary", "The answer as JSON"));
    raw.appendChild(make("pre", JSON.stringify(found, null, 2)));
    holder.appendChild(raw);
  }

  return { answer: answer, make: make };
})();
