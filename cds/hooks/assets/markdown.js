/* Markdown of cards as nodes: paragraphs, lists, emphasis, code, links. Text only ever becomes text. */
"use strict";
var Markdown = (function () {
  var INLINE = /\\([\\`*_{}\[\]()#+\-.!<>|~])|`([^`]+)`|\*\*([\s\S]+?)\*\*|\*([^*\s](?:[\s\S]*?[^*\s])?)\*|\[([^\]]*)\]\(([^)\s]+)\)/g;
  var DEEPEST = 6;

  function safe(address) {
    return /^https?:\/\//i.test(address) ? address : "";
  }

  function link(address, label) {
    var href = safe(address);
    if (!href) { return document.createTextNode(label); }
    var found = document.createElement("a");
    found.href = href;
    found.rel = "noopener noreferrer";
    found.target = "_blank";
    found.textContent = label;
    return found;
  }

  function inline(holder, text, depth) {
    var at = 0, match, pattern = new RegExp(INLINE.source, "g");
    function wrap(tag, inner) {
      var node = document.createElement(tag);
      if (depth < DEEPEST) { inline(node, inner, depth + 1); } else { node.textContent = inner; }
      holder.appendChild(node);
    }
    while ((match = pattern.exec(text))) {
      holder.appendChild(document.createTextNode(text.slice(at, match.index)));
      at = pattern.lastIndex;
      if (match[1] !== undefined) { holder.appendChild(document.createTextNode(match[1])); }
      else if (match[2] !== undefined) {
        var code = document.createElement("code");
        code.textContent = match[2];
        holder.appendChild(code);
      }
      else if (match[3] !== undefined) { wrap("strong", match[3]); }
      else if (match[4] !== undefined) { wrap("em", match[4]); }
      else { holder.appendChild(link(match[6], match[5])); }
    }
    holder.appendChild(document.createTextNode(text.slice(at)));
  }

  function list(lines, kind) {
    var found = document.createElement(kind), item = "";
    function done() {
      if (!item) { return; }
      var node = document.createElement("li");
      inline(node, item, 0);
      found.appendChild(node);
    }
    lines.forEach(function (line) {
      var begun = /^\s*(?:[-*+]|\d+[.)])\s+(.*)$/.exec(line);
      if (begun) { done(); item = begun[1]; } else { item += " " + line.trim(); }
    });
    done();
    return found;
  }

  function block(text) {
    var lines = text.split("\n"), node;
    if (/^\s*[-*+]\s/.test(text)) { return list(lines, "ul"); }
    if (/^\s*\d+[.)]\s/.test(text)) { return list(lines, "ol"); }
    var heading = /^#{1,6}\s+(.*)$/.exec(text);
    node = document.createElement(heading ? "h5" : "p");
    inline(node, heading ? heading[1] : lines.join(" "), 0);
    return node;
  }

  /** Puts the text into a holder as paragraphs and lists. */
  function draw(holder, text) {
    String(text).replace(/\r\n?/g, "\n").split(/\n[ \t]*\n/).forEach(function (part) {
      if (part.trim()) { holder.appendChild(block(part.replace(/^\n+|\n+$/g, ""))); }
    });
  }

  return { draw: draw, safe: safe };
})();
