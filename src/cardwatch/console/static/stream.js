// The event stream: opens it, resumes it where it was, and says how far it can be trusted.

const SILENCE_MS = 40_000; // the server gives a sign of life every 15 s
const RETRY_MS = 3_000;

export class Stream {
  #source = null;
  #phone = null;
  #after = null;
  #heardAt = Date.now();
  #retry = null;
  #handlers;

  /** @param handlers functions by event name, and `state(name, since)` for live, reconnecting and stale. */
  constructor(handlers) {
    this.#handlers = handlers;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#close() : this.#open()));
    setInterval(() => this.#look(), 1_000);
  }

  /** Listen, and hear of the texts of this phone (or of none). */
  watch(phone) {
    this.#phone = phone;
    this.#open();
  }

  #open() {
    this.#close();
    if (document.hidden) return; // a browser opens six connections to a server: hidden tabs leave them to others
    const query = new URLSearchParams();
    if (this.#phone !== null) query.set("phone", this.#phone);
    if (this.#after !== null) query.set("after", this.#after);
    const source = new EventSource(`/events?${query}`);
    this.#source = source;
    for (const name of ["snapshot", "change", "texts", "beat"]) {
      source.addEventListener(name, (event) => this.#hear(name, event));
    }
    source.addEventListener("error", () => {
      this.#look();
      if (source.readyState === EventSource.CLOSED) this.#retry = setTimeout(() => this.#open(), RETRY_MS);
    });
  }

  #close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #hear(name, event) {
    this.#heardAt = Date.now();
    if (event.lastEventId !== "") this.#after = event.lastEventId;
    this.#handlers[name]?.(JSON.parse(event.data));
    this.#look();
  }

  #look() {
    const silent = Date.now() - this.#heardAt > SILENCE_MS;
    const open = this.#source?.readyState === EventSource.OPEN;
    this.#handlers.state(silent ? "stale" : open ? "live" : "reconnecting", new Date(this.#heardAt));
  }
}
