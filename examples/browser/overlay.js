// The attention map in colours, on a scale from 0 to 1 that never changes.

import { resize } from "./resize.js";

// Every sixteenth colour of matplotlib's inferno, which
// `keras_aib.visualization` draws with; straight lines between them.
const INFERNO = [
  [0, 0, 3],
  [10, 7, 35],
  [32, 12, 74],
  [60, 9, 101],
  [87, 15, 109],
  [112, 25, 110],
  [137, 34, 105],
  [163, 43, 97],
  [187, 55, 84],
  [208, 69, 68],
  [227, 88, 50],
  [240, 112, 30],
  [249, 140, 9],
  [251, 170, 14],
  [248, 201, 49],
  [241, 232, 100],
  [252, 254, 164],
];

export const COLOR_BAR = `linear-gradient(to right, ${INFERNO.map(
  (color) => `rgb(${color})`,
).join(", ")})`;

function colorOf(level) {
  const position = (level / 255) * (INFERNO.length - 1);
  const lower = Math.min(Math.floor(position), INFERNO.length - 2);
  const share = position - lower;
  return INFERNO[lower].map(
    (value, channel) =>
      value + share * (INFERNO[lower + 1][channel] - value),
  );
}

/** Draw `scores` [height, width] in 0..1, upsampled, over the whole canvas. */
export function drawMap(canvas, scores, size) {
  const levels = Uint8ClampedArray.from(scores, (score) => score * 255);
  const { width, height } = canvas;
  const colors = Array.from({ length: 256 }, (_, level) => colorOf(level));
  const image = new ImageData(width, height);
  let output = 0;
  for (const level of resize(levels, [...size, 1], [height, width])) {
    for (const value of colors[level]) image.data[output++] = value;
    image.data[output++] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
