// One WebSocket for the whole page. Envelope {v, ch, seq, first?, ts, type: snapshot|delta|hb|error, d}: a delta whose `first` (or seq)
// does not follow the last one seen is a gap, and a gap is healed by subscribing again, which brings a fresh snapshot.
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30000;
const SILENCE = 12500; // two and a half heartbeats

class Live {
  constructor() {
    this.channels = new Map(); // name -> {handlers, seq, at}
    this.socket = null;
    this.wait = FIRST_WAIT;
    this.opened = false;
    this.lastMessage = 0;
    this.received = 0;
    this.state = "closed";
  }

  /** Calls `handler(envelope)` for each snapshot and delta of the channel; `handler` must bear the same message twice. */
  on(name, handler) {
    let channel = this.channels.get(name);
    if (!channel) {
      channel = { handlers: [], seq: null, at: 0, snapshot: null };
      this.channels.set(name, channel);
      this.send({ type: "subscribe", ch: name });
    } else if (channel.seq !== null) {
      this.send({ type: "subscribe", ch: name });
    }
    channel.handlers.push(handler);
    this.connect();
  }

  /** `handler` hears the channel no more; when nobody is left who does, nor does the page. */
  off(name, handler) {
    const channel = this.channels.get(name);
    if (!channel) return;
    channel.handlers = channel.handlers.filter((one) => one !== handler);
    if (channel.handlers.length) return;
    this.channels.delete(name);
    this.send({ type: "unsubscribe", ch: name });
  }

  connect() {
    if (this.socket) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/ws/`);
    this.socket.addEventListener("open", () => this.onOpen());
    this.socket.addEventListener("message", (event) => this.onMessage(JSON.parse(event.data)));
    this.socket.addEventListener("close", (event) => this.onClose(event));
    this.guard ||= setInterval(() => this.watch(), 1000);
  }

  onOpen() {
    this.lastMessage = Date.now();
    this.received = 0;
    for (const [name, channel] of this.channels) {
      channel.seq = null;
      this.send({ type: "subscribe", ch: name });
    }
    this.change("open");
  }

  onMessage(envelope) {
    this.lastMessage = Date.now();
    this.received += 1;
    this.wait = FIRST_WAIT; // only a connection that speaks resets the back-off
    if (envelope.type === "hb") return this.send({ type: "ack", n: this.received });
    const channel = this.channels.get(envelope.ch);
    if (!channel) return undefined;
    if (envelope.type === "error") return document.dispatchEvent(new CustomEvent("desk:refused", { detail: envelope }));
    if (envelope.type === "delta") {
      if (channel.seq === null || envelope.seq === channel.seq) return undefined;
      const first = envelope.first ?? envelope.seq;
      if (first > channel.seq + 1 || envelope.seq < channel.seq) {
        channel.seq = null; // deltas are worthless until the snapshot is here
        return this.send({ type: "subscribe", ch: envelope.ch });
      }
    }
    channel.seq = envelope.seq;
    channel.at = Date.now();
    for (const handler of channel.handlers) handler(envelope);
    return undefined;
  }

  onClose(event) {
    this.socket = null;
    for (const channel of this.channels.values()) channel.seq = null;
    if (event.code === 4401) return this.change("signed-out");
    this.change("waiting");
    const pause = this.wait * (0.75 + Math.random() * 0.5);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
    setTimeout(() => this.connect(), pause);
    return undefined;
  }

  watch() {
    if (this.socket?.readyState === WebSocket.OPEN && Date.now() - this.lastMessage > SILENCE) this.socket.close();
    document.dispatchEvent(new CustomEvent("desk:tick"));
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  change(state) {
    this.state = state;
    document.dispatchEvent(new CustomEvent("desk:connection", { detail: state }));
  }

  /** Milliseconds since the channel last said something; Infinity before it did. */
  age(name) {
    const at = this.channels.get(name)?.at;
    return at ? Date.now() - at : Infinity;
  }
}

export const live = new Live();
