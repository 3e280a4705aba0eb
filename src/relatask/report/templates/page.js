// Sort a table by a column, highlight a task everywhere, filter tasks by name, read a heat map's cell.
(() => {
  "use strict";
  const page = JSON.parse(document.getElementById("record").textContent);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Sorting: a header's words become a button; numbers are compared by data-v, words as words, absent ones go last.
  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const words = cell.textContent.trim();
    return words === "–" ? null : words;
  };
  const order = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b), undefined, { numeric: true });
  };
  for (const table of all("table")) {
    const body = table.tBodies[0];
    if (body.rows.length < 6) continue;
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const keyed = [...body.rows].map((row) => [value(row, column), row]);
        keyed.sort((a, b) => order(a[0], b[0], up ? 1 : -1));
        body.append(...keyed.map((pair) => pair[1]));
      });
    });
  }

  // Highlighting: everything about a task carries its number; a second click takes the highlight away.
  const marks = new Map();
  for (const mark of all("[data-task]")) {
    const task = Number(mark.dataset.task);
    if (!marks.has(task)) marks.set(task, []);
    marks.get(task).push(mark);
  }
  const heats = all("svg[data-heat]").map((svg) => ({ svg, ...JSON.parse(svg.dataset.heat) }));
  const beam = (svg, x, y, w, h) => {
    const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    Object.entries({ class: "beam", x, y, width: w, height: h }).forEach(([k, v]) => box.setAttribute(k, v));
    svg.append(box);
  };
  let chosen = null;
  const choose = (task) => {
    for (const mark of marks.get(chosen) ?? []) mark.classList.remove("on");
    all(".beam").forEach((box) => box.remove());
    chosen = task === chosen ? null : task;
    for (const mark of marks.get(chosen) ?? []) mark.classList.add("on");
    for (const heat of heats) {
      const row = heat.rows.indexOf(chosen);
      if (chosen === null || row < 0) continue;
      const h = heat.h / heat.rows.length;
      beam(heat.svg, heat.x, heat.y + row * h, heat.w, h);
      if (heat.of === "coefficients") continue;
      const w = heat.w / heat.columns.length;
      beam(heat.svg, heat.x + row * w, heat.y, w, heat.h);
    }
  };
  for (const [task, list] of marks) {
    for (const mark of list) mark.addEventListener("click", () => choose(task));
  }

  // Filtering by name: rows of other tasks are hidden, their marks in figures are dimmed.
  const filter = document.getElementById("filter");
  if (filter) {
    filter.closest(".filter").hidden = false;
    filter.addEventListener("input", () => {
      const wanted = filter.value.trim().toLocaleLowerCase();
      let shown = 0;
      page.tasks.forEach((name, task) => {
        const kept = name.toLocaleLowerCase().includes(wanted);
        shown += kept;
        for (const mark of marks.get(task) ?? []) {
          if (mark.tagName === "TR") mark.hidden = !kept;
          else mark.classList.toggle("dim", !kept && !mark.classList.contains("band"));
        }
      });
      document.getElementById("filtered").textContent = wanted ? `${shown} of ${page.tasks.length} shown` : "";
    });
  }

  // Reading a cell of a heat map under the pointer.
  for (const heat of heats) {
    const output = heat.svg.closest("figure").querySelector(".readout");
    const source = page.record && page.record[heat.of];  // absent with very many tasks: then there is no read-out
    if (!source) continue;
    const place = new Map(source.tasks.map((name, i) => [name, i]));
    const hint = "Point at a cell to read it.";
    output.hidden = false;
    output.textContent = hint;
    const cell = (event) => {
      const box = heat.svg.getBoundingClientRect();
      const unit = heat.svg.viewBox.baseVal.width / box.width;
      const across = ((event.clientX - box.left) * unit - heat.x) / heat.w;
      const down = ((event.clientY - box.top) * unit - heat.y) / heat.h;
      if (across < 0 || across >= 1 || down < 0 || down >= 1) return null;
      return [heat.rows[Math.floor(down * heat.rows.length)], heat.columns[Math.floor(across * heat.columns.length)]];
    };
    heat.svg.addEventListener("pointermove", (event) => {
      const found = cell(event);
      if (!found) return void (output.textContent = hint);
      const row = page.tasks[found[0]];
      const column = source.features ? source.features[found[1]] : page.tasks[found[1]];
      const entry = source.values[place.get(row)][source.features ? found[1] : place.get(column)];
      const words = entry === null ? "no number" : String(Number(entry.toPrecision(3))).replace("-", "−");
      output.textContent = `${row} × ${column}: ${words}`;
    });
    heat.svg.addEventListener("pointerleave", () => (output.textContent = hint));
    heat.svg.addEventListener("click", (event) => {
      const found = cell(event);
      if (found) choose(found[0]);
    });
  }

  // Printing shows what is folded.
  addEventListener("beforeprint", () => all("details").forEach((fold) => (fold.open = true)));
  document.documentElement.dataset.ready = "yes";
})();
