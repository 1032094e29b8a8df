// From a file to the pixels that the model takes.

import { resizeAxis } from "./resize.js";

const MAX_PIXELS = 64e6;
const MAX_SIDE = 16384;
const STRIP_PIXELS = 2 ** 20;

// No colour management and no premultiplied colours: Pillow hands over the
// stored values, and the model was trained on those.
const AS_STORED = {
  imageOrientation: "from-image",
  premultiplyAlpha: "none",
  colorSpaceConversion: "none",
};

/** Decode a file to an `ImageBitmap`, upright, or say why not. */
export async function decodePhoto(file) {
  const { width, height } = await sizeOf(file);
  if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE) {
    throw new Error(
      `${file.name} is too large: ${width} × ${height} pixels. The page takes ` +
        `up to ${MAX_PIXELS / 1e6} megapixels and ${MAX_SIDE} pixels a side. ` +
        "Make it smaller and try again.",
    );
  }
  try {
    return await createImageBitmap(file, AS_STORED);
  } catch {
    throw unreadable(file);
  }
}

/** The header is enough for the size: a huge image is never decoded. */
async function sizeOf(file) {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(unreadable(file));
      image.src = url;
    });
    return { width: image.naturalWidth, height: image.naturalHeight };
  } finally {
    URL.revokeObjectURL(url);
  }
}

function unreadable(file) {
  return new Error(
    `${file.name} cannot be read as a photograph: it is damaged, cut short, ` +
      "far too large, or of a type that this browser does not know. JPEG, " +
      "PNG, WebP and GIF are understood.",
  );
}

/**
 * The whole photo as RGB pixels [height, width, 3], 0..255.
 *
 * Transparency is dropped, as `keras_aib.data` does: what counts is the colour
 * stored below it.
 */
export async function modelPixels(bitmap, height, width) {
  let pixels = await resizeInStrips(bitmap, height, width, drawnStrip);
  const transparent = pixels.some(
    (value, index) => index % 4 === 3 && value < 255,
  );
  if (transparent) {
    pixels = await resizeInStrips(bitmap, height, width, storedStrip);
  }
  const opaque = pixels.filter((_, index) => index % 4 !== 3);
  return { pixels: opaque, transparent };
}

/** Strips: no canvas of the photo's size, and the page stays responsive. */
async function resizeInStrips(bitmap, height, width, readStrip) {
  const narrow = new Uint8ClampedArray(bitmap.height * width * 4);
  const stripRows = Math.ceil(STRIP_PIXELS / bitmap.width);
  for (let top = 0; top < bitmap.height; top += stripRows) {
    const rows = Math.min(stripRows, bitmap.height - top);
    const strip = await readStrip(bitmap, top, rows);
    narrow.set(
      resizeAxis(strip, rows, bitmap.width, 4, width),
      top * width * 4,
    );
    await new Promise((resolve) => setTimeout(resolve));
  }
  return resizeAxis(narrow, 1, bitmap.height, width * 4, height);
}

function drawnStrip(bitmap, top, rows) {
  const canvas = new OffscreenCanvas(bitmap.width, rows);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, -top);
  return context.getImageData(0, 0, bitmap.width, rows).data;
}

let gl;

/** A canvas blackens what is transparent; a WebGL texture keeps its colour. */
async function storedStrip(bitmap, top, rows) {
  if (!gl || gl.isContextLost()) {
    gl = new OffscreenCanvas(1, 1).getContext("webgl");
  }
  if (!gl || bitmap.width > gl.getParameter(gl.MAX_TEXTURE_SIZE)) {
    throw new Error(
      "This picture has transparent parts, and reading the colours below " +
        "them takes WebGL, which this browser lacks for a picture of this " +
        "width. Save it without transparency and try again.",
    );
  }
  const { width } = bitmap;
  const strip = await createImageBitmap(bitmap, 0, top, width, rows, AS_STORED);
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, strip);
  strip.close();
  const framebuffer = gl.createFramebuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
  gl.framebufferTexture2D(
    gl.FRAMEBUFFER,
    gl.COLOR_ATTACHMENT0,
    gl.TEXTURE_2D,
    texture,
    0,
  );
  const pixels = new Uint8Array(width * rows * 4);
  gl.readPixels(0, 0, width, rows, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  if (gl.getError() !== gl.NO_ERROR) {
    throw new Error("The graphics driver failed. Try the photo again.");
  }
  gl.deleteFramebuffer(framebuffer);
  gl.deleteTexture(texture);
  return pixels;
}
