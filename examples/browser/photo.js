// From a file to the pixels that the model takes.

import { isHeightFirst, resizeAxis } from "./resize.js";

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
  let pixels = await resizeInStrips(bitmap, height, width, readDrawn);
  const transparent = pixels.some(
    (value, index) => index % 4 === 3 && value < 255,
  );
  if (transparent) {
    pixels = await resizeInStrips(bitmap, height, width, readStored);
  }
  const opaque = pixels.filter((_, index) => index % 4 !== 3);
  return { pixels: opaque, transparent };
}

/** In strips: no canvas of the photo's size, and the page stays responsive. */
async function resizeInStrips(bitmap, height, width, read) {
  const { height: rows, width: columns } = bitmap;
  const heightFirst = isHeightFirst([rows, columns], [height, width]);
  const length = heightFirst ? columns : rows;
  const step = Math.ceil(STRIP_PIXELS / (heightFirst ? rows : columns));
  const between = new Uint8ClampedArray(
    4 * (heightFirst ? height * columns : rows * width),
  );
  for (let first = 0; first < length; first += step) {
    const size = Math.min(step, length - first);
    if (heightFirst) {
      const strip = await read(bitmap, first, 0, size, rows);
      const low = resizeAxis(strip, 1, rows, size * 4, height);
      for (let row = 0; row < height; row++) {
        const line = low.subarray(row * size * 4, (row + 1) * size * 4);
        between.set(line, (row * columns + first) * 4);
      }
    } else {
      const strip = await read(bitmap, 0, first, columns, size);
      const narrow = resizeAxis(strip, size, columns, 4, width);
      between.set(narrow, first * width * 4);
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
  return heightFirst
    ? resizeAxis(between, height, columns, 4, width)
    : resizeAxis(between, 1, rows, width * 4, height);
}

function readDrawn(bitmap, left, top, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, -left, -top);
  return context.getImageData(0, 0, width, height).data;
}

let gl;

/** A canvas blackens what is transparent; a WebGL texture keeps its colour. */
async function readStored(bitmap, left, top, width, height) {
  if (!gl || gl.isContextLost()) {
    gl = new OffscreenCanvas(1, 1).getContext("webgl");
  }
  if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) {
    throw new Error(
      "This picture has transparent parts. Reading the colours below them " +
        "takes WebGL, which this browser lacks for a picture of this size. " +
        "Save it without transparency and try again.",
    );
  }
  const strip = await createImageBitmap(
    bitmap,
    left,
    top,
    width,
    height,
    AS_STORED,
  );
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
  const pixels = new Uint8Array(width * height * 4);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  gl.deleteFramebuffer(framebuffer);
  gl.deleteTexture(texture);
  if (gl.getError() !== gl.NO_ERROR) {
    throw new Error("The graphics driver failed. Try the photo again.");
  }
  return pixels;
}
