"use strict";
// A photograph under the same kernel and geometry, filtered a few rows at a time so that the page stays alive.

const MOST_PIXELS = 1_000_000;
const SLICE = 14; // milliseconds of work before the page may draw again

const photo = { name: "", from: null, pixels: null, run: 0, geometry: null };

/** Take a file; one that is no picture is said. */
async function openPhoto(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return photoMessage(say("unreadable", { name: file.name || say("photo") }));
  }
  photoMessage("");
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
  const width = Math.max(1, Math.floor(bitmap.width * scale)), height = Math.max(1, Math.floor(bitmap.height * scale));
  const canvas = $("original");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff"; // what is transparent is seen on white
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  photo.name = file.name || say("photo");
  photo.from = scale < 1 ? [bitmap.width, bitmap.height] : null;
  photo.pixels = context.getImageData(0, 0, width, height);
  bitmap.close();
  $("photo-work").hidden = false;
  await showPhoto();
}

function photoMessage(text) {
  $("photo-message").textContent = text;
  $("photo-message").hidden = !text;
}

/** Filter the photograph by the state of the page; a newer call ends an older one. */
async function showPhoto() {
  const run = ++photo.run;
  if (!photo.pixels) return;
  const { width, height, data } = photo.pixels;
  const geometry = makeGeometry(height, width, state);
  const shape = [geometry.rows.output, geometry.columns.output];
  photo.geometry = shape[0] && shape[1] ? geometry : null;
  photoMessage(photo.geometry ? "" : say("photoEmpty"));
  if (!photo.geometry) return;
  const sums = new Float64Array(shape[0] * shape[1] * 3);
  const rowOf = rowFilter(data, width, geometry, { ...state, weights: lying(state) });
  let paused = performance.now();
  for (let i = 0; i < shape[0]; i++) {
    rowOf(i, sums.subarray(i * shape[1] * 3, (i + 1) * shape[1] * 3));
    if (performance.now() - paused > SLICE) {
      $("photo-size").textContent = say("working", { share: Math.round((100 * i) / shape[0]) });
      await new Promise(resolve => setTimeout(resolve));
      if (run !== photo.run) return;
      paused = performance.now();
    }
  }
  const { pixels, limited } = storedPixels(sums, shape, state.range);
  const canvas = $("result");
  [canvas.height, canvas.width] = shape;
  canvas.getContext("2d").putImageData(new ImageData(pixels, shape[1], shape[0]), 0, 0);
  const share = (100 * limited) / sums.length;
  $("photo-size").textContent = say("photoSize", {
    name: photo.name, width, height, outWidth: shape[1], outHeight: shape[0],
    scaled: photo.from ? say("scaledFrom", { width: photo.from[0], height: photo.from[1] }) : "",
    limited: limited ? say("limitedShare", { share: share < 0.1 ? "< 0.1" : share.toFixed(1) }) : "",
  });
}

/** Return the function that computes one row of outputs, three channels each. */
function rowFilter(data, width, geometry, { weights, divisor, boundary, constant }) {
  const { rows, columns } = geometry;
  const outside = boundary === "constant" ? constant : 0;
  const columnMap = Int32Array.from(
    { length: columns.before + columns.length + columns.after },
    (_, place) => pixelAt(place - columns.before, columns.length, boundary),
  );
  const whole = weights.flat().reduce((sum, weight) => sum + weight, 0);
  const least = 1e-9 * weights.flat().reduce((sum, weight) => sum + Math.abs(weight), 0);
  const lies = (axis, index) => {
    const first = index * axis.stride - axis.before;
    return first >= 0 && first + axis.reach <= axis.length;
  };
  const inside = boundary === "renormalize" ? new Float64Array(columns.output) : null;
  return (i, sums) => {
    inside?.fill(0);
    for (let u = 0; u < rows.taps; u++) {
      const y = pixelAt(i * rows.stride - rows.before + u * rows.dilation, rows.length, boundary);
      for (let v = 0; v < columns.taps; v++) {
        const weight = weights[u][v];
        if (weight === 0) continue;
        let place = v * columns.dilation;
        for (let j = 0, out = 0; j < columns.output; j++, out += 3, place += columns.stride) {
          const x = columnMap[place];
          if (y < 0 || x < 0) {
            sums[out] += weight * outside;
            sums[out + 1] += weight * outside;
            sums[out + 2] += weight * outside;
          } else {
            const from = 4 * (y * width + x);
            sums[out] += weight * data[from];
            sums[out + 1] += weight * data[from + 1];
            sums[out + 2] += weight * data[from + 2];
            if (inside) inside[j] += weight;
          }
        }
      }
    }
    const interior = lies(rows, i);
    for (let j = 0, out = 0; j < columns.output; j++) {
      const rescaled = inside && !(interior && lies(columns, j));
      const factor = !rescaled ? 1 : Math.abs(inside[j]) <= least ? NaN : whole / inside[j];
      for (const end = out + 3; out < end; out++) sums[out] = (sums[out] / divisor) * factor;
    }
  };
}

/** Bring the sums into 0 to 255 as `--range` does, and round them once. */
function storedPixels(sums, [height, width], range) {
  const pixels = new Uint8ClampedArray(4 * height * width);
  let least = Infinity, greatest = -Infinity, limited = 0;
  if (range === "stretch") {
    for (const value of sums) {
      if (value < least) least = value;
      if (value > greatest) greatest = value;
    }
  }
  const span = greatest - least;
  const scale = range === "stretch" && span > 1e-30 ? 255 / span : 1;
  for (let from = 0, to = 0; from < sums.length; from++, to++) {
    let value = sums[from];
    if (range === "abs") value = Math.abs(value);
    else if (range === "offset") value += 128;
    else if (range === "stretch") value = (value - least) * scale;
    const rounded = roundEven(value);
    if (!(rounded >= 0 && rounded <= 255)) limited++;
    pixels[to] = rounded;
    if (from % 3 === 2) pixels[++to] = 255;
  }
  return { pixels, limited };
}

/** Show the numbers of the output under the pointer, and the window on both pictures. */
function pointAtPhoto(canvas, event) {
  if (!photo.geometry) return;
  const box = canvas.getBoundingClientRect();
  let column = Math.floor(((event.clientX - box.left) / box.width) * canvas.width);
  let row = Math.floor(((event.clientY - box.top) / box.height) * canvas.height);
  const { rows, columns } = photo.geometry;
  if (canvas.id === "original") {
    // The output whose window lies centrally over this pixel.
    const centred = (place, axis) => Math.round((place + axis.before - (axis.reach - 1) / 2) / axis.stride);
    [row, column] = [centred(row, rows), centred(column, columns)];
  }
  const limit = (value, most) => Math.max(0, Math.min(most, value));
  showPhotoNumbers(limit(row, rows.output - 1), limit(column, columns.output - 1));
}

function showPhotoNumbers(i, j) {
  const { width, data } = photo.pixels;
  const { rows, columns } = photo.geometry;
  const tables = ["red", "green", "blue"].map((name, channel) => {
    const found = arithmetic(state, photo.geometry, (y, x) => data[4 * (y * width + x) + channel], i, j);
    const small = rows.taps * columns.taps <= 25;
    const block = small ? productTables(found, photo.geometry, say(name)) : make("div", { className: "tables" }, say(name));
    const total = make("span", { className: "total" }, "→ ");
    total.append(make("b", { textContent: resultText(found) }));
    block.append(total);
    return block;
  });
  $("photo-tables").replaceChildren(...tables);
  $("photo-where").textContent = say("photoAt", { row: i, column: j });
  const first = (axis, index) => index * axis.stride - axis.before;
  moveLens($("original"), first(rows, i), first(columns, j), rows.reach, columns.reach);
  moveLens($("result"), i, j, 1, 1);
}

/** Frame a window on a picture; at least a few screen pixels large. */
function moveLens(canvas, row, column, height, width) {
  const lens = canvas.nextElementSibling;
  const scale = canvas.clientWidth / canvas.width;
  const grown = size => Math.max(8, size * scale);
  lens.hidden = false;
  lens.style.height = `${grown(height)}px`;
  lens.style.width = `${grown(width)}px`;
  lens.style.top = `${(row + height / 2) * scale - grown(height) / 2}px`;
  lens.style.left = `${(column + width / 2) * scale - grown(width) / 2}px`;
}

function closePhoto() {
  photo.run++;
  photo.pixels = photo.geometry = null;
  $("photo-work").hidden = true;
  $("photo-tables").replaceChildren();
  for (const lens of document.querySelectorAll(".lens")) lens.hidden = true;
}

function wirePhoto() {
  const accept = files => {
    if (files?.length) openPhoto(files[0]);
    else photoMessage(say("notAFile"));
  };
  $("file").addEventListener("change", event => {
    if (event.target.files.length) accept(event.target.files);
    event.target.value = ""; // the same file again is an event again
  });
  let depth = 0; // enter and leave come for every element that is passed
  const dragging = by => {
    depth = by ? depth + by : 0;
    document.body.classList.toggle("dragging", depth > 0);
  };
  addEventListener("dragenter", () => dragging(1));
  addEventListener("dragleave", () => dragging(depth > 1 ? -1 : 0));
  addEventListener("dragover", event => event.preventDefault());
  addEventListener("drop", event => {
    event.preventDefault();
    dragging(0);
    accept(event.dataTransfer.files);
  });
  addEventListener("paste", event => {
    if (event.clipboardData?.files.length) accept(event.clipboardData.files);
  });
  for (const canvas of [$("original"), $("result")]) {
    canvas.addEventListener("pointermove", event => pointAtPhoto(canvas, event));
    canvas.addEventListener("pointerdown", event => pointAtPhoto(canvas, event));
  }
  $("photo-close").onclick = closePhoto;
}
