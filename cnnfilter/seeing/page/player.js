"use strict";
// Steps, keys, language, theme and link; at the end, the page begins.

function goTo(step) {
  pointed = null;
  state.step = Math.max(0, Math.min(step, outputs.length - 1));
  mark();
  history.replaceState(null, "", `#${writeFragment(state)}`);
}

function pause() {
  clearTimeout(timer);
  timer = null;
  $("play").textContent = "▶";
  $("play").title = say("play");
  mark();
}

function play() {
  if (timer !== null) return pause();
  if (state.step >= outputs.length - 1) state.step = 0;
  $("play").textContent = "▮▮";
  $("play").title = say("pause");
  const go = () => {
    const wait = 1500 / 1.55 ** Number($("speed").value);
    timer = setTimeout(() => {
      if (state.step >= outputs.length - 1) return pause();
      goTo(state.step + 1);
      go();
    }, wait);
  };
  go();
  mark();
}

function wireSteps() {
  const stop = step => () => { if (timer !== null) pause(); goTo(step()); };
  $("first").onclick = stop(() => 0);
  $("back").onclick = stop(() => state.step - 1);
  $("next").onclick = stop(() => state.step + 1);
  $("last").onclick = stop(() => outputs.length - 1);
  $("play").onclick = play;
  $("scrub").oninput = event => stop(() => Number(event.target.value))();
  const point = what => { pointed = what; mark(); };
  $("output").addEventListener("pointerover", event => {
    const cell = event.target.closest(".cell");
    if (cell) point({ output: [...$("output").children].indexOf(cell) });
  });
  $("output").addEventListener("click", event => {
    const cell = event.target.closest(".cell");
    if (cell) stop(() => [...$("output").children].indexOf(cell))();
  });
  const pointInput = event => {
    const cell = event.target.closest(".cell");
    if (cell) point({ input: [Number(cell.dataset.row), Number(cell.dataset.column)] });
  };
  $("input").addEventListener("pointerover", pointInput);
  $("input").addEventListener("focusin", pointInput);
  for (const id of ["input", "output"]) $(id).addEventListener("pointerleave", () => point(null));
  $("input").addEventListener("focusout", () => point(null));
}

function wireKeys() {
  const across = () => geometry.columns.output;
  const keys = {
    " ": play, ArrowRight: () => $("next").click(), ArrowLeft: () => $("back").click(),
    ArrowDown: () => goTo(Math.min(outputs.length - 1, state.step + across())),
    ArrowUp: () => goTo(Math.max(0, state.step - across())),
    Home: () => $("first").click(), End: () => $("last").click(),
    c: () => { state.convolve = !state.convolve; update(); },
    l: () => $("language").click(), t: () => $("theme").click(),
  };
  addEventListener("keydown", event => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[key]) return;
    // A slider has its own arrows, a button its own blank; where text is typed, every key is text.
    const sliding = event.target.closest("input[type=range], input[type=radio]");
    if (sliding ? key.length > 1 : event.target.closest("input, textarea, select")) return;
    if (key === " " && event.target.closest("button, summary")) return;
    event.preventDefault();
    keys[key]();
  });
}

function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const element of document.querySelectorAll("[data-title]")) {
    element.title = element.ariaLabel = say(element.dataset.title);
  }
  $("scrub").ariaLabel = say("step");
  const options = (id, names) => $(id).replaceChildren(
    ...names.map(name => make("option", { value: name, textContent: say(name) })));
  options("boundary", BOUNDARIES);
  options("padding", [...PADDINGS, "numbers"]);
  options("range", ["clip", "abs", "offset", "stretch"]);
  $("named").replaceChildren(
    make("option", { value: "", textContent: say("own") }),
    ...KERNELS.map(({ name, summary }) => make("option", { value: name, textContent: name, title: summary })));
  $("keys").replaceChildren(...say("keyList").split("|").map(text => make("li", { textContent: text })));
  $("made-by").textContent = say("madeBy", { version: VERSION });
  if (!$("photo-where").textContent || !photo.geometry) $("photo-where").textContent = say("pointAt");
  update();
}

function wirePage() {
  $("language").onclick = () => speak(language === "en" ? "zh" : "en");
  $("theme").onclick = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  };
  $("reset").onclick = () => { state = exampleState(); closePhoto(); update(); };
  $("link").onclick = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      message(say("copied"));
    } catch {
      message(say("notCopied"));
    }
  };
  addEventListener("hashchange", load);
}

/** Take the state from the address; a link that cannot be used is said, and the page stays as it was. */
function load() {
  let mistake = null;
  try {
    state = readFragment(location.hash);
  } catch (error) {
    if (!(error instanceof Mistake)) throw error;
    mistake = error;
  }
  update();
  if (mistake) message(say(mistake.word, mistake.values));
}

moveByKeys($("input"));
moveByKeys($("kernel"));
wireControls();
wireSteps();
wireKeys();
wirePhoto();
wirePage();
const fragment = location.hash;
speak(navigator.language?.startsWith("zh") ? "zh" : "en");
history.replaceState(null, "", fragment || location.pathname + location.search);
load();
$("page").hidden = false;
