// In: the server's events. Out: sections of the state, and how the connection is: connecting, live, lost, error.

const SILENT_MS = 8000; // the server says something every 2 s
const RETRY_MS = 2000;

export class Stream {
  constructor(onState, onConnection) {
    this.onState = onState;
    this.onConnection = onConnection;
    this.source = null;
    this.run = null;
    setInterval(() => this.lookWhetherAlive(), 1000);
  }

  open(run) {
    this.run = run;
    clearTimeout(this.again);
    this.source?.close();
    const query = run ? `?run=${encodeURIComponent(run)}` : "";
    const source = new EventSource(`/api/stream${query}`);
    this.source = source;
    this.heardAt = Date.now();
    source.addEventListener("open", () => this.heard());
    source.addEventListener("beat", () => this.heard());
    source.addEventListener("state", (event) => {
      this.heard();
      this.onState(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      if (this.source === source) this.failed(source);
    });
  }

  heard() {
    this.heardAt = Date.now();
    this.onConnection("live");
  }

  async failed(source) {
    this.onConnection("lost");
    // The browser connects again by itself, unless the server has answered with an error.
    if (source.readyState !== EventSource.CLOSED) return;
    const why = await refusal(this.run);
    if (this.source !== source) return;
    if (why) this.onConnection("error", why);
    this.again = setTimeout(() => this.open(why ? null : this.run), RETRY_MS);
  }

  lookWhetherAlive() {
    if (this.source && this.source.readyState === EventSource.OPEN && Date.now() - this.heardAt > SILENT_MS) {
      this.onConnection("lost");
      this.open(this.run);
    }
  }
}

async function refusal(run) {
  try {
    const answer = await fetch(`/api/state${run ? `?run=${encodeURIComponent(run)}` : ""}`);
    return answer.ok ? "" : (await answer.json()).detail;
  } catch {
    return ""; // nobody is there: connect again
  }
}
