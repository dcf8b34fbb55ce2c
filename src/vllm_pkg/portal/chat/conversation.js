// A list that stays at its end as long as the reader is there, and opens the links of
// answers beside the page, which would lose the conversation.
const NEAR_PX = 40;

export default {
  template: `<div @scroll="onScroll" @click="onClick"><slot></slot></div>`,
  created() {
    this.isAtEnd = true;
  },
  mounted() {
    this.observer = new MutationObserver(() => this.settle());
    this.observer.observe(this.$el, { childList: true, subtree: true, characterData: true });
  },
  unmounted() {
    this.observer.disconnect();
  },
  methods: {
    onScroll() {
      const { scrollTop, clientHeight, scrollHeight } = this.$el;
      this.isAtEnd = scrollTop + clientHeight >= scrollHeight - NEAR_PX;
    },
    settle() {
      if (this.isAtEnd) this.$el.scrollTop = this.$el.scrollHeight;
    },
    end() {
      this.isAtEnd = true;
      this.settle();
    },
    onClick(event) {
      const link = event.target.closest("a[href]");
      if (!link || !this.$el.contains(link)) return;
      event.preventDefault();
      window.open(link.href, "_blank", "noopener,noreferrer");
    },
  },
};
