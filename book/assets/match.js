// The semantic match in the page, as segin_core/matching.py has it, and the pictures before and behind it.
// Pictures are Float32Array in [-1, 1], channel after channel, row after row; cells are counted row by row.
"use strict";

const match = {
  // Eq. 1: the cosine of every k x k patch of x (a row) with every patch of r (a column).
  // fx, fr: features, channels x cells; side: cells of the square grid. A patch that hangs over the edge sees zeros there.
  cosines(fx, fr, side, k) {
    const cells = side * side, channels = fx.length / cells;
    const single = new Float64Array(cells * cells);
    for (let p = 0; p < cells; p++) {
      const row = single.subarray(p * cells, (p + 1) * cells);
      for (let c = 0; c < channels; c++) {
        const value = fx[c * cells + p];
        if (value === 0) continue; // half of the features behind a ReLU
        const other = fr.subarray(c * cells, (c + 1) * cells);
        for (let q = 0; q < cells; q++) row[q] += value * other[q];
      }
    }
    const whole = match.alongDiagonals(single, side, k);
    const [normX, normR] = [match.norms(fx, side, k), match.norms(fr, side, k)];
    for (let p = 0; p < cells; p++) {
      for (let q = 0; q < cells; q++) whole[p * cells + q] /= normX[p] * normR[q];
    }
    return whole;
  },

  // A patch's scalar product is the sum of those of its cells: sum over d of single[p + d, q + d].
  alongDiagonals(single, side, k) {
    const cells = side * side, reach = (k - 1) / 2, whole = new Float64Array(cells * cells);
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        const d = dy * side + dx, inside = match.inside(side, dy, dx);
        for (const p of inside) {
          for (const q of inside) whole[p * cells + q] += single[(p + d) * cells + q + d];
        }
      }
    }
    return whole;
  },

  // The cells whose neighbour at (dy, dx) is on the grid too.
  inside(side, dy, dx) {
    const on = (place) => place >= 0 && place < side;
    return Array.from({ length: side * side }, (_, p) => p).filter(
      (p) => on(Math.floor(p / side) + dy) && on((p % side) + dx),
    );
  },

  // |kappa(Phi)_i|: the length of every patch.
  norms(features, side, k) {
    const cells = side * side, reach = (k - 1) / 2;
    const energy = new Float64Array(cells), summed = new Float64Array(cells);
    for (let i = 0; i < features.length; i++) energy[i % cells] += features[i] ** 2;
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        for (const p of match.inside(side, dy, dx)) summed[p] += energy[p + dy * side + dx];
      }
    }
    return summed.map((each) => Math.max(Math.sqrt(each), 1e-12));
  },

  // The `count` best cells of r for cell p of x, the best first; of equals the first.
  candidates(cosines, p, count) {
    const cells = Math.sqrt(cosines.length), row = cosines.subarray(p * cells, (p + 1) * cells);
    const found = [];
    for (let q = 0; q < cells; q++) {
      if (found.length === count && row[q] <= row[found[count - 1]]) continue;
      let place = found.length;
      while (place > 0 && row[q] > row[found[place - 1]]) place--;
      found.splice(place, 0, q);
      found.length = Math.min(found.length, count);
    }
    return found;
  },

  // xi of Eq. 1: for every cell of x the best cell of r.
  best(cosines) {
    const cells = Math.sqrt(cosines.length);
    return Array.from({ length: cells }, (_, p) => match.candidates(cosines, p, 1)[0]);
  },

  // Eq. 2: W, the pixels of each matched cell pasted; sources[p] is the picture that cell p takes them from.
  paste(sources, index, size, side) {
    const delta = size / side, w = new Float32Array(3 * size * size);
    index.forEach((from, p) => {
      for (let c = 0; c < 3; c++) {
        for (let y = 0; y < delta; y++) {
          const corner = (cell) => c * size * size + (Math.floor(cell / side) * delta + y) * size + (cell % side) * delta;
          w.set(sources[p].subarray(corner(from), corner(from) + delta), corner(p));
        }
      }
    });
    return w;
  },

  // Random numbers in [0, 1) that are the same each time (mulberry32): a cell that is wrong stays wrong on the next step.
  random(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  },

  // The first `share` of all cells in an order drawn from the seed: true for those.
  chosen(cells, share, seed) {
    const draw = match.random(seed), rank = Array.from({ length: cells }, draw);
    const order = [...rank.keys()].sort((a, b) => rank[a] - rank[b]);
    const found = new Array(cells).fill(false);
    order.slice(0, Math.round(share * cells)).forEach((p) => (found[p] = true));
    return found;
  },

  // Cells of W taken from up to `reach` cells aside: where each is taken from.
  shifted(side, reach, seed) {
    const draw = match.random(seed);
    const aside = (place) => Math.min(side - 1, Math.max(0, place + Math.round(reach * (2 * draw() - 1))));
    return Array.from({ length: side * side }, (_, p) => aside(Math.floor(p / side)) * side + aside(p % side));
  },
};

const picture = {
  // As Pillow resamples (Lanczos, three lobes): bytes of one channel, w x h, to bytes of toW x toH.
  resize(bytes, w, h, toW, toH) {
    const across = picture.line(w, toW), down = picture.line(h, toH);
    const half = new Uint8ClampedArray(toW * h), whole = new Uint8ClampedArray(toW * toH); // both round
    for (let y = 0; y < h; y++) {
      across.forEach(([first, weights], x) => {
        half[y * toW + x] = weights.reduce((sum, weight, i) => sum + weight * bytes[y * w + first + i], 0);
      });
    }
    down.forEach(([first, weights], y) => {
      for (let x = 0; x < toW; x++) {
        whole[y * toW + x] = weights.reduce((sum, weight, i) => sum + weight * half[(first + i) * toW + x], 0);
      }
    });
    return whole;
  },

  // For each pixel of a resampled line the first pixel that it sees and the weights from there on.
  line(length, to) {
    const scale = Math.max(length / to, 1);
    const sinc = (t) => (t === 0 ? 1 : Math.sin(Math.PI * t) / (Math.PI * t));
    return Array.from({ length: to }, (_, place) => {
      const centre = ((place + 0.5) * length) / to;
      const first = Math.max(0, Math.floor(centre - 3 * scale + 0.5));
      const last = Math.min(length, Math.floor(centre + 3 * scale + 0.5));
      const weights = [];
      for (let i = first; i < last; i++) {
        const t = (i - centre + 0.5) / scale;
        weights.push(Math.abs(t) < 3 ? sinc(t) * sinc(t / 3) : 0);
      }
      const sum = weights.reduce((a, b) => a + b);
      return [first, weights.map((weight) => weight / sum)];
    });
  },

  // ImageData of any size, whole and centred on a white square, as `translate` puts it there: channels of size x size
  // bytes, three, or one in Pillow's grey.
  onSquare(image, size, channels) {
    const { width, height, data } = image, ratio = width / height;
    const [w, h] = ratio >= 1 ? [size, Math.max(1, Math.round(size / ratio))] : [Math.max(1, Math.round(size * ratio)), size];
    const even = (half) => (half % 1 ? 2 * Math.round(half / 2) : half); // Python rounds a half to the even number
    const [left, top] = [even((size - w) / 2), even((size - h) / 2)];
    const grey = (i) => (data[i] * 19595 + data[i + 1] * 38470 + data[i + 2] * 7471 + 32768) >> 16;
    return Array.from({ length: channels }, (_, c) => {
      const plane = Uint8Array.from({ length: width * height }, (_, i) => (channels === 1 ? grey(4 * i) : data[4 * i + c]));
      const small = width === w && height === h ? plane : picture.resize(plane, width, height, w, h);
      const square = new Uint8Array(size * size).fill(255);
      for (let y = 0; y < h; y++) square.set(small.subarray(y * w, (y + 1) * w), (top + y) * size + left);
      return square;
    });
  },

  // Channels of bytes to one array in [-1, 1].
  fromBytes(channels) {
    const size = channels[0].length;
    return Float32Array.from({ length: size * channels.length }, (_, i) => channels[Math.floor(i / size)][i % size] / 127.5 - 1);
  },

  // An array in [-1, 1], of one channel or three, as ImageData.
  toImage(values, size) {
    const image = new ImageData(size, size), cells = size * size, grey = values.length === cells;
    for (let i = 0; i < cells; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = (values[grey ? i : c * cells + i] + 1) * 127.5;
      image.data[4 * i + 3] = 255;
    }
    return image;
  },

  // Mean absolute difference of two arrays in [-1, 1], as for pictures in [0, 1].
  l1(a, b) {
    return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / (2 * a.length);
  },
};
