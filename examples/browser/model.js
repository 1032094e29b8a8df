// The exported model: its file, the JSON beside it, and onnxruntime-web.

const RUNTIME = new URL(
  "./node_modules/onnxruntime-web/dist/",
  import.meta.url,
);
const OUTPUTS = ["probabilities", "attention"];

/** Load the runtime and the model, or say what is missing. */
export async function loadModel() {
  const description = await fetchDescription();
  const { height, width } = checkDescription(description);
  const bytes = new Uint8Array(await (await get("model.onnx")).arrayBuffer());
  const ort = await loadRuntime();
  let session;
  try {
    session = await ort.InferenceSession.create(bytes);
  } catch (error) {
    throw new Error(`model.onnx cannot be loaded: ${error.message}`);
  }
  checkNames(session);

  /** Take RGB pixels of the model's size; return both outputs. */
  async function run(pixels) {
    const images = new ort.Tensor("float32", Float32Array.from(pixels), [
      1,
      height,
      width,
      3,
    ]);
    let outputs;
    try {
      outputs = await session.run({ images }, OUTPUTS);
    } catch (error) {
      throw new Error(`model.onnx cannot be run: ${error.message}`);
    }
    const { probabilities, attention } = outputs;
    const names = description.class_names;
    let values = Array.from(probabilities.data);
    if (isBinary(description)) values = [1 - values[0], values[0]];
    if (names && names.length !== values.length) {
      throw new Error(
        `model.onnx gives ${values.length} probabilities, and ` +
          `model.onnx.json names ${names.length} classes: they do not belong ` +
          "together. Export the model again.",
      );
    }
    return {
      probabilities: values,
      attention: Array.from(attention.data),
      attentionSize: attention.dims.slice(1),
    };
  }

  return {
    name: description.model,
    classNames: description.class_names,
    // Labels of which each is right or not, or classes of which one is.
    hasLabels:
      description.activation === "sigmoid" && !isBinary(description),
    height,
    width,
    run,
  };
}

/** Whether one output, right or not, tells two classes apart. */
function isBinary({ activation, outputs, class_names: names }) {
  const count = outputs.probabilities.shape.at(-1);
  return activation === "sigmoid" && count === 1 && names?.length !== 1;
}

async function get(name) {
  let response;
  try {
    response = await fetch(name, { cache: "no-store" });
  } catch (error) {
    throw new Error(`${name} cannot be fetched: ${error.message}`);
  }
  if (!response.ok) {
    throw new Error(
      `${name} cannot be fetched: the server answers ${response.status}. ` +
        "Start it with `python serve.py MODEL.onnx`; the file ending in " +
        ".onnx.json, which the export wrote, stands beside the model.",
    );
  }
  return response;
}

async function fetchDescription() {
  const response = await get("model.onnx.json");
  try {
    return await response.json();
  } catch {
    throw new Error(
      "model.onnx.json is not valid JSON. Export the model again.",
    );
  }
}

/** Return the size of the images, if they are what this page can make. */
function checkDescription(description) {
  const input = description?.input;
  const [batch, height, width, channels] = input?.shape ?? [];
  const fits =
    input?.name === "images" &&
    [null, 1].includes(batch) &&
    Number.isInteger(height) &&
    Number.isInteger(width) &&
    channels === 3 &&
    input.dtype === "float32" &&
    OUTPUTS.every((name) => name in (description.outputs ?? {}));
  if (!fits) {
    throw new Error(
      "model.onnx.json describes another layout. Expected: a float32 input " +
        "`images` [batch or 1, height, width, 3] and the outputs " +
        "`probabilities` and `attention`. Received: the input " +
        `\`${input?.name}\` ${JSON.stringify(input?.shape)} of ` +
        `${input?.dtype} and the outputs ` +
        `${Object.keys(description?.outputs ?? {}).join(", ") || "none"}.`,
    );
  }
  return { height, width };
}

function checkNames({ inputNames, outputNames }) {
  const fits =
    inputNames.join() === "images" &&
    OUTPUTS.every((name) => outputNames.includes(name));
  if (!fits) {
    throw new Error(
      "model.onnx has another layout. Expected: the input `images` and the " +
        "outputs `probabilities` and `attention`, as `keras_aib.export` " +
        `writes them. Received: ${inputNames.join(", ")} and ` +
        `${outputNames.join(", ")}.`,
    );
  }
}

async function loadRuntime() {
  let ort;
  try {
    ort = await import(new URL("ort.wasm.min.mjs", RUNTIME));
  } catch {
    throw new Error(
      "onnxruntime-web is not installed. Run `npm ci` in examples/browser.",
    );
  }
  ort.env.wasm.wasmPaths = RUNTIME.href;
  // In a worker of its own: the page stays responsive. One thread: more need
  // a cross-origin isolated page, and the small models here gain little.
  ort.env.wasm.proxy = true;
  ort.env.wasm.numThreads = 1;
  return ort;
}
