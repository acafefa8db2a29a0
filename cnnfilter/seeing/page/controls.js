"use strict";
// What can be typed and chosen. A mistake is said, and leaves the state as it was.

/** Do what an entry asks for; a mistake in it is said, and nothing changes. */
function attempt(field, change) {
  field.closest(".cell")?.classList.remove("bad");
  field.removeAttribute("aria-invalid");
  try {
    change();
    update();
  } catch (error) {
    if (!(error instanceof Mistake)) throw error;
    field.closest(".cell")?.classList.add("bad");
    field.setAttribute("aria-invalid", "true");
    message(say(error.word, error.values));
  }
}

/** The field of one number of a matrix or of the kernel, named as in the state. */
function numberField(name, row, column) {
  const field = make("input", { inputMode: "decimal", ariaLabel: say("cell", { row, column }), autocomplete: "off" });
  field.addEventListener("input", () => attempt(field, () => {
    const value = readNumber(field.value);
    if (value === undefined) throw new Mistake("notANumber", { text: field.value, row: row + 1, column: column + 1 });
    state[name][row][column] = value;
  }));
  field.addEventListener("blur", paint);
  return field;
}

function resize(name) {
  return (side, by) => {
    const rows = state[name];
    const size = side === "rows" ? rows.length : rows[0].length;
    if (size + by < 1 || size + by > MOST[name]) return;
    if (side === "rows") {
      state[name] = by > 0 ? [...rows, rows[0].map(() => 0)] : rows.slice(0, -1);
    } else {
      state[name] = rows.map(row => (by > 0 ? [...row, 0] : row.slice(0, -1)));
    }
    update();
  };
}

function wireNumber(id, name, least, put) {
  const field = $(id);
  Object.assign(field, { min: least, max: MOST[name] });
  field.addEventListener("input", () => attempt(field, () => {
    const value = Number(field.value);
    if (!/^\d+$/.test(field.value) || value < least || value > MOST[name]) {
      throw new Mistake("outOfRange", { name: say(name), least, most: MOST[name] });
    }
    put(value);
  }));
  field.addEventListener("blur", drawControls);
}

function wireControls() {
  for (const radio of document.querySelectorAll("[name=operation]")) {
    radio.onchange = () => { state.convolve = radio.value === "convolve"; update(); };
  }
  for (const name of ["stride", "dilation"]) {
    wireNumber(`${name}-rows`, name, 1, value => { state[name][0] = value; });
    wireNumber(`${name}-columns`, name, 1, value => { state[name][1] = value; });
  }
  const sides = () => [[geometry.rows.before, geometry.rows.after], [geometry.columns.before, geometry.columns.after]];
  ["pad-top", "pad-bottom", "pad-left", "pad-right"].forEach((id, place) => {
    wireNumber(id, "padding", 0, value => {
      const padding = sides();
      padding[place >> 1][place % 2] = value;
      state.padding = padding;
    });
  });
  $("padding").onchange = event => {
    state.padding = event.target.value === "numbers" ? sides() : event.target.value;
    update();
  };
  $("boundary").onchange = event => { state.boundary = event.target.value; update(); };
  $("range").onchange = event => { state.range = event.target.value; update(); };
  $("named").onchange = event => {
    const chosen = KERNELS.find(({ name }) => name === event.target.value);
    if (!chosen) return;
    state.kernel = chosen.weights.map(row => [...row]);
    state.divisor = chosen.divisor;
    update();
  };
  const number = (id, word, put, unfit) => $(id).addEventListener("input", () => attempt($(id), () => {
    const value = readNumber($(id).value);
    if (value === undefined || unfit?.(value)) throw new Mistake(word, { text: $(id).value });
    put(value);
  }));
  number("constant", "badConstant", value => { state.constant = value; });
  number("divisor", "badDivisor", value => { state.divisor = value; }, value => value === 0);
  $("input-text").addEventListener("input", event => attempt(event.target, () => {
    const read = readMatrix(event.target.value, MOST.matrix);
    state.matrix = read.rows.map(row => row.map(value => value / read.divisor));
  }));
  $("kernel-text").addEventListener("input", event => attempt(event.target, () => {
    const read = readMatrix(event.target.value, MOST.kernel);
    state.kernel = read.rows;
    state.divisor = read.divisor;
  }));
  for (const id of ["input-text", "kernel-text"]) $(id).addEventListener("blur", drawControls);
}
