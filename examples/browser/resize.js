// Pillow's antialiased bilinear resize, to the last bit.
//
// The browser's own scaling weighs the pixels otherwise, and the model's answer
// would be another one.

// Pillow multiplies 8-bit pixels with weights of 22 bits after the point.
const BITS = 22;

/**
 * For each of `target` pixels: where its source pixels start, and how much each
 * of them counts. The filter is a triangle, as wide as two source pixels, or two
 * target pixels if those are larger.
 */
function triangleWeights(length, target) {
  const scale = length / target;
  const support = Math.max(scale, 1);
  const weights = [];
  for (let index = 0; index < target; index++) {
    const center = (index + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(length, Math.trunc(center + support + 0.5));
    const heights = [];
    for (let source = first; source < end; source++) {
      const distance = Math.abs(source - center + 0.5) / support;
      heights.push(Math.max(0, 1 - distance));
    }
    const sum = heights.reduce((total, height) => total + height, 0);
    const shares = heights.map((height) =>
      Math.floor((height / sum) * 2 ** BITS + 0.5),
    );
    weights.push({ first, shares: Int32Array.from(shares) });
  }
  return weights;
}

/**
 * Resize the middle axis of 8-bit `values` [outer, length, inner] to `target`.
 *
 * With [height, width, channels] that is the width; with
 * [1, height, width * channels] it is the height.
 */
export function resizeAxis(values, outer, length, inner, target) {
  const weights = triangleWeights(length, target);
  const resized = new Uint8ClampedArray(outer * target * inner);
  let output = 0;
  for (let row = 0; row < outer; row++) {
    const start = row * length * inner;
    for (const { first, shares } of weights) {
      for (let channel = 0; channel < inner; channel++) {
        let input = start + first * inner + channel;
        let sum = 1 << (BITS - 1);
        for (let index = 0; index < shares.length; index++) {
          sum += values[input] * shares[index];
          input += inner;
        }
        resized[output++] = sum >> BITS;
      }
    }
  }
  return resized;
}

/**
 * Which side Pillow (13 and newer) resizes first.
 *
 * It matters: what lies between the two passes is rounded to 8 bits.
 */
export function isHeightFirst([height, width], [targetHeight, targetWidth]) {
  const shrinkage = height - targetHeight;
  return shrinkage > 0 && shrinkage > 2 * (width - targetWidth);
}

/** Resize 8-bit `pixels` [height, width, channels]. */
export function resize(pixels, [height, width, channels], target) {
  const [targetHeight, targetWidth] = target;
  if (isHeightFirst([height, width], target)) {
    const low = resizeAxis(pixels, 1, height, width * channels, targetHeight);
    return resizeAxis(low, targetHeight, width, channels, targetWidth);
  }
  const narrow = resizeAxis(pixels, height, width, channels, targetWidth);
  return resizeAxis(narrow, 1, height, targetWidth * channels, targetHeight);
}
