// Server-sent events out of the pieces of a body. Pure. The server writes each event as `id`, `event` and one `data` line.

/** An event whose data is not parsed yet: of most lines of a flood nobody wants to know more than the number. */
export class SseParser {
  constructor() {
    this.rest = '';
    this.id = null;
    this.event = '';
    this.data = null;
  }

  /**
   * @param {string} text the next piece
   * @param {(event: string, data: string, id: string|null) => void} tell
   */
  push(text, tell) {
    const all = this.rest === '' ? text : this.rest + text;
    let from = 0;
    for (;;) {
      const end = all.indexOf('\n', from);
      if (end < 0) break;
      this.line(all, from, all.charCodeAt(end - 1) === 13 && end > from ? end - 1 : end, tell);
      from = end + 1;
    }
    this.rest = all.slice(from);
  }

  line(all, from, to, tell) {
    if (from === to) {
      if (this.data !== null) tell(this.event || 'message', this.data, this.id);
      this.id = null;
      this.event = '';
      this.data = null;
      return;
    }
    // `data` is by far the longest; comments and `retry` say nothing that is needed here.
    if (all.startsWith('data:', from)) {
      const value = all.slice(all.charCodeAt(from + 5) === 32 ? from + 6 : from + 5, to);
      this.data = this.data === null ? value : `${this.data}\n${value}`;
    } else if (all.startsWith('event:', from)) {
      this.event = all.slice(from + 6, to).trim();
    } else if (all.startsWith('id:', from)) {
      this.id = all.slice(from + 3, to).trim();
    }
  }
}
