// The page: takes photos, one after another, and shows what the model says.

import { loadModel } from "./model.js";
import { COLOR_BAR, drawMap } from "./overlay.js";
import { decodePhoto, modelPixels } from "./photo.js";

const TOP_CLASSES = 5;
const CANVAS_SIDE = 768;

const element = (id) => document.getElementById(id);

// The numbers behind the picture, in full, for the console and for tests.
window.explanation = null;

let model = null;
let newest = 0;
let queue = Promise.resolve();

/** Never "0.0%" or "100.0%": a model is not that sure. */
function percent(share) {
  if (share < 0.0005) return "<0.1%";
  if (share > 0.9995) return ">99.9%";
  return `${(100 * share).toFixed(1)}%`;
}

function say(message, isError = false) {
  element("status").textContent = message;
  element("status").classList.toggle("error", isError);
}

function setBusy(isBusy) {
  element("main").setAttribute("aria-busy", isBusy);
}

/** No old result below a message about something else. */
function fail(error) {
  window.explanation = null;
  element("result").hidden = true;
  say(error.message, true);
}

/** A model that failed is fetched again with the next photo. */
async function getModel() {
  model ??= loadModel();
  try {
    const { name, height, width } = await model;
    element("model").textContent =
      `${name}, run by onnxruntime-web. It sees the whole photo at ` +
      `${width} × ${height} pixels.`;
    return await model;
  } catch (error) {
    model = null;
    throw error;
  }
}

/** One photo at a time, and of those that wait only the newest. */
function take(file) {
  const ticket = ++newest;
  const isNewest = () => ticket === newest;
  setBusy(true);
  say(`Computing ${file.name} …`);
  queue = queue.then(async () => {
    if (!isNewest()) return;
    try {
      await explain(file, isNewest);
    } catch (error) {
      if (isNewest()) fail(error);
    }
    if (isNewest()) setBusy(false);
  });
}

async function explain(file, isNewest) {
  const bitmap = await decodePhoto(file);
  try {
    const ready = await getModel();
    const started = performance.now();
    const { pixels, transparent } = await modelPixels(
      bitmap,
      ready.height,
      ready.width,
    );
    const resized = performance.now();
    const outputs = await ready.run(pixels).catch((error) => {
      model = null;
      throw error;
    });
    const finished = performance.now();
    if (!isNewest()) return;
    const result = {
      name: file.name,
      classNames: ready.classNames,
      hasLabels: ready.hasLabels,
      pixels: Array.from(pixels),
      transparent,
      ...outputs,
      milliseconds: { resize: resized - started, model: finished - resized },
    };
    show(bitmap, result);
    window.explanation = result;
  } finally {
    bitmap.close();
  }
}

function show(bitmap, result) {
  const scale = CANVAS_SIDE / Math.max(bitmap.width, bitmap.height);
  for (const id of ["photo", "map"]) {
    element(id).width = Math.max(1, Math.round(bitmap.width * scale));
    element(id).height = Math.max(1, Math.round(bitmap.height * scale));
  }
  const context = element("photo").getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, context.canvas.width, context.canvas.height);
  drawMap(element("map"), result.attention, result.attentionSize);
  element("map").setAttribute("aria-label", describeMap(result));
  element("caption").textContent =
    `${result.name}, ${bitmap.width} × ${bitmap.height} pixels`;

  const order = result.probabilities
    .map((probability, index) => ({
      probability,
      name: result.classNames?.[index] ?? `class ${index}`,
    }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, TOP_CLASSES);
  element("classes").replaceChildren(...order.map(classRow));
  const { resize, model: run } = result.milliseconds;
  element("duration").textContent =
    `Resized in ${resize.toFixed(0)} ms, computed in ${run.toFixed(0)} ms.`;
  element("transparency").hidden = !result.transparent;
  element("result").hidden = false;
  // Labels do not exclude each other: all that are likelier than not.
  const found = result.hasLabels
    ? order.filter(({ probability }) => probability >= 0.5)
    : order.slice(0, 1);
  const words = found.map((one) => `${one.name}, ${percent(one.probability)}`);
  element("classes-caption").textContent = result.hasLabels
    ? "Most probable labels, each by itself"
    : "Most probable classes";
  say(`${result.name}: ${words.join("; ") || "no label"}.`);
}

function classRow({ name, probability }) {
  const row = element("class-row").content.cloneNode(true);
  row.querySelector("th").textContent = name;
  row.querySelector(".bar").style.width = `${100 * probability}%`;
  row.querySelector(".number").textContent = percent(probability);
  return row;
}

function describeMap({ attention, attentionSize: [rows, columns] }) {
  const highest = Math.max(...attention);
  const index = attention.indexOf(highest);
  return (
    `Attention map of ${rows} by ${columns} cells. The highest score, ` +
    `${highest.toFixed(2)}, is in row ${1 + Math.floor(index / columns)}, ` +
    `column ${1 + (index % columns)}.`
  );
}

function takeDrop({ files, types }) {
  if (files.length === 1) {
    take(files[0]);
    return;
  }
  let received = "There was no file in that";
  if (files.length > 1) {
    received = `Those were ${files.length} files`;
  } else if (types.some((type) => type.startsWith("text/"))) {
    received = "That was text or a link";
  }
  newest++;
  setBusy(false);
  fail(new Error(`${received}. Drop the file of one photograph.`));
}

function setOpacity() {
  const { value } = element("opacity");
  element("map").style.opacity = value / 100;
  // On grey the colours are the map's alone; without a map the photo has its own.
  element("photo").style.filter = `grayscale(${Math.min(1, value / 50)})`;
  element("opacity-value").textContent = `${value}%`;
}

element("file").addEventListener("change", () => {
  const [file] = element("file").files;
  // Without a value, the same file chosen again is a change, too.
  element("file").value = "";
  if (file) take(file);
});
element("opacity").addEventListener("input", setOpacity);
// On the whole window: a photo that misses the box must not replace the page.
window.addEventListener("dragover", (event) => {
  event.preventDefault();
  element("drop").classList.add("over");
});
window.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) element("drop").classList.remove("over");
});
window.addEventListener("drop", (event) => {
  event.preventDefault();
  element("drop").classList.remove("over");
  takeDrop(event.dataTransfer);
});

element("color-bar").style.background = COLOR_BAR;
setOpacity();
setBusy(true);
say("Loading the model …");
try {
  await getModel();
  if (newest === 0) say("Ready for a photograph.");
} catch (error) {
  if (newest === 0) fail(error);
}
if (newest === 0) setBusy(false);
