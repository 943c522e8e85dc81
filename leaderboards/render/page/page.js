/* What the pages do: theme, tables that sort and filter, definitions, figures, sentences. No network, no library but plotly. */
"use strict";
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (tag, text, name) => Object.assign(document.createElement(tag), { textContent: text, className: name ?? "" });

  /* ---- Theme: set before the page is drawn, remembered, the system's unless chosen. ---- */
  const THEMES = ["system", "light", "dark"];
  const remembered = () => { try { return localStorage.getItem("textgan-theme"); } catch { return null; } };
  let theme = THEMES.includes(remembered()) ? remembered() : "system";
  const redraws = [];

  function showTheme() {
    if (theme === "system") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = theme;
    const label = $("#theme span");
    if (label) label.textContent = theme;
    redraws.forEach((redraw) => redraw());
  }

  function startTheme() {
    const button = $("#theme");
    button.hidden = false;
    button.addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      try { localStorage.setItem("textgan-theme", theme); } catch { /* private mode: it holds for this page */ }
      showTheme();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
    showTheme();
  }

  /* ---- Data: scripts that call textgan(name, value), because a page from the file system may not fetch. ---- */
  const values = {};
  const loading = {};
  window.textgan = (name, value) => { values[name] = value; };

  function script(path) {
    return (loading[path] ??= new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = document.body.dataset.root + path;
      element.onload = resolve;
      element.onerror = () => reject(new Error(`${path} is missing`));
      document.head.append(element);
    }));
  }
  const load = (name) => script(`data/${name}.js`).then(() => values[name]);

  /* ---- Tables. Rows are sorted within their group: what is not ranked never stands among what is. ---- */
  function cellValue(row, column) {
    const cell = row.cells[column];
    return cell.dataset.v ?? cell.textContent.trim();
  }

  function compare(a, b) {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
  }

  function sortBy(table, head) {
    const before = head.getAttribute("aria-sort");
    const down = before ? before === "ascending" : "down" in head.dataset;
    $$("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
      const keyed = rows.map((row) => [cellValue(row, head.cellIndex), row]);
      const blank = keyed.filter(([value]) => value === "");
      const filled = keyed.filter(([value]) => value !== "").sort(([a], [b]) => (down ? compare(b, a) : compare(a, b)));
      body.append(...[...filled, ...blank].map(([, row]) => row));
    }
  }

  function filterRows(table, query, count) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const body of table.tBodies) {
      let inGroup = 0;
      for (const row of body.rows) {
        if (row.classList.contains("group")) continue;
        const text = `${row.cells[0].textContent} ${row.lastElementChild.textContent}`.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        inGroup += !row.hidden;
      }
      body.hidden = inGroup === 0;
      shown += inGroup;
    }
    count.textContent = `${shown} row${shown === 1 ? "" : "s"}`;
  }

  function startChoices(table, tools) {
    const sheet = new CSSStyleSheet();
    document.adoptedStyleSheets.push(sheet);
    const show = (choice) => {
      const hidden = $$("thead th", table).filter(
        ({ dataset }) => dataset.choices && choice !== "All" && !dataset.choices.split("|").includes(choice));
      sheet.replaceSync(hidden.map(
        (head) => `#${table.id} tr:not(.group) > :nth-child(${head.cellIndex + 1}) { display: none; }`).join("\n"));
    };
    const inputs = $$("input[type=radio]", tools);
    inputs.forEach((input) => input.addEventListener("change", () => show(input.value)));
    if (inputs.length) show((inputs.find((input) => input.checked) ?? inputs[0]).value);
  }

  function startTables() {
    for (const table of $$("table.sortable")) {
      $$("thead button", table).forEach((button) =>
        button.addEventListener("click", () => sortBy(table, button.closest("th"))));
    }
    for (const tools of $$(".tools[data-for]")) {
      const table = document.getElementById(tools.dataset.for);
      const field = $("input[type=search]", tools);
      tools.hidden = false;
      field.addEventListener("input", () => filterRows(table, field.value, $(".count", tools)));
      startChoices(table, tools);
    }
  }

  /* ---- Definitions on hover and focus; Escape closes, the pointer may move onto them. ---- */
  function startTips() {
    const tip = make("div", "", "");
    tip.id = "tip";
    tip.popover = "manual";
    tip.setAttribute("role", "tooltip");
    document.body.append(tip);
    let timer;
    const hide = () => tip.matches(":popover-open") && tip.hidePopover();
    const later = () => { timer = setTimeout(hide, 150); };
    const show = (owner) => {
      clearTimeout(timer);
      const source = document.getElementById(owner.getAttribute("aria-describedby"));
      if (!source) return;
      tip.replaceChildren(...[...source.childNodes].map((node) => node.cloneNode(true)));
      tip.showPopover();
      const [at, size] = [owner.getBoundingClientRect(), tip.getBoundingClientRect()];
      const above = at.top - size.height - 6; // over the tools rather than over the numbers
      tip.style.left = `${Math.max(8, Math.min(at.left, innerWidth - size.width - 8))}px`;
      tip.style.top = `${above > 8 ? above : at.bottom + 6}px`;
    };
    const owner = (event) => event.target.closest?.("[aria-describedby^='def-']");
    for (const [name, act] of [["mouseover", show], ["focusin", show], ["mouseout", later], ["focusout", later]])
      document.addEventListener(name, (event) => owner(event) && act(owner(event)));
    tip.addEventListener("mouseenter", () => clearTimeout(timer));
    tip.addEventListener("mouseleave", later);
    document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
    document.addEventListener("scroll", hide, { capture: true, passive: true });
  }

  /* ---- Copy. ---- */
  async function copy(button) {
    const text = $("pre", button.parentElement);
    const label = button.firstChild;
    try {
      await navigator.clipboard.writeText(text.textContent.trim());
      label.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      label.textContent = document.execCommand("copy") ? "Copied" : "Selected";
    }
    setTimeout(() => { label.textContent = "Copy"; }, 2000);
  }

  function startCopy() {
    for (const button of $$("[data-copy]")) {
      button.hidden = false;
      button.addEventListener("click", () => copy(button));
    }
  }

  /* ---- Figures: made by the builder, coloured by the theme, drawn when they come into view. ---- */
  function colours() {
    const probe = document.body.appendChild(make("i", ""));
    const found = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
    const all = Object.fromEntries(
      ["s0", "s1", "s2", "s3", "s4", "s5", "mle", "ref", "ink", "soft", "line", "paper"].map((name) => [name, found(name)]));
    probe.remove();
    return all;
  }

  const KINDS = {
    mean: { mode: "lines+markers", marker: { opacity: 1 }, hovertemplate: "<b>%{fullData.name}</b>, T = %{customdata[0]}, seeds: %{customdata[3]}<br>"
      + "%{yaxis.title.text} %{y}%{customdata[1]}<br>%{xaxis.title.text} %{x}%{customdata[2]}<extra></extra>" },
    seed: { mode: "markers", showlegend: false, marker: { size: 5, opacity: 0.55 }, hovertemplate: "%{fullData.name}, T = %{customdata[0]}, seed %{customdata[1]}<br>%{y} against %{x}<extra></extra>" },
    line: { mode: "lines+markers", marker: { size: 6 }, hovertemplate: "<b>%{fullData.name}</b><br>step %{x}: %{y}<extra></extra>" },
    point: { mode: "markers", showlegend: false, marker: { size: 6 }, opacity: 0.5, hoverinfo: "skip" },
    border: { mode: "lines", showlegend: false, yaxis: "y2", line: { dash: "dot", width: 1 }, opacity: 0.6, hovertemplate: "end of %{text}, step %{x}<extra></extra>" },
    level: { mode: "lines", line: { dash: "dash", width: 1.5 }, hovertemplate: "%{fullData.name}: %{y}<extra></extra>" },
    front: { mode: "lines", name: "Pareto front", line: { dash: "dot", width: 1 }, hoverinfo: "skip" },
  };

  function dressed({ kind, row, tint = "ref", ...trace }, rows, colour) {
    const look = KINDS[kind];
    const owner = rows[row] ?? { colour: tint };
    const named = owner.name ? { name: owner.name, legendgroup: owner.name, visible: owner.waits ? "legendonly" : true } : {};
    return {
      type: "scatter", ...named, ...look, ...trace,
      line: { color: colour[owner.colour], dash: owner.dash, width: owner.width, ...look.line, ...trace.line },
      marker: {
        color: colour[owner.colour], symbol: owner.symbol, line: { color: colour[owner.colour], width: 1 },
        ...look.marker, ...trace.marker,
      },
      meta: owner.pages ?? {},
    };
  }

  function themed({ data, layout }, rows, narrow) {
    const colour = colours();
    const axis = { gridcolor: colour.line, linecolor: colour.line, zeroline: false, automargin: true };
    const named = (a) => ({ ...axis, ...a, title: { text: a.title, font: { size: 13 } } });
    const traces = data.map((trace) => dressed(trace, rows, colour));
    const under = 13 * traces.filter((trace) => trace.showlegend !== false).length; // two names on a line of 26 pixels
    return {
      traces,
      layout: {
        ...layout,
        shapes: (layout.shapes ?? []).map((shape) => ({ ...shape, line: { width: 1, dash: "dot", color: colour.soft } })),
        xaxis: named(layout.xaxis), yaxis: named(layout.yaxis),
        yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true },
        paper_bgcolor: "transparent", plot_bgcolor: "transparent", hovermode: "closest",
        font: { color: colour.ink, family: getComputedStyle(document.body).fontFamily, size: 12 },
        hoverlabel: { bgcolor: colour.paper, font: { color: colour.ink, size: 12 }, align: "left", namelength: -1 },
        margin: { l: 60, r: 15, t: 20, b: 60 + (narrow ? under : 0) },
        legend: narrow
          ? { orientation: "h", yref: "container", y: 0, yanchor: "bottom", font: { size: 11 }, tracegroupgap: 0 }
          : { font: { size: 12 }, tracegroupgap: 0 },
      },
    };
  }

  async function draw(box, menu) {
    const [data] = await Promise.all([load(box.dataset.source), script("data/plotly.min.js")]);
    if (!menu.options.length) menu.append(...data.figures.map((figure, i) => new Option(figure.name, i)));
    const figure = data.figures[Number(menu.value)];
    const { traces, layout } = themed(figure, data.rows, box.clientWidth < 600);
    box.setAttribute("aria-label", figure.name);
    box.style.height = layout.legend.orientation ? `${300 + layout.margin.b}px` : "";
    const first = !box.classList.contains("js-plotly-plot");
    if (first) box.replaceChildren();
    await window.Plotly.react(box, traces, layout, {
      responsive: true, displaylogo: false, displayModeBar: box.clientWidth < 600 ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d"],
      toImageButtonOptions: { format: "svg", filename: figure.name.replace(/\W+/g, "-") },
    });
    if (first) box.on("plotly_click", ({ points: [point] }) => {
      const page = point.data.meta[point.customdata?.[1]];
      if (page) location.href = `${document.body.dataset.root}runs/${page}.html`;
    });
    box.dataset.drawn = figure.name;
  }

  function startFigures() {
    for (const box of $$(".chart")) {
      const menu = $("select", box.closest("figure"));
      const show = () => draw(box, menu).catch((error) => box.replaceChildren(make("p", String(error.message))));
      let seen = false;
      new IntersectionObserver((entries, observer) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        observer.disconnect();
        seen = true;
        show();
      }, { rootMargin: "200px" }).observe(box);
      menu.addEventListener("change", show);
      redraws.push(() => seen && show());
    }
  }

  /* ---- Sentences. ---- */
  const pattern = (query) => query.trim() && new RegExp(query.trim().replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "giu");

  function marked(text, search) {
    if (!search) return [text];
    const pieces = [];
    let end = 0;
    for (const match of text.matchAll(search)) {
      pieces.push(text.slice(end, match.index), make("mark", match[0]));
      end = match.index + match[0].length;
    }
    return [...pieces, text.slice(end)];
  }

  function list(target, lines, ids, query, count) {
    const search = pattern(query);
    const numbered = lines.map((line, i) => [line, i + 1]).filter(([line]) => !search || line.search(search) >= 0);
    target.classList.toggle("ids", Boolean(ids));
    target.replaceChildren(...numbered.map(([line, number]) => {
      const item = make("li", "");
      item.dataset.n = number;
      item.append(...(line ? marked(line, search) : [make("em", "(an empty sentence)", "soft")]));
      return item;
    }));
    count.textContent = search ? `${numbered.length} of ${lines.length} sentences` : `first ${lines.length} sentences`;
  }

  async function startSamples() {
    const target = $("#list");
    if (!target) return;
    const [tools, data] = [$("#find"), await load(target.dataset.source)];
    const [menu, field] = ["select", "input[type=search]"].map((s) => $(s, tools));
    const show = () => list(target, data.sets[Number(menu?.value ?? 0)].lines, data.ids, field.value, $(".count", tools));
    tools.hidden = false;
    [menu, field].forEach((control) => control?.addEventListener("input", show));
    show();
  }

  function startCompare() {
    if (!$("#runs")) return;
    const boards = JSON.parse($("#runs").textContent);
    if (!boards.length) return;
    const asked = new URLSearchParams(location.hash.slice(1));
    const [board, query] = [$("#board"), $("#query")];
    const sides = ["left", "right"].map((name) => ({ name, run: $(`#${name}`), set: $(`#${name}-set`) }));
    const entry = (side) => boards[Number(board.value)].runs[Number(side.run.value)];

    async function show(side) {
      const [name, row, seed] = entry(side);
      const data = await load(name);
      if (entry(side)[0] !== name) return; // another was chosen meanwhile
      list($(`#${side.name}-list`), data.sets[Number(side.set.value)].lines, data.ids, query.value, $(`#${side.name}-count`));
      const link = $(`#${side.name}-run`);
      link.href = `runs/${name}.html`;
      link.textContent = `open ${row}, ${seed}`;
      history.replaceState(null, "", `#${sides.map((s) => `${s.name}=${entry(s)[0]}`).join("&")}`);
    }
    function chooseRun(side) {
      side.set.replaceChildren(...entry(side)[3].map((name, i) => new Option(name, i)));
      return show(side);
    }
    function chooseBoard() {
      const { runs } = boards[Number(board.value)];
      const left = Math.max(0, runs.findIndex(([, , , , reference]) => !reference));
      const right = runs.findIndex(([, row, , , reference]) => !reference && row !== runs[left][1]);
      sides.forEach((side, i) => {
        side.run.replaceChildren(...runs.map(([, row, seed], k) => new Option(`${row}, ${seed}`, k)));
        const wanted = runs.findIndex(([name]) => name === asked.get(side.name));
        side.run.value = wanted >= 0 ? wanted : i === 0 ? left : Math.max(0, right);
      });
      return Promise.all(sides.map(chooseRun));
    }
    board.replaceChildren(...boards.map((one, i) => new Option(one.board, i)));
    const home = boards.findIndex((one) => one.runs.some(([name]) => name === asked.get("left")));
    board.value = Math.max(0, home);
    board.addEventListener("change", chooseBoard);
    query.addEventListener("input", () => sides.forEach(show));
    sides.forEach((side) => {
      side.run.addEventListener("change", () => chooseRun(side));
      side.set.addEventListener("change", () => show(side));
    });
    $("#compare").hidden = false;
    chooseBoard();
  }

  function openTarget() {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") target.open = true;
  }

  showTheme();
  document.addEventListener("DOMContentLoaded", () => {
    startTheme();
    startTables();
    startTips();
    startCopy();
    startFigures();
    startSamples();
    startCompare();
    openTarget();
    addEventListener("hashchange", openTarget);
  });
})();
