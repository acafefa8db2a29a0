"use strict";
// What the page shows, and how the fragment of its address keeps it.

const MOST = { matrix: 16, kernel: 9, stride: 8, dilation: 4, padding: 16 };

function exampleState() {
  return {
    matrix: [
      [0, 0, 0, 0, 0, 0, 0],
      [0, 1, 2, 3, 2, 1, 0],
      [0, 2, 9, 9, 9, 2, 0],
      [0, 3, 9, 0, 9, 3, 0],
      [0, 2, 9, 9, 9, 2, 0],
      [0, 1, 2, 3, 2, 1, 0],
      [0, 0, 0, 0, 0, 0, 0],
    ],
    kernel: [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    divisor: 1, convolve: false, stride: [1, 1], padding: "same", boundary: "zero", constant: 0,
    dilation: [1, 1], range: "clip", step: 0,
  };
}

/** `m=1,2;3,4&k=…`: short, and readable by those who look at it. */
function writeFragment(state) {
  const rows = matrix => matrix.map(row => row.join(",")).join(";");
  const pair = ([a, b]) => (a === b ? `${a}` : `${a}x${b}`);
  const padding = typeof state.padding === "string" ? state.padding : state.padding.flat().join(",");
  const parts = {
    m: rows(state.matrix),
    k: rows(state.kernel),
    over: state.divisor,
    op: state.convolve ? "convolve" : "correlate",
    stride: pair(state.stride),
    padding,
    boundary: state.boundary === "constant" ? `constant:${state.constant}` : state.boundary,
    dilation: pair(state.dilation),
    range: state.range,
    step: state.step,
  };
  return Object.entries(parts).map(([name, value]) => `${name}=${value}`).join("&");
}

/** Read a fragment over the example; what cannot be used is a `Mistake`. */
function readFragment(fragment) {
  const state = exampleState();
  const text = fragment.replace(/^#/, "");
  if (!text) return state;
  const parts = new Map(text.split("&").map(part => {
    const [name, ...value] = part.split("=");
    try {
      return [name, decodeURIComponent(value.join("="))];
    } catch {
      throw new Mistake("badLink", { text: part });
    }
  }));
  const refuse = name => { throw new Mistake("badLink", { text: `${name}=${parts.get(name)}` }); };
  const whole = (name, texts, least, most) => texts.map(text => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) refuse(name);
    return value;
  });
  const choice = (name, choices) => (choices.includes(parts.get(name)) ? parts.get(name) : refuse(name));
  if (parts.has("m")) state.matrix = readMatrix(parts.get("m"), MOST.matrix).rows;
  if (parts.has("k")) state.kernel = readMatrix(parts.get("k"), MOST.kernel).rows;
  state.divisor = parts.has("over") ? readNumber(parts.get("over")) || refuse("over") : 1;
  if (parts.has("op")) state.convolve = choice("op", ["correlate", "convolve"]) === "convolve";
  for (const name of ["stride", "dilation"]) {
    if (!parts.has(name)) continue;
    const pair = whole(name, parts.get(name).split("x"), 1, MOST[name]);
    if (pair.length > 2) refuse(name);
    state[name] = [pair[0], pair[pair.length - 1]];
  }
  if (parts.has("padding")) {
    const value = parts.get("padding");
    if (PADDINGS.includes(value)) state.padding = value;
    else {
      const sides = whole("padding", value.split(","), 0, MOST.padding);
      if (sides.length !== 4) refuse("padding");
      state.padding = [sides.slice(0, 2), sides.slice(2)];
    }
  }
  if (parts.has("boundary")) {
    const [name, constant] = parts.get("boundary").split(":");
    if (!BOUNDARIES.includes(name)) refuse("boundary");
    state.boundary = name;
    if (name === "constant") state.constant = readNumber(constant || "0") ?? refuse("boundary");
  }
  if (parts.has("range")) state.range = choice("range", ["clip", "abs", "offset", "stretch"]);
  if (parts.has("step")) state.step = whole("step", [parts.get("step")], 0, 1e6)[0];
  return state;
}
