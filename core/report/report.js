// SPDX-License-Identifier: MIT
// The page reads without this. It adds sorting, filtering, and marks that light up the row they stand for.
"use strict";

function addSorting(table) {
  const heads = table.tHead.rows[0].cells;
  const read = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return "";
    return cell.dataset.value !== undefined ? Number(cell.dataset.value) : cell.textContent.trim();
  };
  Array.from(heads).forEach((head, column) => {
    if (!head.textContent) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const isNumbers = head.classList.contains("number");
      const rows = Array.from(table.tBodies[0].rows);
      rows.sort((a, b) => {
        const x = read(a, column), y = read(b, column);
        const lackX = isNumbers && typeof x !== "number", lackY = isNumbers && typeof y !== "number";
        if (lackX || lackY) return lackX - lackY; // what has no number stays at the end
        const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
        return up ? order : -order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}

function addFilter(table) {
  const rows = Array.from(table.tBodies[0].rows);
  if (rows.length < 5) return;
  const tools = document.createElement("div"), label = document.createElement("label");
  const input = document.createElement("input"), count = document.createElement("output");
  tools.className = "tools";
  label.append("Filter ", input);
  input.type = "search";
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = words.length ? `${shown} of ${rows.length}` : "";
  };
  input.addEventListener("input", apply);
  tools.append(label, count);
  table.closest(".scroll").before(tools);
}

function addHovering() {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const light = (mark, on) => {
    const target = mark.getAttribute("href");
    for (const other of document.querySelectorAll(`a.mark[href="${target}"]`)) other.classList.toggle("lit", on);
    const row = document.getElementById(target.slice(1));
    if (row) row.classList.toggle("lit", on);
  };
  for (const mark of document.querySelectorAll("a.mark")) {
    const title = mark.querySelector("title"), text = title.textContent;
    mark.setAttribute("aria-label", text);
    title.remove(); // its own tip would cover ours
    const show = () => {
      const place = mark.querySelector("circle").getBoundingClientRect();
      tip.textContent = text;
      tip.hidden = false;
      const left = Math.min(place.right + 10, window.innerWidth - tip.offsetWidth - 8);
      const below = place.bottom + 8 + tip.offsetHeight < window.innerHeight;
      tip.style.left = `${Math.max(8, left)}px`;
      tip.style.top = `${below ? place.bottom + 8 : place.top - tip.offsetHeight - 8}px`;
      light(mark, true);
    };
    const hide = () => {
      tip.hidden = true;
      light(mark, false);
    };
    mark.addEventListener("mouseenter", show);
    mark.addEventListener("focus", show);
    mark.addEventListener("mouseleave", hide);
    mark.addEventListener("blur", hide);
  }
}

for (const table of document.querySelectorAll("table")) {
  addSorting(table);
  addFilter(table);
}
addHovering();
