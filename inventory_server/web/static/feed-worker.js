// One stream for all tabs of a browser: a browser opens only six connections to a server.
import { FeedStream } from "/static/feed-stream.js";

const KEPT = 1_000; // messages kept for tabs that open while the stream runs
const ports = new Set();
let kept = [];
let stream = null;
let first = 0;
let state = null;

function tell(message) {
  if (message.position === undefined) {
    state = message;
  } else {
    kept.push(message);
    if (kept.length > KEPT) first = kept.shift().position;
  }
  for (const port of ports) port.postMessage(message);
}

function join(port, position) {
  ports.add(port);
  // What the tab has not seen yet is among what was kept, else the stream begins again where the tab is.
  if (stream !== null && position >= first) {
    if (state !== null) port.postMessage(state);
    for (const message of kept) if (message.position > position) port.postMessage(message);
    return;
  }
  stream?.close();
  kept = [];
  first = position;
  stream = new FeedStream(position, tell);
}

function leave(port) {
  ports.delete(port);
  if (ports.size > 0) return;
  stream?.close();
  stream = null;
}

self.addEventListener("connect", ({ ports: [port] }) => {
  port.addEventListener("message", ({ data }) => (data.gone ? leave(port) : join(port, data.from)));
  port.start();
});
