// A window on the lines of a log: only those in sight, and some around them, are
// elements. Text is set as text, so nothing of a log is ever read as HTML.
const ROW_PX = 20;
const AROUND = 40;
const PAGE = 500;
const SELECTED_MAX = 10000;
const LEVELS = ["error", "warning", "info", "debug", "other"];

export default {
  template: `
    <div class="log-view" role="region" tabindex="0" :aria-label="name" @scroll="onScroll" @copy="onCopy">
      <div class="log-rows" ref="rows"></div>
    </div>`,
  props: { name: String, hidden: String, searchId: String },
  emits: ["need", "follow"],
  created() {
    this.texts = new Map();
    this.nodes = new Map();
    this.asked = new Set();
    this.total = 0;
    this.edition = 0;
    this.query = "";
    this.current = -1;
    this.isFollowing = true;
  },
  mounted() {
    this.observer = new ResizeObserver(() => this.settle());
    this.observer.observe(this.$el);
    this.onKey = (event) => {
      const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
      if (event.key !== "/" || isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
      const search = document.getElementById(this.searchId);
      if (!search) return;
      event.preventDefault();
      search.focus();
      search.select();
    };
    document.addEventListener("keydown", this.onKey);
  },
  unmounted() {
    this.observer.disconnect();
    document.removeEventListener("keydown", this.onKey);
  },
  methods: {
    // Other lines: another log, another filter, or other numbers.
    reset(edition, total, first, rows, query, mayFollow) {
      this.edition = edition;
      this.query = query;
      this.current = -1;
      this.texts.clear();
      this.asked.clear();
      this.empty();
      this.keep(first, rows);
      this.resize(total);
      if (mayFollow) this.follow();
      else this.draw();
    },
    // The lines from `first` on are now these.
    change(edition, total, first, rows) {
      if (edition !== this.edition) return;
      for (let position = first; position < Math.max(total, this.total); position++) {
        this.forget(position);
      }
      this.asked.clear();
      this.keep(total - rows.length, rows);
      this.resize(total);
      this.settle();
    },
    // Lines that were asked for.
    fill(edition, first, rows) {
      if (edition !== this.edition) return;
      this.asked.delete(Math.floor(first / PAGE));
      this.keep(first, rows);
      this.draw();
    },
    mark(edition, query, current) {
      if (edition !== this.edition) return;
      if (query === this.query && current === this.current) return;
      this.query = query;
      this.current = current;
      this.empty();
      this.draw();
    },
    show(position) {
      this.setFollowing(false);
      const middle = (this.$el.clientHeight - ROW_PX) / 2;
      this.$el.scrollTo({ top: position * ROW_PX - middle, left: 0 });
      this.draw();
    },
    follow() {
      this.setFollowing(true);
      this.settle();
    },
    setFollowing(isFollowing) {
      if (isFollowing === this.isFollowing) return;
      this.isFollowing = isFollowing;
      this.$emit("follow", isFollowing);
    },
    onScroll() {
      const { scrollTop, clientHeight, scrollHeight } = this.$el;
      const isAtEnd = scrollTop + clientHeight >= scrollHeight - ROW_PX;
      // The end also moves when lines come; only the reader moves away from it.
      if (scrollTop < this.lastTop || isAtEnd) this.setFollowing(isAtEnd);
      this.lastTop = scrollTop;
      this.draw();
    },
    // Rows stand apart from each other, so the browser would join them to one line.
    onCopy(event) {
      const selection = document.getSelection();
      if (!selection.rangeCount) return;
      const chosen = selection.getRangeAt(0);
      const rows = [...this.$refs.rows.children].filter((row) => chosen.intersectsNode(row));
      const texts = rows.map((row) => {
        const part = document.createRange();
        part.selectNodeContents(row);
        if (row.contains(chosen.startContainer)) part.setStart(chosen.startContainer, chosen.startOffset);
        if (row.contains(chosen.endContainer)) part.setEnd(chosen.endContainer, chosen.endOffset);
        const copy = part.cloneContents();
        copy.querySelector(".log-rest")?.remove();
        return copy.textContent;
      });
      event.clipboardData.setData("text/plain", texts.join("\n"));
      event.preventDefault();
    },
    settle() {
      if (this.isFollowing) this.$el.scrollTop = this.$el.scrollHeight;
      this.lastTop = this.$el.scrollTop;
      this.draw();
    },
    keep(first, rows) {
      rows.forEach((row, index) => {
        this.forget(first + index);
        this.texts.set(first + index, row);
      });
    },
    forget(position) {
      this.texts.delete(position);
      this.nodes.get(position)?.remove();
      this.nodes.delete(position);
    },
    empty() {
      this.nodes.clear();
      this.$refs.rows.replaceChildren();
    },
    resize(total) {
      this.total = total;
      this.$refs.rows.style.height = `${total * ROW_PX}px`;
    },
    draw() {
      const { scrollTop, clientHeight } = this.$el;
      let first = Math.max(0, Math.floor(scrollTop / ROW_PX) - AROUND);
      let end = Math.min(this.total, Math.ceil((scrollTop + clientHeight) / ROW_PX) + AROUND);
      this.request(first, end);
      [first, end] = this.withSelection(first, end);
      for (const [position, node] of this.nodes) {
        if (position >= first && position < end) continue;
        node.remove();
        this.nodes.delete(position);
      }
      let next = this.$refs.rows.firstChild;
      for (let position = first; position < end; position++) {
        const row = this.texts.get(position);
        if (!row) continue;
        let node = this.nodes.get(position);
        if (!node) {
          node = this.make(position, row);
          this.nodes.set(position, node);
          this.$refs.rows.insertBefore(node, next);
        }
        next = node.nextSibling;
      }
    },
    // What is selected stays, so that it can be copied after scrolling on.
    withSelection(first, end) {
      const selection = document.getSelection();
      const isHere = selection && !selection.isCollapsed && this.$el.contains(selection.anchorNode);
      if (!isHere || !this.nodes.size) return [first, end];
      const drawn = [...this.nodes.keys()];
      const low = Math.min(first, ...drawn);
      const high = Math.max(end, ...drawn.map((position) => position + 1));
      return high - low > SELECTED_MAX ? [first, end] : [low, Math.min(high, this.total)];
    },
    request(first, end) {
      for (let page = Math.floor(first / PAGE); page * PAGE < end; page++) {
        const start = page * PAGE;
        const stop = Math.min(this.total, start + PAGE);
        let isMissing = false;
        for (let position = start; position < stop && !isMissing; position++) {
          isMissing = !this.texts.has(position);
        }
        if (!isMissing || this.asked.has(page)) continue;
        this.asked.add(page);
        this.$emit("need", this.edition, start, stop);
      }
    },
    make(position, [level, text, left]) {
      const node = document.createElement("div");
      node.className = `log-row log-${LEVELS[level]}`;
      node.style.top = `${position * ROW_PX}px`;
      if (position === this.current) node.classList.add("log-current");
      this.write(node, text);
      if (left) {
        const rest = document.createElement("span");
        rest.className = "log-rest";
        rest.textContent = this.hidden.replace("#", left.toLocaleString(document.documentElement.lang || "en"));
        node.append(rest);
      }
      return node;
    },
    write(node, text) {
      const lower = this.query ? text.toLowerCase() : "";
      // A few letters grow when their case changes: then there is nothing to point at.
      if (!this.query || lower.length !== text.length) {
        node.textContent = text || " ";
        return;
      }
      let done = 0;
      for (let at = lower.indexOf(this.query); at >= 0; at = lower.indexOf(this.query, done)) {
        const mark = document.createElement("mark");
        mark.textContent = text.slice(at, at + this.query.length);
        node.append(text.slice(done, at), mark);
        done = at + this.query.length;
      }
      node.append(text.slice(done));
    },
  },
};
