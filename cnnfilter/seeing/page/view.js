"use strict";
// What is seen: one state, computed and drawn anew after every change of it.

let state = exampleState();
let geometry, outputs, pointed = null, timer = null, built = "";

const pixel = (y, x) => state.matrix[y][x];

/** Compute all outputs, and draw everything. */
function update() {
  geometry = makeGeometry(state.matrix.length, state.matrix[0].length, state);
  const { rows, columns } = geometry;
  outputs = [];
  for (let i = 0; i < rows.output; i++) {
    for (let j = 0; j < columns.output; j++) outputs.push(arithmetic(state, geometry, pixel, i, j));
  }
  state.step = Math.max(0, Math.min(state.step, outputs.length - 1));
  pointed = null;
  drawControls();
  build();
  paint();
  history.replaceState(null, "", `#${writeFragment(state)}`);
  showPhoto();
}

/** Make the cells again where a shape has changed. */
function build() {
  const { rows, columns } = geometry;
  const shape = JSON.stringify([geometry, state.convolve, language]);
  if (shape === built) return;
  built = shape;
  buildGrid($("input"), rows.before + rows.length + rows.after, columns.before + columns.length + columns.after,
    (cell, u, v) => {
      const row = u - rows.before, column = v - columns.before;
      Object.assign(cell.dataset, { row, column });
      if (row < 0 || row >= rows.length || column < 0 || column >= columns.length) cell.classList.add("pad");
      else cell.append(numberField("matrix", row, column));
    });
  $("input").dataset.fields = columns.length;
  buildGrid($("kernel"), rows.taps, columns.taps, (cell, u, v) => cell.append(numberField("kernel", u, v)));
  $("kernel").dataset.fields = columns.taps;
  $("lying-board").hidden = !state.convolve;
  if (state.convolve) buildGrid($("lying"), rows.taps, columns.taps, () => {});
  buildGrid($("output"), rows.output, columns.output, (cell, i, j) => {
    Object.assign(cell.dataset, { row: i, column: j });
  });
  buildSize($("input-size"), rows.length, columns.length, resize("matrix"));
  buildSize($("kernel-size"), rows.taps, columns.taps, resize("kernel"));
}

/** Put the values into the cells, and mark what is pointed at or stepped to. */
function paint() {
  const { rows, columns } = geometry;
  const padded = place => pixelAt(place[0], rows.length, state.boundary) < 0
    || pixelAt(place[1], columns.length, state.boundary) < 0;
  const outside = state.boundary === "constant" ? state.constant : 0;
  for (const cell of $("input").children) {
    const place = [Number(cell.dataset.row), Number(cell.dataset.column)];
    const value = padded(place) ? outside
      : pixel(pixelAt(place[0], rows.length, state.boundary), pixelAt(place[1], columns.length, state.boundary));
    putText(cell, shown(value));
    cell.classList.toggle("none", state.boundary === "renormalize" && cell.classList.contains("pad"));
  }
  const paintKernel = (grid, weights) => {
    const largest = Math.max(...weights.flat().map(Math.abs));
    weights.flat().forEach((weight, place) => {
      putText(grid.children[place], shown(weight));
      grid.children[place].style.background = shade(weight, largest);
    });
    fitCells(grid);
  };
  paintKernel($("kernel"), state.kernel);
  if (state.convolve) paintKernel($("lying"), lying(state));
  const largest = Math.max(...outputs.map(found => Math.abs(found.result) || 0), 0);
  outputs.forEach((found, place) => {
    const cell = $("output").children[place];
    cell.textContent = resultText(found);
    cell.style.background = shade(found.result, largest);
  });
  fitCells($("input"));
  fitCells($("output"));
  $("output-size").textContent = `${rows.output} × ${columns.output}`;
  mark();
}

/** Mark window, output and what is reached; show the arithmetic. */
function mark() {
  for (const cell of document.querySelectorAll(".tap, .now, .reached, .source, .later")) {
    cell.classList.remove("tap", "now", "reached", "source", "later");
  }
  $("scrub").max = Math.max(0, outputs.length - 1);
  $("scrub").value = state.step;
  const reach = pointed?.input ? reachedBy(...pointed.input) : null;
  if (reach) return markReached(reach);
  const found = outputs[pointed?.output ?? state.step];
  if (!found) {
    $("tables").replaceChildren();
    $("formula").replaceChildren();
    $("where").textContent = "";
    return;
  }
  if (timer !== null) {
    for (let later = state.step + 1; later < outputs.length; later++) $("output").children[later].classList.add("later");
  }
  for (const tap of found.taps) {
    const cell = inputCell(tap.row, tap.column);
    cell.classList.add("tap");
    cell.dataset.weight = `×${minus(shown(tap.weight))}`;
  }
  $("output").children[outputs.indexOf(found)].classList.add("now");
  $("tables").replaceChildren(productTables(found, geometry));
  $("formula").replaceChildren(sumLine(found, state.divisor));
  let where = say("stepOf", { step: outputs.indexOf(found) + 1, steps: outputs.length, row: found.i, column: found.j });
  if (Number.isNaN(found.result)) where += ` — ${say("zeroWeights")}`;
  else if (found.rescaled) where += ` — ${say("rescaled", { inside: shown(found.inside), whole: shown(found.whole) })}`;
  $("where").textContent = where;
}

function inputCell(row, column) {
  const { rows, columns } = geometry;
  const across = columns.before + columns.length + columns.after;
  return $("input").children[(row + rows.before) * across + column + columns.before];
}

/** Find the outputs that a place of the input reaches; beside the image, only through that place. */
function reachedBy(row, column) {
  const real = row >= 0 && row < geometry.rows.length && column >= 0 && column < geometry.columns.length;
  const list = [];
  outputs.forEach((found, place) => {
    const through = found.taps.filter(tap => !tap.missing
      && (real ? tap.y === row && tap.x === column : tap.row === row && tap.column === column));
    if (through.length) list.push({ found, place, weight: through.reduce((sum, tap) => sum + tap.weight, 0) });
  });
  return { row, column, real, list };
}

function markReached({ row, column, real, list }) {
  const y = pixelAt(row, geometry.rows.length, state.boundary), x = pixelAt(column, geometry.columns.length, state.boundary);
  inputCell(row, column).classList.add("source");
  let where = "";
  if (!real && (y < 0 || x < 0)) {
    where = state.boundary === "renormalize" ? say("nothingHere")
      : say("constantHere", { value: state.boundary === "constant" ? shown(state.constant) : 0 });
  } else if (!real) {
    inputCell(y, x).classList.add("source");
    where = say("copyOf", { row: y, column: x });
  } else {
    const texts = list.slice(0, 12).map(({ found, weight }) => `(${found.i}, ${found.j}) ×${shown(weight)}`);
    if (list.length > 12) texts.push("…");
    where = say(list.length ? "reaches" : "reachesNone", { row, column, count: list.length, list: texts.join("  ") });
  }
  for (const { place } of list) $("output").children[place].classList.add("reached");
  $("where").textContent = where;
}

function drawControls() {
  const { rows, columns } = geometry;
  document.querySelector(`[name=operation][value=${state.convolve ? "convolve" : "correlate"}]`).checked = true;
  const put = (id, value) => { if ($(id) !== document.activeElement) $(id).value = value; };
  for (const name of ["stride", "dilation"]) {
    put(`${name}-rows`, state[name][0]);
    put(`${name}-columns`, state[name][1]);
  }
  $("padding").value = typeof state.padding === "string" ? state.padding : "numbers";
  put("pad-top", rows.before); put("pad-bottom", rows.after); put("pad-left", columns.before); put("pad-right", columns.after);
  $("boundary").value = state.boundary;
  $("constant-label").hidden = state.boundary !== "constant";
  put("constant", shown(state.constant));
  put("divisor", shown(state.divisor));
  put("input-text", writeMatrix(state.matrix));
  put("kernel-text", writeMatrix(state.kernel, state.divisor));
  $("range").value = state.range;
  const same = KERNELS.find(({ weights, divisor }) => divisor === state.divisor
    && JSON.stringify(weights) === JSON.stringify(state.kernel));
  $("named").value = same?.name ?? "";
  const empty = !rows.output || !columns.output;
  message(empty ? say("emptyOutput", {
    rows: rows.reach, columns: columns.reach,
    height: rows.before + rows.length + rows.after, width: columns.before + columns.length + columns.after,
  }) : "");
  const shape = axis => say("shape", { ...axis, padding: axis.before + axis.after });
  $("shape").textContent = say("sizes", { rows: shape(rows), columns: shape(columns) });
}

function message(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}
