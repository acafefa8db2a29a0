"use strict";
// The arithmetic of the page: what `cnnfilter.correlate` computes, in doubles. Nothing here knows the document.

const BOUNDARIES = ["zero", "constant", "edge", "reflect", "symmetric", "wrap", "renormalize"];
const PADDINGS = ["narrow", "same", "wide"];

/** Return the pixel that stands at a place, which may lie beside the image, or -1 where a constant stands. */
function pixelAt(place, length, boundary) {
  if (place >= 0 && place < length) return place;
  const modulo = (a, b) => ((a % b) + b) % b;
  switch (boundary) {
    case "edge": return place < 0 ? 0 : length - 1;
    case "wrap": return modulo(place, length);
    case "reflect": {
      if (length === 1) return 0;
      const back = modulo(place, 2 * (length - 1));
      return Math.min(back, 2 * (length - 1) - back);
    }
    case "symmetric": {
      const back = modulo(place, 2 * length);
      return Math.min(back, 2 * length - 1 - back);
    }
    default: return -1;
  }
}

/** One axis of the geometry: padding in numbers, what the kernel reaches over, and the number of outputs. */
function makeAxis(length, taps, stride, dilation, padding) {
  const reach = (taps - 1) * dilation + 1;
  const named = { narrow: [0, 0], same: [(reach - 1) >> 1, reach >> 1], wide: [reach - 1, reach - 1] };
  const [before, after] = named[padding] || padding;
  const output = Math.floor((length + before + after - reach) / stride) + 1;
  return { length, taps, stride, dilation, reach, before, after, output: Math.max(0, output) };
}

function makeGeometry(rows, columns, state) {
  const sides = typeof state.padding === "string" ? [state.padding, state.padding] : state.padding;
  const weights = state.kernel;
  return {
    rows: makeAxis(rows, weights.length, state.stride[0], state.dilation[0], sides[0]),
    columns: makeAxis(columns, weights[0].length, state.stride[1], state.dilation[1], sides[1]),
  };
}

/** The kernel as it lies over the image: turned by 180 degrees for a convolution. */
function lying(state) {
  if (!state.convolve) return state.kernel;
  return state.kernel.map(row => [...row].reverse()).reverse();
}

/** Everything of the output at (i, j). `pixel(y, x)` gives the input; without outputs nothing is asked. */
function arithmetic(state, geometry, pixel, i, j) {
  const { rows, columns } = geometry;
  const weights = lying(state);
  const constant = state.boundary === "constant" ? state.constant : 0;
  const dropped = state.boundary === "renormalize";
  const taps = [];
  let total = 0, magnitude = 0, inside = 0, whole = 0;
  for (let u = 0; u < rows.taps; u++) {
    for (let v = 0; v < columns.taps; v++) {
      const row = i * rows.stride - rows.before + u * rows.dilation;
      const column = j * columns.stride - columns.before + v * columns.dilation;
      const y = pixelAt(row, rows.length, state.boundary);
      const x = pixelAt(column, columns.length, state.boundary);
      const real = row >= 0 && row < rows.length && column >= 0 && column < columns.length;
      const missing = dropped && !real;
      const value = y < 0 || x < 0 ? constant : pixel(y, x);
      const weight = weights[u][v];
      const product = missing ? 0 : weight * value;
      taps.push({ row, column, y, x, real, missing, value, weight, product });
      total += product;
      magnitude += Math.abs(product);
      whole += weight;
      if (real) inside += weight;
    }
  }
  let result = total / state.divisor, scale = magnitude / Math.abs(state.divisor);
  const rescaled = dropped && taps.some(tap => !tap.real);
  if (rescaled) {
    // As in the core: a sum of weights that is only rounding cannot be divided by.
    const least = 1e-9 * weights.flat().reduce((sum, weight) => sum + Math.abs(weight), 0);
    const factor = Math.abs(inside) <= least ? NaN : whole / inside;
    result *= factor;
    scale *= Math.abs(factor);
  }
  return { i, j, taps, total, magnitude, inside, whole, rescaled, result, scale };
}

/** Round half to even, as files are written. */
function roundEven(value) {
  const below = Math.floor(value), rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** Write a number for people; `cnnfilter/seeing/numbers.py` has the same function. */
function shown(value, scale = 0) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  const size = Math.abs(value), whole = Math.round(value);
  if (size <= 1e-12 * scale) return "0";
  if (size < 1e15 && Math.abs(value - whole) <= 1e-12 * Math.max(scale, size)) return String(whole);
  const digits = size < 1e5 ? 6 : 10;
  const rounded = Number(Number(value.toPrecision(12)).toPrecision(digits));
  const [mantissa, exponent] = rounded.toExponential(digits - 1).split("e").map(Number);
  return exponent >= -4 && exponent < digits ? String(rounded) : `${mantissa}e${exponent}`;
}

/** A mistake in what was typed: which word of the page says so, and its values. */
class Mistake extends Error {
  constructor(word, values = {}) {
    super(word);
    this.word = word;
    this.values = values;
  }
}

/** The signs that a Chinese or Japanese keyboard writes as those of ASCII; `othersyntax.py` has the same. */
function asciiTwins(text) {
  const others = { "　": " ", "、": ",", "。": ".", "−": "-", "–": "-", "×": "x" };
  return text.replace(/[！-～　、。−–×]/g, sign => others[sign] ?? String.fromCharCode(sign.charCodeAt(0) - 0xFEE0));
}

/** Read a number, or a fraction such as 1/9; undefined where it is none. */
function readNumber(text) {
  const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const parts = asciiTwins(text).trim().split("/");
  if (parts.length > 2 || !parts.every(part => number.test(part))) return undefined;
  const value = parts.length === 2 ? Number(parts[0]) / Number(parts[1]) : Number(parts[0]);
  return Number.isFinite(value) ? value : undefined;
}

/** Read rows such as `1 2 1; 2 4 2; 1 2 1 / 16`; the divisor, with a blank beside the slash, comes last. */
function readMatrix(text, most) {
  const parts = asciiTwins(text).split(/(?:\s\/|\/\s)\s*/);
  if (parts.length > 2) throw new Mistake("divisorTwice");
  const divisor = parts.length === 2 ? readNumber(parts[1].replace(/[;\s]+$/, "")) : 1;
  if (!divisor) throw new Mistake("badDivisor", { text: parts[1] });
  const lines = parts[0].split(/[;\n]/).map(line => line.trim()).filter(line => line);
  if (!lines.length) throw new Mistake("noNumbers");
  const rows = lines.map((line, u) => line.split(/[\s,]+/).filter(cell => cell).map((cell, v) => {
    const value = readNumber(cell);
    if (value === undefined) throw new Mistake("notANumber", { text: cell, row: u + 1, column: v + 1 });
    return value;
  }));
  rows.forEach((row, u) => {
    if (row.length !== rows[0].length) {
      throw new Mistake("ragged", { row: u + 1, count: row.length, first: rows[0].length });
    }
  });
  if (rows.length > most || rows[0].length > most) {
    throw new Mistake("tooLarge", { rows: rows.length, columns: rows[0].length, most });
  }
  return { rows, divisor };
}

function writeMatrix(rows, divisor = 1) {
  return rows.map(row => row.join(" ")).join("; ") + (divisor === 1 ? "" : ` / ${divisor}`);
}
