"use strict";
// Tables sort by a click on a heading, or Enter or space on it: a heading holds a real button.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const text = heading.querySelector(".label");
    const button = document.createElement("button");
    button.type = "button";
    text.replaceWith(button);
    button.append(text);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const before = heading.getAttribute("aria-sort");
      const order = before === "none" ? heading.dataset.first
        : before === "ascending" ? "descending" : "ascending";
      for (const other of headings) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", order);
      sort(table.tBodies[0], column, order === "ascending" ? 1 : -1);
    });
  });
}

function sort(body, column, sign) {
  const keyed = [...body.rows].map((row) => [row, row.cells[column].dataset.value]);
  // Array.prototype.sort is stable: equal rows keep the order of the last sorting.
  keyed.sort(([, a], [, b]) => {
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    const [x, y] = [Number(a), Number(b)];
    const text = Number.isNaN(x) || Number.isNaN(y);
    return sign * (text ? a.localeCompare(b, "en", { numeric: true }) : x - y);
  });
  body.append(...keyed.map(([row]) => row));
}
