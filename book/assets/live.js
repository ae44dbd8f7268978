// The live page: loads what workflow/live.py wrote, colours the sketch, and shows what came from where.
// Classic scripts, since a page opened as a file may neither import modules nor fetch.
"use strict";

const live = (() => {
  const script = document.currentScript, folder = new URL("live/", script.src).href;
  const $ = (id) => document.getElementById(`live-${id}`);
  const SHARP = 8; // pixels of the drawn frames to a pixel of a picture
  const NEAREST = 5; // the match and the next four candidates
  let manifest, sessions; // what to load, and the two networks once they are there
  const chosen = { x: null, r: null, own: null }; // pictures in [-1, 1]; own: the coloured picture behind the sketch
  let shown = null; // the last result of `colour`, with its pictures

  // ---- Loading: scripts that call live.manifest and live.part

  const parts = {}; // name of a file to its text in base64, part after part
  const loadScript = (name) =>
    new Promise((done, failed) => {
      const element = Object.assign(document.createElement("script"), { src: folder + name, onload: done });
      element.onerror = () => failed(new Error(`${name} could not be loaded`));
      document.head.append(element);
    });

  async function unpacked(name) {
    const bytes = Uint8Array.from(atob(parts[name]), (letter) => letter.charCodeAt(0));
    delete parts[name];
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  async function load() {
    let loaded = 0;
    const total = manifest.scripts.reduce((sum, each) => sum + each.bytes, 0);
    for (const { name, bytes } of manifest.scripts) {
      say(`Loading the networks: ${mega(loaded)} of ${mega(total)} MB. You may draw already.`);
      $("progress").value = loaded / total;
      await loadScript(name);
      loaded += bytes;
    }
    say("Starting the networks ...");
    // One thread, no worker: neither is to be had for a page that was opened as a file.
    Object.assign(ort.env.wasm, { numThreads: 1, proxy: false });
    const wasm = URL.createObjectURL(new Blob([await unpacked("runtime")], { type: "application/wasm" }));
    ort.env.wasm.wasmPaths = { [manifest.wasm]: wasm };
    const session = async (name) => ort.InferenceSession.create(await unpacked(name), { executionProviders: ["wasm"] });
    sessions = { features: await session("features"), translator: await session("translator") };
    URL.revokeObjectURL(wasm);
    $("progress").hidden = true;
  }

  const mega = (bytes) => (bytes / 1e6).toFixed(1);
  const say = (words) => ($("state").textContent = words);

  // ---- The method

  const known = new WeakMap(); // picture to its features: a reference is passed through the VGG once
  async function features(values) {
    if (!known.has(values)) {
      const { size } = manifest, plane = size * size;
      const images = values.length === plane ? new Float32Array(3 * plane).map((_, i) => values[i % plane]) : values;
      known.set(values, await sessions.features.run({ images: new ort.Tensor("float32", images, [1, 3, size, size]) }));
    }
    return known.get(values);
  }

  const cosines = async (x, r, { layer, patch }) =>
    match.cosines((await features(x))[layer].data, (await features(r))[layer].data, manifest.size / manifest.layers[layer], patch);

  // x in the colours of r: W, the output and the mask in [-1, 1], and for each cell where its pixels come from.
  // how: layer, patch, shift (cells), random and other (shares); with `truth` every cell comes from its own place in r.
  async function colour(x, r, how, other = null) {
    const { size } = manifest, side = size / manifest.layers[how.layer], cells = side * side;
    const found = await cosines(x, r, how);
    let index = how.truth ? [...Array(cells).keys()] : match.best(found);
    index = match.shifted(side, how.shift, 2).map((p) => index[p]);
    const anywhere = match.random(3), wrong = match.chosen(cells, how.random, 1);
    index = index.map((from, p) => [from, Math.floor(anywhere() * cells)][Number(wrong[p])]);
    const sources = Array(cells).fill(r);
    if (other && how.other > 0) {
      const elsewhere = match.best(await cosines(x, other, how));
      match.chosen(cells, how.other, 4).forEach((yes, p) => yes && ([sources[p], index[p]] = [other, elsewhere[p]]));
    }
    const w = match.paste(sources, index, size, side);
    const tensor = (values, channels) => new ort.Tensor("float32", values, [1, channels, size, size]);
    const out = await sessions.translator.run({ x: tensor(x, 1), w: tensor(w, 3) });
    const mask = out.mask ? out.mask.data.map((share) => 2 * share - 1) : null;
    return { w, image: out.image.data, mask, index, sources, cosines: found, side };
  }

  // ---- The pictures

  const panels = {};
  for (const panel of document.querySelectorAll("[data-picture]")) {
    const holder = Object.assign(document.createElement("div"), { className: "live-picture" });
    const [canvas, frames] = [document.createElement("canvas"), document.createElement("canvas")];
    const name = panel.dataset.picture, title = panel.querySelector("h2").textContent;
    holder.append(canvas, frames);
    panel.append(holder);
    Object.assign(canvas, { tabIndex: name === "r" ? -1 : 0 }).setAttribute("role", "img");
    canvas.setAttribute("aria-label", name === "x" ? `${title}; arrow keys move the pen, with Shift it draws` : title);
    frames.setAttribute("aria-hidden", "true");
    panels[name] = { canvas, frames, pen: canvas.getContext("2d", { willReadFrequently: true }), lines: frames.getContext("2d") };
  }

  function show(name, values) {
    panels[name].pen.putImageData(picture.toImage(values, manifest.size), 0, 0);
  }

  // ---- Translate what is chosen; while one runs, later changes wait for a single next one

  let running = false, again = false;
  async function update() {
    for (const output of document.querySelectorAll("#live output")) {
      const unit = output.htmlFor[0] === "live-shift" ? " cells" : output.htmlFor[0] === "live-width" ? " px" : " %";
      output.textContent = document.getElementById(output.htmlFor[0]).value + unit;
    }
    const own = $("source").value !== "match";
    $("other").disabled = !own;
    if (running || !sessions) return void (again = true);
    running = true;
    do {
      again = false;
      await new Promise(requestAnimationFrame); // first let the browser draw what the reader did
      const started = performance.now();
      const how = { truth: $("source").value === "truth", layer: $("layer").value, patch: Number($("patch").value) };
      Object.assign(how, { shift: Number($("shift").value), random: $("random").value / 100, other: $("other").value / 100 });
      const pictures = { ...chosen, patch: how.patch, reference: own ? chosen.own : chosen.r };
      shown = { ...pictures, ...(await colour(chosen.x, pictures.reference, how, own ? chosen.r : null)) };
      show("r", shown.reference);
      for (const name of ["w", "image", "mask"]) if (shown[name]) show(name, shown[name]);
      const milliseconds = Math.round(performance.now() - started);
      const away = (values) => picture.l1(values, shown.own).toFixed(3);
      const words = [`Coloured in ${milliseconds} ms.`];
      if (shown.own) words.push(`L1 to the sketch's own picture: W ${away(shown.w)}, output ${away(shown.image)}.`);
      say(words.join(" "));
      point(null);
    } while (again);
    running = false;
  }

  // ---- Where does it come from?

  function frame(name, cell, reach, colour, width, label = "") {
    const { lines } = panels[name], delta = (SHARP * manifest.size) / shown.side;
    const [x, y] = [((cell % shown.side) - reach) * delta, (Math.floor(cell / shown.side) - reach) * delta];
    for (const [style, extra] of [["black", 4], [colour, 0]]) { // a dark rim, so that it is seen on any picture
      Object.assign(lines, { strokeStyle: style, lineWidth: width + extra });
      lines.strokeRect(x, y, (2 * reach + 1) * delta, (2 * reach + 1) * delta);
    }
    Object.assign(lines, { font: `bold ${delta}px sans-serif`, textAlign: "center" });
    Object.assign(lines, { lineWidth: 3, strokeStyle: "black", fillStyle: colour });
    lines.strokeText(label, x + delta / 2, y + 0.85 * delta);
    lines.fillText(label, x + delta / 2, y + 0.85 * delta);
  }

  const place = (cell) => `row ${Math.floor(cell / shown.side) + 1}, column ${(cell % shown.side) + 1}`;

  let cursor = null; // the cell that is pointed at
  function point(cell) {
    for (const { frames, lines } of Object.values(panels)) lines.clearRect(0, 0, frames.width, frames.height);
    cursor = cell;
    if (cell === null || !shown) return;
    const cells = shown.side ** 2, from = shown.index[cell], reach = (shown.patch - 1) / 2;
    const cosine = (q) => shown.cosines[cell * cells + q].toFixed(3);
    const best = match.candidates(shown.cosines, cell, NEAREST);
    show("r", shown.sources[cell]); // the picture that this cell was taken from
    for (const name of ["x", "w", "image", "mask"]) frame(name, cell, 0, "white", 4);
    const words = [`At ${place(cell)} the colours come from ${place(from)} of `];
    if (shown.sources[cell] === shown.reference) {
      best.slice(1).forEach((q, i) => frame("r", q, 0, "#56B4E9", 3, String(i + 2)));
      frame("r", from, reach, "#E69F00", 4);
      words[0] += `${shown.reference === shown.r ? "r" : "the sketch's own picture"}, cosine ${cosine(from)}.`;
      if (from !== best[0]) words.push(`The best match would be ${place(best[0])}, cosine ${cosine(best[0])}.`);
      words.push(`Next: ${best.slice(1).map((q, i) => `(${i + 2}) ${place(q)}, ${cosine(q)}`).join("; ")}.`);
    } else words[0] += "r instead.";
    frame("r", from, 0, "#E69F00", 8);
    $("match").textContent = words.join(" ");
  }

  function cellAt(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const along = (offset, length) => Math.min(shown.side - 1, Math.max(0, Math.floor((offset / length) * shown.side)));
    return along(event.clientY - box.top, box.height) * shown.side + along(event.clientX - box.left, box.width);
  }

  function listenToPointing() {
    for (const name of ["x", "w", "image", "mask"]) {
      const { canvas } = panels[name];
      const pointed = (event) => shown && !(name === "x" && event.buttons) && point(cellAt(event));
      canvas.addEventListener("pointermove", pointed);
      canvas.addEventListener("pointerdown", pointed);
      if (name === "x") continue;
      canvas.addEventListener("keydown", (event) => {
        const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
        if (!step || !shown) return;
        event.preventDefault();
        const now = cursor ?? (Math.floor(shown.side / 2) + 0.5) * shown.side, on = (p) => Math.min(shown.side - 1, Math.max(0, p));
        point(on(Math.floor(now / shown.side) + step[0]) * shown.side + on((now % shown.side) + step[1]));
      });
    }
  }

  // ---- Drawing

  const undo = []; // sketches before each stroke, with the own picture that belonged to them
  const keep = () => undo.push({ x: chosen.x, own: chosen.own });

  function setSketch(x, own) {
    Object.assign(chosen, { x, own });
    show("x", x);
    for (const option of $("source").options) option.disabled = option.value !== "match" && !own;
    if (!own) {
      $("source").value = "match";
      document.querySelector("[data-gallery=x] [aria-pressed=true]")?.setAttribute("aria-pressed", "false");
    }
    update();
  }

  function readSketch() {
    const { data } = panels.x.pen.getImageData(0, 0, manifest.size, manifest.size);
    const bytes = Uint8Array.from({ length: data.length / 4 }, (_, i) => data[4 * i]);
    setSketch(picture.fromBytes([bytes]), chosen.own);
  }

  function stroke(from, to) {
    const { pen } = panels.x;
    Object.assign(pen, { lineCap: "round", strokeStyle: $("pen").value, lineWidth: Number($("width").value) });
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
  }

  function listenToDrawing() {
    const { canvas } = panels.x;
    let last = null, pen = [manifest.size / 2, manifest.size / 2];
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((share) => share * manifest.size);
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      keep();
      point(null);
      last = at(event);
      stroke(last, last);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      for (const each of event.getCoalescedEvents?.() ?? [event]) stroke(last, (last = at(each)));
    });
    const ended = () => {
      if (last) readSketch();
      last = null;
    };
    canvas.addEventListener("pointerup", ended);
    canvas.addEventListener("pointercancel", ended);
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = pen.map((place, i) => Math.min(manifest.size - 1, Math.max(1, place + step[i])));
      if (event.shiftKey) {
        keep();
        stroke(pen, next);
        readSketch();
      }
      pen = next;
      const { lines, frames } = panels.x;
      lines.clearRect(0, 0, frames.width, frames.height);
      Object.assign(lines, { strokeStyle: "#D55E00", lineWidth: 4 });
      lines.strokeRect((pen[0] - 1) * SHARP, (pen[1] - 1) * SHARP, 2 * SHARP, 2 * SHARP);
    });
    $("undo").addEventListener("click", () => {
      const before = undo.pop();
      if (before) setSketch(before.x, before.own);
    });
    $("clear").addEventListener("click", () => {
      keep();
      setSketch(new Float32Array(manifest.size ** 2).fill(1), null);
    });
  }

  // ---- Files and the pictures that come with the page

  async function pixels(source) {
    const bitmap = await createImageBitmap(source), scale = Math.min(1, 1024 / Math.max(bitmap.width, bitmap.height));
    const canvas = new OffscreenCanvas(Math.ceil(bitmap.width * scale), Math.ceil(bitmap.height * scale));
    const pen = canvas.getContext("2d");
    Object.assign(pen, { fillStyle: "white", imageSmoothingQuality: "high" });
    pen.fillRect(0, 0, canvas.width, canvas.height); // what is transparent is white
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return pen.getImageData(0, 0, canvas.width, canvas.height);
  }

  async function fromAddress(address) {
    const image = Object.assign(new Image(), { src: address });
    await image.decode();
    return image;
  }

  // A file, or an address with a whole picture in it, as an array of one channel or three.
  async function values(source, channels) {
    const image = await pixels(typeof source === "string" ? await fromAddress(source) : source);
    return picture.fromBytes(picture.onSquare(image, manifest.size, channels));
  }

  function setReference(r) {
    chosen.r = r;
    show("r", r);
    update();
  }

  async function takeFile(file, name) {
    try {
      const taken = await values(file, name === "x" ? 1 : 3);
      if (name === "r") return setReference(taken);
      keep();
      setSketch(taken, null);
    } catch {
      say(`${file.name} is no picture that this browser can read: give a PNG, JPEG or WebP.`);
    }
  }

  function listenToFiles() {
    for (const name of ["x", "r"]) {
      $(`${name}-file`).addEventListener("change", ({ target }) => target.files[0] && takeFile(target.files[0], name));
      const panel = document.querySelector(`[data-picture=${name}]`);
      panel.addEventListener("dragover", (event) => event.preventDefault());
      panel.addEventListener("drop", (event) => {
        event.preventDefault();
        if (event.dataTransfer.files[0]) takeFile(event.dataTransfer.files[0], name);
      });
    }
  }

  async function pick(name, number) {
    const { x, y } = manifest[name === "x" ? "sketches" : "references"][number];
    for (const button of document.querySelectorAll(`[data-gallery=${name}] button`)) {
      button.setAttribute("aria-pressed", String(button === button.parentNode.children[number]));
    }
    const coloured = await values(y, 3);
    if (name === "r") return setReference(coloured);
    if (chosen.x) keep();
    setSketch(await values(x, 1), coloured);
  }

  function fillGallery(name, pictures) {
    pictures.forEach(({ x, y }, number) => {
      const button = Object.assign(document.createElement("button"), { type: "button", onclick: () => pick(name, number) });
      const words = `${name === "x" ? "Sketch" : "Reference"} ${number + 1}`;
      button.append(Object.assign(new Image(), { src: name === "x" ? x : y, alt: words, width: 48, height: 48 }));
      document.querySelector(`[data-gallery=${name}]`).append(button);
    });
  }

  // ---- Start

  async function start() {
    try {
      if (typeof WebAssembly !== "object" || typeof DecompressionStream !== "function") {
        throw new Error("this browser has no WebAssembly or is older than 2023: try a newer one");
      }
      await loadScript("manifest.js");
      if (manifest.missing) throw new Error(manifest.missing);
      document.getElementById("live").classList.remove("live-off");
      for (const { canvas, frames } of Object.values(panels)) {
        canvas.width = canvas.height = manifest.size;
        frames.width = frames.height = SHARP * manifest.size;
      }
      for (const layer of Object.keys(manifest.layers)) $("layer").add(new Option(layer));
      const first = { layer: manifest.layer, patch: manifest.patch, ...script.dataset };
      for (const [id, value] of Object.entries(first)) $(id).value = value;
      fillGallery("x", manifest.sketches);
      fillGallery("r", manifest.references);
      listenToDrawing();
      listenToPointing();
      listenToFiles();
      for (const id of ["source", "patch", "layer", "random", "shift", "other", "width"]) {
        $(id).addEventListener("input", update);
      }
      await pick("r", 0);
      await pick("x", 0);
      await load();
      update();
    } catch (error) {
      document.getElementById("live").classList.add("live-off");
      say(`The network does not run here: ${error.message}. Below are pictures made beforehand.`);
    }
  }

  return {
    start,
    colour,
    values,
    manifest: (given) => (manifest = given),
    part: (name, text) => (parts[name] = (parts[name] ?? "") + text),
  };
})();

live.start();
