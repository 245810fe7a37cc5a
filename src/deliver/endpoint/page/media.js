// Media: files fetched with the token, held as blob addresses while they are shown, and forgotten least recently used first.

/** Types that a browser shows without running anything in them. Everything else becomes plain bytes. */
const SHOWN = /^(image\/(png|jpeg|gif|webp|avif|bmp)|video\/[\w.+-]+|audio\/[\w.+-]+)$/;
/** Four at once: a browser opens six connections to one address, and /sync and paging need theirs. */
const AT_ONCE = 4;
/** Pictures that are not on the screen any more but may be again. */
const KEEP = 96;

/** Fetches media and owns the blob addresses made from it. */
export class Media {
  constructor(api) {
    this.api = api;
    this.held = new Map(); // key -> { users, promise, url, stop }, least recently used first
    this.waiting = [];
    this.running = 0;
  }

  /** The blob address of a file or of its thumbnail. Each call must be paired with one `release`. */
  acquire(mxc, size = 0) {
    const key = `${size} ${mxc}`;
    let entry = this.held.get(key);
    if (entry) {
      this.held.delete(key);
    } else {
      const stop = new AbortController();
      entry = { users: 0, url: null, stop };
      entry.promise = this.turn(stop.signal)
        .then(() => this.load(entry, mxc, size))
        .catch((error) => {
          if (this.held.get(key) === entry) this.held.delete(key);
          throw error;
        });
      entry.promise.catch(() => {});
    }
    this.held.set(key, entry);
    entry.users += 1;
    return entry.promise;
  }

  /** Says that one user of the address is gone. */
  release(mxc, size = 0) {
    const key = `${size} ${mxc}`;
    const entry = this.held.get(key);
    if (!entry || --entry.users > 0) return;
    if (!entry.url || !size) {
      // Not here yet, or a whole file, which may be large: nothing to keep.
      this.held.delete(key);
      entry.stop.abort();
      if (entry.url) URL.revokeObjectURL(entry.url);
    }
    let spare = this.held.size - KEEP;
    for (const [old, idle] of this.held) {
      if (spare <= 0) break;
      if (idle.users > 0 || !idle.url) continue;
      URL.revokeObjectURL(idle.url);
      this.held.delete(old);
      spare -= 1;
    }
  }

  /** Saves a file under a name. It is never opened: what a message carries must not run here. */
  async save(mxc, name) {
    const response = await this.api.media(mxc);
    const bytes = new Blob([await response.blob()], { type: "application/octet-stream" });
    const url = URL.createObjectURL(bytes);
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  }

  /** Forgets everything. */
  clear() {
    for (const entry of this.held.values()) {
      entry.stop.abort();
      if (entry.url) URL.revokeObjectURL(entry.url);
    }
    this.held.clear();
  }

  /** Resolves when a download may begin. Those asked for last go first: they are what is on the screen. */
  turn(signal) {
    if (this.running < AT_ONCE) {
      this.running += 1;
      return Promise.resolve();
    }
    return new Promise((go, no) => {
      const ticket = { go };
      this.waiting.push(ticket);
      signal.addEventListener("abort", () => {
        const at = this.waiting.indexOf(ticket);
        if (at < 0) return;
        this.waiting.splice(at, 1);
        no(signal.reason);
      });
    });
  }

  async load(entry, mxc, size) {
    try {
      const { signal } = entry.stop;
      const response = await this.api.media(mxc, size, signal).catch((error) => {
        // No thumbnail can be made of it: the browser may know better what to do with the file itself.
        if (!size || error.status !== 404) throw error;
        return this.api.media(mxc, 0, signal);
      });
      const raw = await response.blob();
      const type = raw.type.split(";")[0];
      const blob = raw.slice(0, raw.size, SHOWN.test(type) ? type : "application/octet-stream");
      entry.url = URL.createObjectURL(blob);
      return entry.url;
    } finally {
      const next = this.waiting.pop();
      if (next) next.go();
      else this.running -= 1;
    }
  }
}
