// One stream for all tabs of a browser: a browser opens only six connections to a server.
const KEPT = 1_000; // messages kept for tabs that open while the stream runs
const ports = new Set();
const kept = [];
let stream = null;
let first = 0;

function tell(message) {
  for (const port of ports) port.postMessage(message);
}

function open(position) {
  stream?.close();
  kept.length = 0;
  first = position;
  stream = new EventSource(`/api/v1/feed?from=${position}`);
  stream.addEventListener("changed", (event) => {
    const message = JSON.parse(event.data);
    kept.push(message);
    if (kept.length > KEPT) first = kept.shift().position;
    tell(message);
  });
  stream.addEventListener("error", () => tell({ dead: true }));
}

function join(port, position) {
  ports.add(port);
  // What the tab has not seen yet is among what was kept, else the stream begins again where the tab is.
  if (stream === null || stream.readyState === EventSource.CLOSED || position < first) open(position);
  else for (const message of kept) if (message.position > position) port.postMessage(message);
}

self.addEventListener("connect", ({ ports: [port] }) => {
  port.addEventListener("message", ({ data }) => {
    if (!data.gone) return join(port, data.from);
    ports.delete(port);
    if (ports.size === 0) { stream?.close(); stream = null; }
  });
  port.start();
});
