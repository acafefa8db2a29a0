"use strict";
// Matrices as grids of cells: built anew when their shape changes, painted when their values do.

const $ = id => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Make a grid of `rows` by `columns` cells; `fill(cell, u, v)` puts something into each. */
function buildGrid(grid, rows, columns, fill) {
  grid.style.setProperty("--columns", columns);
  const cells = [];
  for (let u = 0; u < rows; u++) {
    for (let v = 0; v < columns; v++) {
      const cell = make("div", { className: "cell" });
      fill(cell, u, v);
      cells.push(cell);
    }
  }
  grid.replaceChildren(...cells);
}

/** Give all cells the width of the longest text. */
function fitCells(grid) {
  const longest = Math.max(2, ...[...grid.children].map(cell => (cell.firstChild?.value ?? cell.textContent).length));
  grid.style.setProperty("--cell", `calc(${longest}ch + 16px)`);
}

/** Write the sign as a text has it; cells keep the one that can be typed. */
const minus = text => text.replace(/-/g, "−");

function putText(cell, text) {
  const field = cell.firstElementChild;
  if (!field) cell.textContent = text;
  else if (field !== document.activeElement) field.value = text;
}

/** A shade for a value: one colour above 0, one below. */
function shade(value, largest) {
  if (!Number.isFinite(value) || !largest || value === 0) return "";
  const strength = 0.38 * Math.min(1, Math.abs(value) / largest);
  return `rgba(var(${value > 0 ? "--plus" : "--minus"}), ${strength.toFixed(3)})`;
}

/** Go from cell to cell with arrows and Enter, as in a sheet. */
function moveByKeys(grid) {
  grid.addEventListener("keydown", event => {
    const field = event.target;
    const fields = [...grid.querySelectorAll("input")];
    const columns = Number(grid.dataset.fields);
    const atStart = field.selectionStart === 0 && field.selectionEnd === 0;
    const atEnd = field.selectionStart === field.value.length;
    const steps = {
      ArrowUp: -columns, ArrowDown: columns, Enter: columns, ArrowLeft: atStart ? -1 : 0, ArrowRight: atEnd ? 1 : 0,
    };
    const target = fields[fields.indexOf(field) + (steps[event.key] || 0)];
    if (!steps[event.key] || !target) return;
    event.preventDefault();
    target.focus();
    target.select();
  });
}

/** Steppers for the size of a matrix. */
function buildSize(place, rows, columns, change) {
  const stepper = (name, by) => make("button", {
    textContent: by > 0 ? "+" : "−", title: `${say(name)}: ${say(by > 0 ? "more" : "fewer")}`,
    onclick: () => change(name, by),
  });
  place.replaceChildren(
    stepper("rows", -1), `${rows}`, stepper("rows", 1), "×",
    stepper("columns", -1), `${columns}`, stepper("columns", 1),
  );
}

/** The tables window × kernel = products of one output. */
function productTables(found, geometry, caption = "") {
  const { rows, columns } = geometry;
  const table = (title, text, classOf = () => "") => {
    const body = make("table", {}, make("caption", { textContent: title }));
    for (let u = 0; u < rows.taps; u++) {
      const row = make("tr");
      for (let v = 0; v < columns.taps; v++) {
        const tap = found.taps[u * columns.taps + v];
        row.append(make("td", { textContent: text(tap), className: classOf(tap) }));
      }
      body.append(row);
    }
    return body;
  };
  const sign = text => make("span", { className: "sign", textContent: text });
  const outside = tap => (tap.real ? "" : "outside");
  return make(
    "div", { className: "tables" },
    table(caption || say("window"), tap => (tap.missing ? "–" : shown(tap.value)), outside), sign("×"),
    table(say("lying"), tap => shown(tap.weight)), sign("="),
    table(say("products"), tap => (tap.missing ? "–" : shown(tap.product)), outside),
  );
}

/** The result as the page shows it; where it is not defined, a dash. */
function resultText(found) {
  return Number.isNaN(found.result) ? "—" : shown(found.result, found.scale);
}

/** The sum in one line: products, divisor, rescaling, result. */
function sumLine(found, divisor) {
  const line = document.createDocumentFragment();
  const terms = found.taps.filter(tap => !tap.missing && tap.weight !== 0);
  const text = minus(terms.map(tap => {
    const value = shown(tap.value);
    return `${shown(tap.weight)}·${value.startsWith("-") ? `(${value})` : value}`;
  }).join(" + ").replace(/\+ -/g, "- "));
  const total = minus(shown(found.total, found.magnitude));
  if (divisor !== 1 || found.rescaled) line.append(terms.length ? `${text} = ${total}; ${total}` : total);
  else if (terms.length) line.append(text);
  if (divisor !== 1) line.append(` / ${minus(shown(divisor))}`);
  if (found.rescaled) line.append(minus(` × ${shown(found.whole)} / ${shown(found.inside)}`));
  line.append(" = ", make("b", { textContent: resultText(found) }));
  return line;
}
