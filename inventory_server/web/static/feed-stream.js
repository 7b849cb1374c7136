// The feed of changes as server-sent events, opened again whenever it ends; `tell` hears of each change, and whether
// the stream lives. A short break is none: the server ends streams now and then, and nothing is lost in between.
const BREAK_MS = 4_000;
const RETRY_MS = 5_000; // after an answer that is no stream, which a browser does not ask for again

export class FeedStream {
  constructor(position, tell) {
    this.position = position;
    this.tell = tell;
    this.open();
  }

  open() {
    this.source = new EventSource(`/api/v1/feed?from=${this.position}`);
    this.source.addEventListener("open", () => this.live());
    this.source.addEventListener("changed", (event) => {
      const message = JSON.parse(event.data);
      this.position = message.position;
      this.live();
      this.tell(message);
    });
    this.source.addEventListener("lagging", () => this.close());
    this.source.addEventListener("error", () => this.broken());
  }

  live() {
    clearTimeout(this.dying);
    this.dying = undefined;
    this.tell({ alive: true });
  }

  broken() {
    this.dying ??= setTimeout(() => this.tell({ dead: true }), BREAK_MS);
    if (this.source.readyState === EventSource.CLOSED) this.again = setTimeout(() => this.open(), RETRY_MS);
  }

  close() {
    clearTimeout(this.dying);
    clearTimeout(this.again);
    this.source.close();
    this.tell({ dead: true });
  }
}
