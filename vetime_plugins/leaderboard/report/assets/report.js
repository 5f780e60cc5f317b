"use strict";
// Everything here adds to a page that can be read without it: sorting, filters, unfolding, hints, downloads.

const button = (text, label) => {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  if (label) made.setAttribute("aria-label", label);
  return made;
};

// Tables sort by a click on a heading, or Enter or space on it: a heading holds a real button.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const text = heading.querySelector(".label");
    const made = button("");
    text.replaceWith(made);
    made.append(text);
    heading.setAttribute("aria-sort", "none");
    made.addEventListener("click", () => {
      const before = heading.getAttribute("aria-sort");
      const order = before === "none" ? heading.dataset.first
        : before === "ascending" ? "descending" : "ascending";
      for (const other of headings) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", order);
      sort(table, column, order === "ascending" ? 1 : -1);
    });
  });
  unfold(table);
  save(table);
}

// Rows that stand below another one have a body together with it, and move with it.
function sort(table, column, sign) {
  const [body] = table.tBodies;
  const several = table.tBodies.length > 1;
  const parts = several ? [...table.tBodies] : [...body.rows];
  const keyed = parts.map((part) => [part, (several ? part.rows[0] : part).cells[column].dataset.value]);
  // Array.prototype.sort is stable: equal rows keep the order of the last sorting.
  keyed.sort(([, a], [, b]) => {
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    const [x, y] = [Number(a), Number(b)];
    const text = Number.isNaN(x) || Number.isNaN(y);
    return sign * (text ? a.localeCompare(b, "en", { numeric: true }) : x - y);
  });
  const sorted = keyed.map(([part]) => part);
  if (several) table.tFoot ? table.tFoot.before(...sorted) : table.append(...sorted);
  else body.append(...sorted);
}

function unfold(table) {
  for (const body of table.tBodies) {
    const members = body.querySelectorAll("tr.member");
    if (!members.length) continue;
    const heading = body.rows[0].cells[0];
    const made = button(`+${members.length}`, `${members.length} more of ${heading.textContent}`);
    made.className = "more";
    const fold = (folded) => {
      made.setAttribute("aria-expanded", String(!folded));
      body.classList.toggle("folded", folded);
    };
    made.addEventListener("click", () => fold(!body.classList.contains("folded")));
    heading.append(" ", made);
    fold(true);
  }
}

// What a table shows, as a file: rows that a filter or a fold hides are left out.
function save(table) {
  const holder = document.createElement("span");
  holder.className = "save";
  for (const kind of ["CSV", "JSON"]) {
    const made = button(kind, `Save this table as ${kind}`);
    made.addEventListener("click", () => {
      const [head, ...rows] = read(table);
      const text = kind === "CSV"
        ? [head, ...rows].map((row) => row.map(quote).join(",")).join("\r\n") + "\r\n"
        : JSON.stringify(rows.map((row) => Object.fromEntries(row.map((text, at) => [head[at], parse(text)]))), null, 1);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: kind === "CSV" ? "text/csv" : "application/json" }));
      link.download = `${table.caption.firstChild.textContent.trim().replace(/[^\w.-]+/g, "-")}.${kind.toLowerCase()}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    holder.append(made);
  }
  table.caption.append(" ", holder);
}

function read(table) {
  const seen = new Map();
  const head = [...table.tHead.rows[0].cells].map((cell) => {
    const text = cell.querySelector(".label").textContent.trim();
    seen.set(text, (seen.get(text) ?? 0) + 1);
    return seen.get(text) > 1 ? `${text} ${seen.get(text)}` : text;
  });
  const rows = [...table.rows].slice(1).filter((row) => row.getClientRects().length);
  return [head, ...rows.map((row) => [...row.cells].map(textOf))];
}

function textOf(cell) {
  const copy = cell.cloneNode(true);
  for (const added of copy.querySelectorAll("button, pre")) added.remove();
  return copy.textContent.trim();
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const parse = (text) => (NUMBER.test(text) ? Number(text) : text);
// A spreadsheet would run text that begins like a formula: an apostrophe before it keeps it text.
function quote(text) {
  const guarded = /^'*[=+\-@\t\r]/.test(text) && !NUMBER.test(text) && text !== "-" ? `'${text}` : text;
  return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}

// One filter for every table that has a row a detector, and for every figure that marks detectors.
for (const form of document.querySelectorAll("form.filter")) {
  const lead = document.querySelector("form.filter ~ .scroll table");
  const known = new Map();
  for (const row of lead.querySelectorAll("tbody tr[data-of]")) {
    const about = known.get(row.dataset.of) ?? { names: [], frameworks: new Set(), seen: false };
    about.names.push(textOf(row.cells[0]).toLowerCase());
    about.frameworks.add(row.dataset.framework);
    about.seen ||= !row.querySelector("td.unseen");
    known.set(row.dataset.of, about);
  }
  const apply = () => {
    const words = form.elements.name.value.toLowerCase().split(/\s+/).filter(Boolean);
    const boxes = [...form.querySelectorAll("[name=framework]")];
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    const shown = new Set();
    for (const [name, about] of known) {
      const named = about.names.some((one) => words.every((word) => one.includes(word)));
      const from = chosen.some((framework) => about.frameworks.has(framework));
      if (named && from && !(form.elements.unseen.checked && about.seen)) shown.add(name);
    }
    for (const item of document.querySelectorAll("[data-of]")) {
      item.classList.toggle("off", known.has(item.dataset.of) && !shown.has(item.dataset.of));
    }
    form.querySelector("output").textContent =
      shown.size === known.size ? "" : `${shown.size} of ${known.size} shown`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  form.hidden = false;
  apply(); // a browser may fill in what was chosen before
}

// Figures tell their values at once, also where there is nothing to hover with.
const hint = document.createElement("div");
hint.className = "hint";
hint.hidden = true;
document.body.append(hint);
for (const mark of document.querySelectorAll("svg [data-hint]")) {
  mark.querySelector("title")?.remove(); // the browser would show it as well
}
const tell = (event) => {
  const mark = event.target.closest?.("svg [data-hint]");
  hint.hidden = !mark;
  if (!mark) return;
  hint.textContent = mark.dataset.hint;
  const left = Math.min(event.clientX + 12, document.documentElement.clientWidth - hint.offsetWidth - 4);
  const below = event.clientY + 18 + hint.offsetHeight < window.innerHeight;
  hint.style.left = `${Math.max(left, 4)}px`;
  hint.style.top = `${below ? event.clientY + 18 : event.clientY - hint.offsetHeight - 10}px`;
};
document.addEventListener("pointermove", tell);
document.addEventListener("pointerdown", tell);
document.addEventListener("scroll", () => { hint.hidden = true; }, true);
